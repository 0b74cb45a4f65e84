// Any text: no crash, no bomb; what parses must survive writing and reading.
#include "libs/api/yaml/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coxswain;
  yaml::ParseOptions options;
  options.max_values = 20'000;
  const auto documents = yaml::parse_all({reinterpret_cast<const char*>(data), size}, options);
  if (!documents.ok()) return 0;
  for (const json::Value& document : *documents) {
    // Text that is no UTF-8 is refused on the way to JSON; skip it here as the API server does.
    if (!json::parse(json::write(document)).ok()) continue;
    const auto again = yaml::parse(yaml::write(document));
    COX_CHECK(again.ok());
    COX_CHECK(*again == document);
  }
  return 0;
}
