#include "libs/registry/documents.h"

#include <algorithm>

#include "libs/api/protobuf/protobuf.h"
#include "libs/api/yaml/yaml.h"
#include "libs/registry/library.h"

namespace coxswain::registry {
namespace {

namespace schema = api::schema;

api::Status undecodable(const schema::Resource& resource, const std::string& why) {
  const std::string kind(resource.kind);
  return api::bad_request(kind + " in version \"" + std::string(resource.version) +
                          "\" cannot be handled as a " + kind + ": " + why);
}

api::Status strict_error(const schema::Resource& resource, const std::vector<std::string>& unknown,
                         const std::vector<std::string>& duplicates) {
  std::string message = "strict decoding error: ";
  bool first = true;
  const auto add = [&](const std::string& text) {
    if (!first) message += ", ";
    first = false;
    message += text;
  };
  for (const std::string& path : unknown) add("unknown field \"" + path + "\"");
  for (const std::string& path : duplicates) add("duplicate field \"" + path + "\"");
  return undecodable(resource, message);
}

api::ApiResult<void> report(const schema::Resource& resource, std::vector<std::string> unknown,
                            const std::vector<std::string>& duplicates, FieldValidation validation,
                            std::vector<std::string>* warnings) {
  if (validation == FieldValidation::kIgnore || (unknown.empty() && duplicates.empty())) return {};
  if (validation == FieldValidation::kStrict) return strict_error(resource, unknown, duplicates);
  if (warnings == nullptr) return {};
  for (const std::string& path : unknown) warnings->push_back("unknown field \"" + path + "\"");
  for (const std::string& path : duplicates) warnings->push_back("duplicate field \"" + path + "\"");
  return {};
}

// A kind's group/version may differ from what was asked for only by being absent.
api::ApiResult<void> check_kind(const schema::Resource& resource, json::Value& object) {
  if (!object.is_object())
    return api::bad_request("the body must be an object, not " + std::string(json::to_string(object.type())));
  const std::string wanted_version = api_version(resource);
  const std::string version = object.get_string("apiVersion");
  const std::string kind = object.get_string("kind");
  if ((!kind.empty() && kind != resource.kind) || (!version.empty() && version != wanted_version)) {
    return api::bad_request("the API version in the data (" + version + ", Kind=" + kind +
                            ") does not match the expected API version (" + wanted_version +
                            ", Kind=" + std::string(resource.kind) + ")");
  }
  // In front, as readers expect.
  json::Value ordered = json::Value::object({{"kind", resource.kind}, {"apiVersion", wanted_version}});
  for (json::Member& member : object.as_object()) {
    if (member.first == "kind" || member.first == "apiVersion") continue;
    ordered.as_object().append(std::move(member.first), std::move(member.second));
  }
  object = std::move(ordered);
  return {};
}

}  // namespace

api::ApiResult<FieldValidation> parse_field_validation(std::string_view text) {
  if (text.empty() || text == "Warn") return FieldValidation::kWarn;
  if (text == "Ignore") return FieldValidation::kIgnore;
  if (text == "Strict") return FieldValidation::kStrict;
  std::vector<api::StatusCause> causes;
  causes.push_back(
      {"FieldValueNotSupported",
       "Unsupported value: \"" + std::string(text) + "\": supported values: \"Ignore\", \"Strict\", \"Warn\"",
       "fieldValidation"});
  return api::invalid({"meta.k8s.io", "CreateOptions"}, "", std::move(causes));
}

api::ApiResult<json::Value> decode_any(std::string_view body, BodyType type) {
  if (type == BodyType::kProtobuf) {
    Result<api::protobuf::DecodedObject> decoded = api::protobuf::decode(body);
    if (!decoded.ok()) return api::bad_request("cannot decode the protobuf body: " + decoded.error().message);
    return std::move(decoded->value);
  }
  Result<json::Value> parsed = type == BodyType::kYaml ? yaml::parse(body) : json::parse(body);
  if (!parsed.ok()) {
    return api::bad_request("the body is not valid " +
                            std::string(type == BodyType::kYaml ? "YAML: " : "JSON: ") +
                            parsed.error().message);
  }
  return std::move(*parsed);
}

api::ApiResult<json::Value> decode_object(const schema::Resource& resource, std::string_view body,
                                          BodyType type, FieldValidation validation,
                                          std::vector<std::string>* warnings) {
  std::vector<std::string> duplicates;
  json::Value object;
  if (type == BodyType::kJson) {
    json::ParseOptions options;
    options.duplicate_keys = &duplicates;
    Result<json::Value> parsed = json::parse(body, options);
    if (!parsed.ok()) return api::bad_request("the body is not valid JSON: " + parsed.error().message);
    object = std::move(*parsed);
  } else if (type == BodyType::kYaml) {
    yaml::ParseOptions options;
    options.duplicate_keys = &duplicates;
    Result<json::Value> parsed = yaml::parse(body, options);
    if (!parsed.ok()) return api::bad_request("the body is not valid YAML: " + parsed.error().message);
    object = std::move(*parsed);
  } else {
    COX_ASSIGN_OR_RETURN(object, decode_any(body, type));
  }
  COX_RETURN_IF_ERROR(check_kind(resource, object));
  COX_RETURN_IF_ERROR(settle_unknown_fields(resource, object, std::move(duplicates), validation, warnings));
  return object;
}

api::ApiResult<void> settle_unknown_fields(const schema::Resource& resource, json::Value& object,
                                           std::vector<std::string> duplicates, FieldValidation validation,
                                           std::vector<std::string>* warnings) {
  std::vector<std::string> unknown;
  library::prune(*resource.type, object, unknown);
  // From here on every value has the type that the schema says: strategies rely on it.
  Causes causes;
  library::check(*resource.type, object, causes);
  if (!causes.empty()) {
    return undecodable(resource, causes.front().message);
  }
  return report(resource, std::move(unknown), duplicates, validation, warnings);
}

void apply_defaults(const schema::Resource& resource, const Strategy& strategy, json::Value& object) {
  library::set_defaults(*resource.type, object);
  if (strategy.default_object != nullptr) strategy.default_object(object);
}

void check_schema(const schema::Resource& resource, const json::Value& object, Causes& out) {
  library::check(*resource.type, object, out);
}

void check_metadata(const schema::Resource& resource, const Strategy& strategy, const json::Value& object,
                    Causes& out) {
  library::check_metadata(resource, strategy, object, out);
}

api::ApiResult<json::Value> apply_patch(const schema::Resource& resource, PatchType type,
                                        std::string_view patch, const json::Value& current,
                                        std::vector<std::string>* duplicates) {
  json::ParseOptions options;
  options.duplicate_keys = duplicates;
  Result<json::Value> parsed = json::parse(patch, options);
  if (!parsed.ok()) return api::bad_request("the patch is not valid JSON: " + parsed.error().message);
  COX_ASSIGN_OR_RETURN(json::Value patched, library::patch(*resource.type, type, *parsed, current));
  COX_RETURN_IF_ERROR(check_kind(resource, patched));
  return patched;
}

}  // namespace coxswain::registry
