#include "libs/registry/media.h"

#include <cstdlib>

#include "libs/common/base/strings.h"

namespace coxswain::registry {
namespace {

std::string_view next_part(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return trim(part);
}

struct MediaType {
  std::string_view type;
  std::string_view as;
  std::string_view group;
  double quality = 1;
};

MediaType parse_media_type(std::string_view text) {
  MediaType media;
  media.type = next_part(text, ';');
  while (!text.empty()) {
    std::string_view parameter = next_part(text, ';');
    const std::string_view key = next_part(parameter, '=');
    if (key == "as") media.as = parameter;
    if (key == "g") media.group = parameter;
    if (key == "q") media.quality = std::strtod(std::string(parameter).c_str(), nullptr);
  }
  return media;
}

std::optional<Output> output_of(const MediaType& media) {
  Output output;
  if (iequals(media.type, "application/yaml")) {
    output.yaml = true;
  } else if (!iequals(media.type, "application/json") && media.type != "*/*" &&
             media.type != "application/*") {
    return std::nullopt;
  }
  if (media.as.empty()) return output;
  if (media.group != "meta.k8s.io") return std::nullopt;
  if (media.as == "Table") {
    output.shape = Output::Shape::kTable;
  } else if (media.as == "PartialObjectMetadata" || media.as == "PartialObjectMetadataList") {
    output.shape = Output::Shape::kPartial;
  } else {
    return std::nullopt;
  }
  return output;
}

}  // namespace

std::optional<BodyType> body_type(std::string_view content_type) {
  const std::string_view type = parse_media_type(content_type).type;
  if (type.empty() || iequals(type, "application/json") || type == "*/*") return BodyType::kJson;
  if (iequals(type, "application/yaml") || iequals(type, "application/x-yaml") ||
      iequals(type, "text/yaml")) {
    return BodyType::kYaml;
  }
  if (iequals(type, "application/vnd.kubernetes.protobuf")) return BodyType::kProtobuf;
  return std::nullopt;
}

std::optional<PatchType> patch_type(std::string_view content_type) {
  const std::string_view type = parse_media_type(content_type).type;
  if (iequals(type, "application/json-patch+json")) return PatchType::kJson;
  if (iequals(type, "application/merge-patch+json")) return PatchType::kMerge;
  if (iequals(type, "application/strategic-merge-patch+json")) return PatchType::kStrategic;
  return std::nullopt;
}

std::optional<Output> negotiate(std::string_view accept) {
  if (trim(accept).empty()) return Output{};
  std::optional<Output> best;
  double best_quality = 0;
  while (!accept.empty()) {
    const MediaType media = parse_media_type(next_part(accept, ','));
    if (media.quality <= best_quality) continue;
    if (std::optional<Output> output = output_of(media)) {
      best = output;
      best_quality = media.quality;
    }
  }
  return best;
}

}  // namespace coxswain::registry
