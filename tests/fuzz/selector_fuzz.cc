// What parses must print to a selector that matches the same labels.
#include "libs/api/meta/selector.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coxswain;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)api::parse_field_selector(text);
  const auto selector = api::LabelSelector::parse(text);
  if (!selector.ok()) return 0;
  const auto again = api::LabelSelector::parse(selector->to_string());
  COX_CHECK(again.ok());
  const api::Labels labels{{"a", "b"}, {"app", "web"}, {"n", "5"}};
  COX_CHECK(selector->matches(labels) == again->matches(labels));
  return 0;
}
