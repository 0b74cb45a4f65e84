#include "libs/store/raft/message_codec.h"

#include <limits>

#include "libs/common/base/wire.h"

namespace coxswain::store::raft {
namespace {

constexpr std::uint8_t kReject = 1, kTransfer = 2;
constexpr auto kLastKind = static_cast<std::uint64_t>(MessageKind::kTransfer);
constexpr auto kLastEntryKind = static_cast<std::uint64_t>(EntryKind::kConfiguration);

void put_entries(std::string* out, const std::vector<Entry>& entries) {
  put_varint(out, entries.size());
  for (const Entry& entry : entries) {
    put_varint(out, entry.term);
    put_varint(out, static_cast<std::uint64_t>(entry.kind));
    put_bytes(out, entry.data == nullptr ? std::string_view() : *entry.data);
  }
}

Entry read_entry(WireReader& reader, Index index) {
  Entry entry;
  entry.index = index;
  entry.term = reader.varint();
  const std::uint64_t kind = reader.varint();
  if (kind > kLastEntryKind) reader.fail();
  entry.kind = static_cast<EntryKind>(kind);
  const std::string_view data = reader.bytes();
  if (entry.kind == EntryKind::kConfiguration) {
    const Result<Configuration> configuration = decode_configuration(data);
    if (!configuration.ok() || configuration->voters.empty()) reader.fail();
  }
  if (!data.empty()) entry.data = std::make_shared<const std::string>(data);
  return entry;
}

// Terms never fall, from the entry before the first one up to the message's own.
void read_entries(WireReader& reader, Message* m) {
  const std::uint64_t count = reader.varint();
  if (m->index > std::numeric_limits<Index>::max() - count) reader.fail();
  Term before = m->log_term;
  for (std::uint64_t i = 1; i <= count && reader.ok(); ++i) {
    m->entries.push_back(read_entry(reader, m->index + i));
    const Term term = m->entries.back().term;
    if (term == 0 || term < before || term > m->term) reader.fail();
    before = term;
  }
}

void read_snapshot(WireReader& reader, Message* m) {
  Snapshot snapshot;
  snapshot.index = reader.varint();
  snapshot.term = reader.varint();
  Result<Configuration> configuration = decode_configuration(reader.bytes());
  const bool possible = snapshot.index > 0 && snapshot.term > 0 && snapshot.term <= m->term;
  if (!possible || !configuration.ok() || configuration->voters.empty()) return reader.fail();
  snapshot.configuration = std::move(*configuration);
  m->snapshot = std::move(snapshot);
}

}  // namespace

std::string encode_message(const Message& m) {
  std::string out;
  out.push_back(static_cast<char>(kMessageVersion));
  put_varint(&out, static_cast<std::uint64_t>(m.kind));
  put_varint(&out, (m.reject ? kReject : 0u) | (m.transfer ? kTransfer : 0u));
  for (const std::uint64_t number :
       {m.from, m.to, m.term, m.index, m.log_term, m.commit, m.commit_term, m.hint, m.context})
    put_varint(&out, number);
  if (m.kind == MessageKind::kAppend || m.kind == MessageKind::kForward) put_entries(&out, m.entries);
  if (m.kind == MessageKind::kSnapshot) {
    put_varint(&out, m.snapshot->index);
    put_varint(&out, m.snapshot->term);
    put_bytes(&out, encode_configuration(m.snapshot->configuration));
  }
  return out;
}

Result<Message> decode_message(std::string_view bytes) {
  if (bytes.empty()) return make_error(ErrorCode::kCorruption, "an empty message");
  const auto version = static_cast<std::uint8_t>(bytes.front());
  if (version != kMessageVersion) {
    return make_error(ErrorCode::kUnimplemented, "a message of version " + std::to_string(version) +
                                                     "; this member speaks version " +
                                                     std::to_string(kMessageVersion) + ": update it");
  }
  WireReader reader(bytes.substr(1));
  Message m;
  const std::uint64_t kind = reader.varint();
  if (kind > kLastKind) reader.fail();
  m.kind = static_cast<MessageKind>(kind);
  const std::uint64_t flags = reader.varint();
  if (flags > (kReject | kTransfer)) reader.fail();
  m.reject = (flags & kReject) != 0;
  m.transfer = (flags & kTransfer) != 0;
  for (std::uint64_t* number :
       {&m.from, &m.to, &m.term, &m.index, &m.log_term, &m.commit, &m.commit_term, &m.hint, &m.context})
    *number = reader.varint();
  if (m.from == kNobody || m.to == kNobody || m.term == 0) reader.fail();
  if ((m.kind == MessageKind::kAppend || m.kind == MessageKind::kForward) && reader.ok())
    read_entries(reader, &m);
  if (m.kind == MessageKind::kSnapshot && reader.ok()) read_snapshot(reader, &m);
  if (!reader.ok() || !reader.done()) return make_error(ErrorCode::kCorruption, "not a message");
  return m;
}

}  // namespace coxswain::store::raft
