// Image references: [domain/]path[:tag][@digest]. Pure.
// Source: the reference grammar of the OCI distribution project.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace coxswain::kubelet {

// Null when `reference` names an image; else what is wrong with it. The text has static lifetime.
const char* image_name_problem(std::string_view reference);

// Which of an image's names (as the runtime lists them) says by digest where `reference` came from:
// "repository@sha256:..."; the first with a digest when none is of that repository, empty without any.
std::string image_digest(std::string_view reference, const std::vector<std::string>& names);

}  // namespace coxswain::kubelet
