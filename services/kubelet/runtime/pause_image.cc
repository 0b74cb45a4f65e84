#include "services/kubelet/runtime/pause_image.h"

#include <openssl/sha.h>

#include <cstdio>
#include <cstring>

#include "libs/common/base/strings.h"
#include "libs/common/json/json.h"

namespace coxswain::kubelet {

extern const unsigned char kPauseBinary[];
extern const std::size_t kPauseBinarySize;

namespace {
std::string sha256_hex(std::string_view bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  return hex_encode(std::string_view(reinterpret_cast<const char*>(digest), sizeof digest));
}
}  // namespace

std::string tar_entry(const std::string& path, std::string_view content, int mode, char type) {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, const char* format, unsigned long value) {
    char text[24];
    std::snprintf(text, sizeof text, format, value);
    std::memcpy(&header[at], text, std::strlen(text));
  };
  header.replace(0, path.size(), path);
  put(100, "%07lo", static_cast<unsigned long>(mode));
  put(108, "%07lo", 0);
  put(116, "%07lo", 0);
  put(124, "%011lo", content.size());
  put(136, "%011lo", 0);
  std::memcpy(&header[148], "        ", 8);
  header[156] = type;
  std::memcpy(&header[257],
              "ustar\0"
              "00",
              8);
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, "%06lo", sum);
  header[154] = '\0';
  header[155] = ' ';
  std::string out = header;
  out += content;
  out.append((512 - content.size() % 512) % 512, '\0');
  return out;
}

std::string tar_end() { return std::string(1024, '\0'); }

std::string pause_image_tar() {
#if defined(__aarch64__)
  const char* architecture = "arm64";
#else
  const char* architecture = "amd64";
#endif
  const std::string_view binary(reinterpret_cast<const char*>(kPauseBinary), kPauseBinarySize);
  const std::string layer = tar_entry("pause", binary, 0755) + tar_end();
  const std::string config = json::write(json::Value::object({
      {"architecture", architecture},
      {"os", "linux"},
      {"created", "1970-01-01T00:00:00Z"},
      {"config", json::Value::object({{"Entrypoint", json::Value::array({"/pause"})}})},
      {"rootfs", json::Value::object({{"type", "layers"},
                                      {"diff_ids", json::Value::array({"sha256:" + sha256_hex(layer)})}})},
  }));
  const std::string config_name = sha256_hex(config) + ".json";
  const std::string manifest = json::write(json::Value::array({json::Value::object({
      {"Config", config_name},
      {"RepoTags", json::Value::array({std::string(kPauseImage)})},
      {"Layers", json::Value::array({"layer/layer.tar"})},
  })}));
  return tar_entry(config_name, config, 0644) + tar_entry("layer/layer.tar", layer, 0644) +
         tar_entry("manifest.json", manifest, 0644) + tar_end();
}

}  // namespace coxswain::kubelet
