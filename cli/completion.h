// Shell completion: static words for commands and flags, the server's answers for kinds and names.
#pragma once

#include <string>
#include <string_view>

namespace coxswain::cli {

// `shell` is bash or zsh.
std::string completion_script(std::string_view shell);

}  // namespace coxswain::cli
