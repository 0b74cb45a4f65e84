// Content negotiation: what the client sent and what it wants back. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace coxswain::registry {

enum class BodyType { kJson, kYaml, kProtobuf };
// From Content-Type; absent means JSON. nullopt: unsupported (415).
std::optional<BodyType> body_type(std::string_view content_type);

enum class PatchType { kJson, kMerge, kStrategic };
std::optional<PatchType> patch_type(std::string_view content_type);

struct Output {
  enum class Shape { kFull, kTable, kPartial };  // kPartial: PartialObjectMetadata(List)
  Shape shape = Shape::kFull;
  bool yaml = false;
  bool pretty = false;
};
// The first alternative of `accept` that can be served, by quality and then order; nullopt: 406.
std::optional<Output> negotiate(std::string_view accept);

inline constexpr std::string_view kSupportedMediaTypes = "application/json, application/yaml";
inline constexpr std::string_view kSupportedBodyTypes =
    "application/json, application/yaml, application/vnd.kubernetes.protobuf";
inline constexpr std::string_view kSupportedPatchTypes =
    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json";

}  // namespace coxswain::registry
