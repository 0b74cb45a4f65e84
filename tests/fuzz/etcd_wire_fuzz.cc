// What an external etcd sends, and what is found in it: refused, or understood and the same after a round
// trip. The first byte says what it is.
#include <cstddef>
#include <cstdint>

#include "libs/common/base/check.h"
#include "libs/store/etcd/copy.h"
#include "libs/store/etcd/grpc.h"
#include "libs/store/etcd/layout.h"
#include "libs/store/etcd/messages.h"

namespace {

using namespace coxswain::store;        // NOLINT
using namespace coxswain::store::etcd;  // NOLINT

void values(std::string_view bytes) {
  if (const auto envelope = decode_envelope(bytes); envelope.ok()) {
    const std::string again = encode_envelope(*envelope);
    COX_CHECK(decode_envelope(again)->value == envelope->value);
    COX_CHECK(decode_envelope(again)->splice_at == envelope->splice_at);
    (void)spliced(*envelope, 1);
  }
  if (const auto words = decode_last_words(bytes); words.ok())
    COX_CHECK(decode_last_words(encode_last_words(*words))->deletions.size() == words->deletions.size());
  (void)check_format(bytes);
  (void)decode_grpc_message(bytes);
}

// The pieces do not matter.
void messages(std::string_view bytes) {
  MessageReader whole(1024);
  MessageReader pieces(1024);
  const bool good = whole.append(bytes).ok();
  std::string one;
  std::string other;
  while (auto message = whole.next()) one += *message + "|";
  for (const char c : bytes) {
    if (!pieces.append({&c, 1}).ok()) break;
    while (auto message = pieces.next()) other += *message + "|";
  }
  if (good && whole.append({}).ok()) COX_CHECK(one == other);
}

void session(std::string_view bytes) {
  GrpcOptions options;
  options.authority = "etcd";
  options.max_message_bytes = 1024;
  const auto session = open_grpc_session(options);
  (void)session->call("/a", "x", false);
  (void)session->call("/b", "x", true);
  while (!session->output().empty()) {
  }
  while (!bytes.empty()) {
    const std::size_t n = std::min<std::size_t>(bytes.size(), 100);
    const auto events = session->receive(bytes.substr(0, n));
    if (!events.ok()) return;
    for (const GrpcEvent& event : *events) COX_CHECK(event.message.size() <= 1024);
    while (!session->output().empty()) {
    }
    bytes.remove_prefix(n);
  }
}

void watch(std::string_view bytes) {
  const auto response = decode_watch(bytes);
  if (!response.ok()) return;
  const Layout layout("/c");
  Copy copy(layout, StoreLimits{});
  copy.load(std::make_unique<State>(), {}, 1, 1, 0);
  Hub::Wakes wakes;
  Revision last = 1;
  (void)copy.feed(*response, &wakes, [&](const Change&) {
    COX_CHECK(copy.applied() > last);
    last = copy.applied();
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      (void)decode_range(bytes);
      (void)decode_txn(bytes);
      (void)decode_status(bytes);
      (void)decode_header_of(bytes);
      break;
    case 1:
      watch(bytes);
      break;
    case 2:
      values(bytes);
      break;
    case 3:
      messages(bytes);
      break;
    default:
      session(bytes);
  }
  return 0;
}
