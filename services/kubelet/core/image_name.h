// Image references: [domain/]path[:tag][@digest]. Pure.
// Source: the reference grammar of the OCI distribution project.
#pragma once

#include <string_view>

namespace coxswain::kubelet {

// Null when `reference` names an image; else what is wrong with it. The text has static lifetime.
const char* image_name_problem(std::string_view reference);

}  // namespace coxswain::kubelet
