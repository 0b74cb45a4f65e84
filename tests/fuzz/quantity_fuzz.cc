// The canonical form of a quantity is the same number.
#include "libs/api/meta/quantity.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coxswain;
  const auto quantity = api::Quantity::parse({reinterpret_cast<const char*>(data), size});
  if (!quantity.ok()) return 0;
  const std::string canonical = quantity->to_string();
  const auto again = api::Quantity::parse(canonical);
  COX_CHECK(again.ok());
  COX_CHECK(*again == *quantity);
  COX_CHECK(again->to_string() == canonical);
  (void)quantity->value();
  (void)quantity->milli_value();
  return 0;
}
