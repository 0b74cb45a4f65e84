// What a member reads from another one: refused, or a message that means the same after another round trip.
#include <cstddef>
#include <cstdint>

#include "libs/common/base/check.h"
#include "libs/store/raft/message_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coxswain::store::raft;  // NOLINT
  const auto message = decode_message({reinterpret_cast<const char*>(data), size});
  if (!message.ok()) return 0;
  const std::string bytes = encode_message(*message);
  const auto again = decode_message(bytes);
  COX_CHECK(again.ok() && encode_message(*again) == bytes);
  return 0;
}
