// The pipeline's view of libs/api: bodies to documents, defaults, checks, patches, selectors.
// One place, so that verbs read as sentences. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libs/api/meta/selector.h"
#include "libs/api/meta/status.h"
#include "libs/api/schema/schema.h"
#include "libs/common/json/json.h"
#include "libs/registry/media.h"
#include "libs/registry/object.h"
#include "libs/registry/strategy.h"

namespace coxswain::registry {

enum class FieldValidation { kIgnore, kWarn, kStrict };
// From the query value; empty means Warn. 422 for anything else.
api::ApiResult<FieldValidation> parse_field_validation(std::string_view text);

// Bytes to a document of `resource`, `expected_kind` enforced and apiVersion/kind filled in. Unknown
// fields are dropped; they and duplicate keys become warnings or, when strict, a 400.
api::ApiResult<json::Value> decode_object(const api::schema::Resource& resource, std::string_view body,
                                          BodyType type, FieldValidation validation,
                                          std::vector<std::string>* warnings);
// A body of any known kind (DeleteOptions, Scale, Binding, Eviction): JSON, YAML or protobuf, unchecked.
api::ApiResult<json::Value> decode_any(std::string_view body, BodyType type);

// Drops unknown fields of a document and checks the types of the rest; 400, see decode_object.
api::ApiResult<void> settle_unknown_fields(const api::schema::Resource& resource, json::Value& object,
                                           std::vector<std::string> duplicates, FieldValidation validation,
                                           std::vector<std::string>* warnings);

void apply_defaults(const api::schema::Resource& resource, const Strategy& strategy, json::Value& object);

// Schema checks (types, required) and those of metadata (name, labels, annotations, owner references,
// finalizers); appends causes.
void check_schema(const api::schema::Resource& resource, const json::Value& object, Causes& out);
void check_metadata(const api::schema::Resource& resource, const Strategy& strategy,
                    const json::Value& object, Causes& out);

api::ApiResult<json::Value> apply_patch(const api::schema::Resource& resource, PatchType type,
                                        std::string_view patch, const json::Value& current,
                                        std::vector<std::string>* duplicates);

// Label and field selectors of one request.
class Selection {
 public:
  static api::ApiResult<Selection> parse(const api::schema::Resource& resource, std::string_view labels,
                                         std::string_view fields);
  bool everything() const { return labels_.empty() && fields_.empty(); }
  bool matches(const Meta& meta) const;
  // metadata.name / metadata.namespace pinned by an equality: narrows the scan. Empty: not pinned.
  const std::string& name() const { return name_; }
  const std::string& ns() const { return ns_; }

 private:
  std::vector<api::Requirement> labels_;
  std::vector<api::FieldTerm> fields_;
  std::string name_;
  std::string ns_;
};

}  // namespace coxswain::registry
