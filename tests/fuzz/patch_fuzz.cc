// Input: a document and a patch, split by the first line feed. All three formats.
#include "libs/api/patch/patch.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coxswain;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = text.find('\n');
  if (cut == std::string_view::npos) return 0;
  const auto document = json::parse(text.substr(0, cut));
  const auto patch = json::parse(text.substr(cut + 1));
  if (!document.ok() || !patch.ok()) return 0;
  static const api::schema::Type* const pod = api::schema::find_type("io.k8s.api.core.v1.Pod");
  (void)api::apply_json_patch(*patch, *document);
  if (const auto merged = api::apply_merge_patch(*patch, *document); merged.ok()) {
    // RFC 7386: applying the same patch twice changes nothing more.
    COX_CHECK(*api::apply_merge_patch(*patch, *merged) == *merged);
  }
  (void)api::apply_strategic_merge_patch(*patch, *document, pod);
  return 0;
}
