// Rules of metadata that every kind shares, by the kind's name rule.
#include "libs/api/validation/validation.h"
#include "libs/registry/library.h"

namespace coxswain::registry::library {
namespace {

api::NameCheck check_of(NameRule rule) {
  switch (rule) {
    case NameRule::kDnsSubdomain:
      return api::check_dns1123_subdomain;
    case NameRule::kDnsLabel:
      return api::check_dns1123_label;
    case NameRule::kDns1035Label:
      return api::check_dns1035_label;
    case NameRule::kPathSegment:
      return api::check_path_segment;
  }
  return api::check_dns1123_subdomain;
}

}  // namespace

void check_metadata(const api::schema::Resource& resource, const Strategy& strategy,
                    const json::Value& object, Causes& out) {
  static const json::Value empty = json::Value::object();
  const json::Value* metadata = object.find("metadata");
  api::FieldErrors errors(out);
  api::validate_object_meta(metadata == nullptr ? empty : *metadata, check_of(strategy.name_rule),
                            resource.namespaced, errors);
}

}  // namespace coxswain::registry::library
