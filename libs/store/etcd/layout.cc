#include "libs/store/etcd/layout.h"

#include "libs/common/base/check.h"
#include "libs/common/base/strings.h"
#include "libs/common/base/wire.h"
#include "libs/store/mvcc/index.h"

namespace coxswain::store::etcd {
namespace {

constexpr std::string_view kFormat = "coxswain etcd store ";
constexpr std::int64_t kFormatVersion = 1;
constexpr std::size_t kMaxDeletions = 1u << 16;

void put_splice(std::string* out, std::size_t splice_at) {
  put_varint(out, splice_at == kNoSplice ? 0 : splice_at + 1);
}

std::size_t read_splice(WireReader* reader) {
  const std::uint64_t splice = reader->varint();
  return splice == 0 ? kNoSplice : static_cast<std::size_t>(splice - 1);
}

bool splice_fits(std::size_t splice_at, std::string_view value) {
  return splice_at == kNoSplice || splice_at <= value.size();
}

}  // namespace

TxnId make_txn_id(std::uint64_t process, std::uint64_t number) {
  TxnId id;
  put_big64(&id, process);
  put_big64(&id, number);
  return id;
}

std::string encode_envelope(const Envelope& envelope) {
  COX_CHECK(envelope.id.size() == kTxnIdBytes);
  std::string out = envelope.id;
  out.reserve(out.size() + envelope.value.size() + 5);
  put_splice(&out, envelope.splice_at);
  out.append(envelope.value);
  return out;
}

Result<Envelope> decode_envelope(std::string_view bytes) {
  Envelope out;
  const bool has_id = bytes.size() > kTxnIdBytes;
  WireReader reader(has_id ? bytes.substr(kTxnIdBytes) : std::string_view());
  out.id = bytes.substr(0, kTxnIdBytes);
  out.splice_at = read_splice(&reader);
  out.value = reader.rest();
  if (!has_id || !reader.ok() || !splice_fits(out.splice_at, out.value))
    return make_error(ErrorCode::kCorruption, "not a value of this store");
  return out;
}

std::string spliced(const Envelope& envelope, Revision revision) {
  std::string out;
  const std::string number = envelope.splice_at == kNoSplice ? "" : std::to_string(revision);
  out.reserve(envelope.value.size() + number.size());
  out.append(envelope.value);
  if (!number.empty()) out.insert(envelope.splice_at, number);
  return out;
}

std::string encode_last_words(const LastWords& words) {
  COX_CHECK(words.id.size() == kTxnIdBytes);
  std::string out = words.id;
  put_varint(&out, words.deletions.size());
  for (const Op& op : words.deletions) {
    put_splice(&out, op.splice_at);
    put_bytes(&out, op.key);
    put_bytes(&out, op.value);
  }
  return out;
}

Result<LastWords> decode_last_words(std::string_view bytes) {
  LastWords out;
  out.id = bytes.substr(0, kTxnIdBytes);
  WireReader reader(bytes.size() > kTxnIdBytes ? bytes.substr(kTxnIdBytes) : std::string_view());
  const std::uint64_t n = reader.varint();
  if (n > kMaxDeletions) reader.fail();
  for (std::uint64_t i = 0; i < n && reader.ok(); ++i) {
    Op op;
    op.type = Op::Type::kDelete;
    op.splice_at = read_splice(&reader);
    op.key = reader.bytes();
    op.value = reader.bytes();
    if (!splice_fits(op.splice_at, op.value)) reader.fail();
    out.deletions.push_back(std::move(op));
  }
  if (!reader.ok() || !reader.done())
    return make_error(ErrorCode::kCorruption, "not last words of this store");
  return out;
}

std::string encode_format(std::string_view identity) {
  return std::string(kFormat) + std::to_string(kFormatVersion) + " " + std::string(identity);
}

Result<void> check_format(std::string_view value) {
  std::optional<std::int64_t> version;
  if (has_prefix(value, kFormat)) {
    value.remove_prefix(kFormat.size());
    version = parse_int64(value.substr(0, value.find(' ')));
  }
  if (!version.has_value()) {
    return make_error(ErrorCode::kInvalidArgument,
                      "its format key was not written by Coxswain: choose another --etcd-prefix");
  }
  if (*version > kFormatVersion) {
    return make_error(ErrorCode::kInvalidArgument, "what is there was written by a newer release (format " +
                                                       std::to_string(*version) + "): run that release");
  }
  return {};
}

Layout::Layout(const std::string& prefix)
    : all_(prefix + "/"),
      data_(prefix + "/data/"),
      format_(prefix + "/meta/format"),
      fence_(prefix + "/meta/fence"),
      tick_(prefix + "/meta/tick"),
      compact_(prefix + "/meta/compact"),
      last_words_(prefix + "/meta/last-words/") {}

KeyRange Layout::below(const std::string& prefix) { return {prefix, prefix_end(prefix)}; }

bool Layout::is_last_words(std::string_view etcd_key) const { return has_prefix(etcd_key, last_words_); }

std::optional<std::string> Layout::key_of(std::string_view etcd_key) const {
  if (!has_prefix(etcd_key, data_) || etcd_key.size() == data_.size()) return std::nullopt;
  return std::string(etcd_key.substr(data_.size()));
}

std::string foreign_key(const std::string& etcd_key) {
  return "key " + etcd_key + " was not written by Coxswain: remove it, and keep others out of there";
}

Result<EntryPtr> entry_of(const Layout& layout, const KeyValue& kv, Revision base) {
  const auto key = layout.key_of(kv.key);
  const Result<Envelope> envelope = decode_envelope(kv.value);
  if (!key.has_value() || !envelope.ok() || kv.create_revision <= base) {
    return make_error(ErrorCode::kCorruption, foreign_key(kv.key));
  }
  const Revision revision = kv.mod_revision - base;
  return EntryPtr(
      make_entry(*key, spliced(*envelope, revision), kv.create_revision - base, revision, kv.version));
}

}  // namespace coxswain::store::etcd
