// Docker Engine API v1.41 bodies: what we send and what we read. Pure.
// Source: the API reference, https://docs.docker.com/reference/api/engine/version/v1.41/
#pragma once

#include <string>
#include <string_view>

#include "libs/common/json/json.h"
#include "services/kubelet/runtime/runtime.h"

namespace coxswain::kubelet {

json::Value docker_create_body(const ContainerSpec& spec);
ObservedContainer from_docker_inspect(const json::Value& body);
ObservedContainer from_docker_summary(const json::Value& body);  // an item of /containers/json
ImageInfo from_docker_image(const json::Value& body);            // inspect or an item of /images/json
std::string docker_message(std::string_view body);               // {"message": ...}, on one line

// Takes /containers/{id}/logs and exec streams apart: frames of 8 bytes header and payload.
class StreamDemux {
 public:
  explicit StreamDemux(bool raw) : raw_(raw) {}  // raw: the container has a tty, no frames
  // Calls `sink` with payload bytes as they come; false when it did.
  template <typename Sink>
  bool feed(std::string_view bytes, const Sink& sink) {
    if (raw_) return sink(bytes);
    while (!bytes.empty()) {
      if (left_ > 0) {
        const std::string_view part = bytes.substr(0, left_);
        left_ -= part.size();
        bytes.remove_prefix(part.size());
        if (!sink(part)) return false;
        continue;
      }
      const std::size_t want = 8 - header_.size();
      header_ += bytes.substr(0, want);
      bytes.remove_prefix(std::min(want, bytes.size()));
      if (header_.size() < 8) return true;
      for (int i = 4; i < 8; ++i)
        left_ = left_ << 8 | static_cast<unsigned char>(header_[static_cast<std::size_t>(i)]);
      header_.clear();
    }
    return true;
  }

 private:
  const bool raw_;
  std::string header_;
  std::size_t left_ = 0;
};

}  // namespace coxswain::kubelet
