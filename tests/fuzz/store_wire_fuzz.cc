// Everything else that one member reads from another, or a log or state from its disk: refused, or the same after
// another round trip. The first byte says what it is.
#include <cstddef>
#include <cstdint>

#include "libs/common/base/check.h"
#include "libs/store/engine/rows.h"
#include "libs/store/mvcc/command.h"
#include "libs/store/peer/handshake.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coxswain::store;  // NOLINT
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      if (const auto rows = decode_rows(bytes); rows.ok()) COX_CHECK(decode_rows(encode_rows(*rows)).ok());
      break;
    case 1:
      if (const auto hello = decode_hello(bytes); hello.ok())
        COX_CHECK(decode_hello(encode_hello(*hello))->cluster == hello->cluster);
      break;
    case 2:
      (void)decode_answer(bytes);
      if (const auto length = frame_length(bytes); length.ok()) COX_CHECK(*length <= kMaxFrameBytes);
      break;
    case 3:
      if (const auto sessions = Sessions::decode(bytes); sessions.ok())
        COX_CHECK(Sessions::decode(sessions->encode()).value() == *sessions);
      break;
    default:
      (void)decode_command(bytes);
  }
  return 0;
}
