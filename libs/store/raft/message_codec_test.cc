#include "libs/store/raft/message_codec.h"

#include <catch2/catch.hpp>

#include "libs/common/base/wire.h"

using namespace coxswain;               // NOLINT: a test
using namespace coxswain::store::raft;  // NOLINT

namespace {

Payload bytes(const char* text) { return std::make_shared<const std::string>(text); }

Message append() {
  Message m;
  m.from = 1;
  m.to = 2;
  m.term = 7;
  m.index = 300;
  m.log_term = 5;
  m.commit = 299;
  Configuration configuration;
  configuration.voters = {1, 2, 900};
  m.entries = {{5, 301, EntryKind::kData, bytes("x")},
               {7, 302, EntryKind::kData, nullptr},
               {7, 303, EntryKind::kConfiguration,
                std::make_shared<const std::string>(encode_configuration(configuration))}};
  return m;
}

Message snapshot() {
  Message m;
  m.kind = MessageKind::kSnapshot;
  m.from = 3;
  m.to = 1;
  m.term = 9;
  m.snapshot = Snapshot{1u << 20, 8, {{1, 3}, {1, 2}, {4}, {2}}};
  return m;
}

bool refused(const Message& m) {
  const Result<Message> read = decode_message(encode_message(m));
  return !read.ok() && read.error().code == ErrorCode::kCorruption;
}

}  // namespace

TEST_CASE("a message comes out as it went in") {
  const Result<Message> a = decode_message(encode_message(append()));
  REQUIRE(a.ok());
  CHECK(a->entries.size() == 3);
  CHECK(a->entries[0].index == 301);
  CHECK(*a->entries[0].data == "x");
  CHECK(a->entries[1].data == nullptr);
  CHECK(a->entries[2].kind == EntryKind::kConfiguration);
  CHECK(a->entries[2].term == 7);
  CHECK(encode_message(*a) == encode_message(append()));

  const Result<Message> s = decode_message(encode_message(snapshot()));
  REQUIRE(s.ok());
  REQUIRE(s->snapshot.has_value());
  CHECK(s->snapshot->index == 1u << 20);
  CHECK(s->snapshot->configuration == snapshot().snapshot->configuration);

  for (int kind = 0; kind <= static_cast<int>(MessageKind::kReadIndexReply); ++kind) {
    Message m = kind == static_cast<int>(MessageKind::kSnapshot) ? snapshot() : Message{};
    m.kind = static_cast<MessageKind>(kind);
    m.from = ~0ull;
    m.to = 1;
    m.term = 12;
    m.index = 1;
    m.log_term = 3;
    m.commit = 4;
    m.commit_term = 6;
    m.hint = 5;
    m.context = ~0ull - 1;
    m.reject = kind % 2 == 0;
    m.transfer = kind % 3 == 0;
    INFO("kind " << kind);
    const Result<Message> read = decode_message(encode_message(m));
    REQUIRE(read.ok());
    CHECK(read->from == m.from);
    CHECK(read->context == m.context);
    CHECK(read->hint == 5);
    CHECK(read->commit_term == 6);
    CHECK(read->reject == m.reject);
    CHECK(read->transfer == m.transfer);
    CHECK(encode_message(*read) == encode_message(m));
  }
}

TEST_CASE("what makes no sense in itself is no message") {
  const auto with = [](Message m, auto change) {
    change(m);
    return m;
  };
  CHECK_FALSE(refused(append()));
  CHECK(refused(with(append(), [](Message& m) { m.from = 0; })));
  CHECK(refused(with(append(), [](Message& m) { m.to = 0; })));
  CHECK(refused(with(append(), [](Message& m) { m.term = 0; })));
  CHECK(refused(with(append(), [](Message& m) { m.term = 6; })));             // an entry of the future
  CHECK(refused(with(append(), [](Message& m) { m.log_term = 6; })));         // a term that falls
  CHECK(refused(with(append(), [](Message& m) { m.entries[1].term = 4; })));  // the same, within
  CHECK(refused(with(append(), [](Message& m) { m.entries[0].term = 0; })));
  CHECK(refused(with(append(), [](Message& m) { m.index = ~0ull - 1; })));  // indexes that overflow
  CHECK(refused(with(append(), [](Message& m) { m.entries[2].data = bytes("?"); })));
  CHECK(refused(with(append(), [](Message& m) { m.entries[2].data = nullptr; })));
  CHECK(refused(with(snapshot(), [](Message& m) { m.snapshot->index = 0; })));
  CHECK(refused(with(snapshot(), [](Message& m) { m.snapshot->term = 10; })));
  CHECK(refused(with(snapshot(), [](Message& m) { m.snapshot->configuration = {}; })));
}

TEST_CASE("every cut and every wrong byte is survived, and cuts are noticed") {
  for (const Message& m : {append(), snapshot()}) {
    const std::string whole = encode_message(m);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      INFO(size);
      CHECK_FALSE(decode_message(std::string_view(whole).substr(0, size)).ok());
    }
    CHECK_FALSE(decode_message(whole + "x").ok());
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string wrong = whole;
        wrong[at] = static_cast<char>(wrong[at] ^ 1 << bit);
        const Result<Message> read = decode_message(wrong);
        if (read.ok()) CHECK(decode_message(encode_message(*read)).ok());
      }
    }
  }
}

TEST_CASE("a newer version is named, and a length that lies costs nothing") {
  std::string newer = encode_message(append());
  newer[0] = 2;
  const Result<Message> read = decode_message(newer);
  REQUIRE_FALSE(read.ok());
  CHECK(read.error().code == ErrorCode::kUnimplemented);
  CHECK(read.error().message.find("version 2") != std::string::npos);

  Message m = append();
  m.entries.clear();
  std::string lies = encode_message(m);
  lies.pop_back();  // the count
  put_varint(&lies, 1ull << 60);
  CHECK_FALSE(decode_message(lies).ok());
}
