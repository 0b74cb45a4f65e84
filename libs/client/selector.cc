#include "libs/client/selector.h"

#include <algorithm>

namespace coxswain::client {

bool selector_matches(const api::meta::v1::LabelSelector& selector, const Labels& labels) {
  if (!labels_contain(labels, selector.matchLabels)) return false;
  for (const auto& requirement : selector.matchExpressions) {
    const auto it = labels.find(requirement.key);
    const bool present = it != labels.end();
    const bool listed = present && std::find(requirement.values.begin(), requirement.values.end(),
                                             it->second) != requirement.values.end();
    bool matches = false;
    if (requirement.operator_ == "In") matches = listed;
    if (requirement.operator_ == "NotIn") matches = !listed;
    if (requirement.operator_ == "Exists") matches = present;
    if (requirement.operator_ == "DoesNotExist") matches = !present;
    if (!matches) return false;
  }
  return true;
}

bool labels_contain(const Labels& labels, const Labels& wanted) {
  for (const auto& [key, value] : wanted) {
    const auto it = labels.find(key);
    if (it == labels.end() || it->second != value) return false;
  }
  return true;
}

const api::meta::v1::OwnerReference* controller_of(const std::vector<api::meta::v1::OwnerReference>& owners) {
  for (const auto& owner : owners) {
    if (owner.controller.value_or(false)) return &owner;
  }
  return nullptr;
}

}  // namespace coxswain::client
