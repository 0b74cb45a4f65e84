// What parses must write to text that parses to an equal value.
#include "libs/common/json/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coxswain;
  std::vector<std::string> duplicates;
  json::ParseOptions options;
  options.duplicate_keys = &duplicates;
  const auto value = json::parse({reinterpret_cast<const char*>(data), size}, options);
  if (!value.ok()) return 0;
  const auto again = json::parse(json::write(*value));
  COX_CHECK(again.ok());
  COX_CHECK(*again == *value);
  return 0;
}
