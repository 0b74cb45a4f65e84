// metav1.LabelSelector over the typed structs.
#pragma once

#include <map>
#include <string>

#include "api/types/meta_v1.h"

namespace coxswain::client {

using Labels = std::map<std::string, std::string>;

// An empty selector matches everything; an operator that does not exist matches nothing.
bool selector_matches(const api::meta::v1::LabelSelector& selector, const Labels& labels);
// Every pair of `wanted` is in `labels` (Service.spec.selector).
bool labels_contain(const Labels& labels, const Labels& wanted);

// The owner with controller: true; nullptr when there is none.
const api::meta::v1::OwnerReference* controller_of(const std::vector<api::meta::v1::OwnerReference>& owners);

}  // namespace coxswain::client
