#include "libs/api/schema/schema.h"

#include <algorithm>

namespace coxswain::api::schema {

const Field* Type::find(std::string_view json_name) const {
  const auto at =
      std::lower_bound(by_name.begin(), by_name.end(), json_name,
                       [this](std::uint16_t i, std::string_view name) { return fields[i].name < name; });
  return at != by_name.end() && fields[*at].name == json_name ? &fields[*at] : nullptr;
}

const Type* find_type(std::string_view openapi_name) {
  const auto types = catalogue().types;
  const auto at = std::lower_bound(types.begin(), types.end(), openapi_name,
                                   [](const Type* type, std::string_view name) { return type->name < name; });
  return at != types.end() && (*at)->name == openapi_name ? *at : nullptr;
}

const Resource* find_resource(std::string_view group, std::string_view version, std::string_view plural) {
  for (const Resource& resource : catalogue().resources) {
    if (resource.plural == plural && resource.group == group && resource.version == version) return &resource;
  }
  return nullptr;
}

const Resource* find_kind(std::string_view group, std::string_view version, std::string_view kind) {
  for (const Resource& resource : catalogue().resources) {
    if (resource.kind == kind && resource.group == group && resource.version == version) return &resource;
  }
  return nullptr;
}

}  // namespace coxswain::api::schema
