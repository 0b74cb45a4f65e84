#include <cstddef>
#include <cstdint>

#include "libs/api/protobuf/protobuf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static_cast<void>(coxswain::api::protobuf::decode(bytes));
  return 0;
}
