// Any bytes: comes back, and what it accepts can be stored as JSON and read again.
#include <cstddef>
#include <cstdint>

#include "libs/api/protobuf/protobuf.h"
#include "libs/common/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto decoded = coxswain::api::protobuf::decode(bytes);
  if (!decoded.ok()) return 0;
  coxswain::json::ParseOptions options;
  options.max_depth = 256;  // a message is at most an object in a list
  COX_CHECK(coxswain::json::parse(coxswain::json::write(decoded->value), options).ok());
  return 0;
}
