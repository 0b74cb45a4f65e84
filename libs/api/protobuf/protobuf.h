// Decodes Kubernetes protobuf bodies (application/vnd.kubernetes.protobuf), which Go clients send by
// default, into documents. Driven by the schema table; no generated code.
//
// Format: the magic "k8s\0", then a runtime.Unknown message { typeMeta = 1 { apiVersion = 1, kind = 2 },
// raw = 2, contentEncoding = 3, contentType = 4 }; raw is the object's own message.
// Source: apimachinery's runtime serializer documentation, protobuf wire format specification.
#pragma once

#include <string>
#include <string_view>

#include "libs/common/base/result.h"
#include "libs/common/json/json.h"

namespace coxswain::api::protobuf {

struct DecodedObject {
  std::string api_version;
  std::string kind;
  json::Value value;  // with apiVersion and kind in front
};

inline constexpr std::string_view kContentType = "application/vnd.kubernetes.protobuf";

// kInvalidArgument: damaged bytes (the message has the offset) or a kind that the catalogue lacks.
Result<DecodedObject> decode(std::string_view bytes);

}  // namespace coxswain::api::protobuf
