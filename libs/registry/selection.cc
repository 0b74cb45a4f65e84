// Label and field selectors of a request (Selection of documents.h), over what filters see.
#include <algorithm>

#include "libs/registry/documents.h"

namespace coxswain::registry {
namespace {

const std::string* lookup(const std::vector<std::pair<std::string, std::string>>& values,
                          std::string_view key) {
  for (const auto& [name, value] : values) {
    if (name == key) return &value;
  }
  return nullptr;
}

bool selectable(const api::schema::Resource& resource, std::string_view field) {
  if (field == "metadata.name") return true;
  if (field == "metadata.namespace") return resource.namespaced;
  return std::find(resource.field_selectors.begin(), resource.field_selectors.end(), field) !=
         resource.field_selectors.end();
}

}  // namespace

api::ApiResult<Selection> Selection::parse(const api::schema::Resource& resource, std::string_view labels,
                                           std::string_view fields) {
  Selection selection;
  Result<api::LabelSelector> parsed = api::LabelSelector::parse(labels);
  if (!parsed.ok()) return api::bad_request(parsed.error().message);
  selection.labels_ = parsed->requirements();
  Result<std::vector<api::FieldTerm>> terms = api::parse_field_selector(fields);
  if (!terms.ok()) return api::bad_request(terms.error().message);
  for (const api::FieldTerm& term : *terms) {
    if (!selectable(resource, term.field)) {
      return api::bad_request("field label not supported: " + term.field);
    }
    if (!term.equals) continue;
    if (term.field == "metadata.name") selection.name_ = term.value;
    if (term.field == "metadata.namespace") selection.ns_ = term.value;
  }
  selection.fields_ = std::move(*terms);
  return selection;
}

bool Selection::matches(const Meta& meta) const {
  for (const api::Requirement& requirement : labels_) {
    if (!requirement.matches(lookup(meta.labels, requirement.key))) return false;
  }
  for (const api::FieldTerm& term : fields_) {
    const std::string* value = lookup(meta.fields, term.field);
    const bool equal = value == nullptr ? term.value.empty() : *value == term.value;
    if (equal != term.equals) return false;
  }
  return true;
}

}  // namespace coxswain::registry
