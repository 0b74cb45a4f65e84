// The sandbox image, made from the pause binary that is built into the kubelet: no registry needed.
#pragma once

#include <string>
#include <string_view>

namespace coxswain::kubelet {

inline constexpr std::string_view kPauseImage = "coxswain/pause:1";

// A tar that POST /images/load takes. The same bytes every time.
std::string pause_image_tar();

// One ustar entry: header and padded content. `type` '0' file, '5' directory.
std::string tar_entry(const std::string& path, std::string_view content, int mode, char type = '0');
std::string tar_end();

}  // namespace coxswain::kubelet
