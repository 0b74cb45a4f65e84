// OpenAPI v2 documents in protobuf: the form in which Go clients ask for /openapi/v2. kubectl before 1.24
// validates every manifest with it, and has no other source.
//
// Format: the messages of gnostic's OpenAPIv2.proto (package openapi.v2); values of any type and extensions
// are carried as YAML text, for which JSON will do. Only what our documents use is encoded.
#pragma once

#include <string>

#include "libs/common/json/json.h"

namespace coxswain::api::openapi {

inline constexpr const char* kGnosticContentType =
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

// `document` is what openapi_v2() makes. Pure.
std::string openapi_v2_protobuf(const json::Value& document);

}  // namespace coxswain::api::openapi
