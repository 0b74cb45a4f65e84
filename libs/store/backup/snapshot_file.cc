#include "libs/store/backup/snapshot_file.h"

#include "libs/common/base/check.h"
#include "libs/common/base/strings.h"
#include "libs/common/base/wire.h"

namespace coxswain::store {
namespace {

constexpr std::string_view kMagic = "COXSNAP1";
constexpr std::size_t kFrameHead = 16;
constexpr std::size_t kMaxText = 1024;  // cluster id, created by
enum Kind : std::uint32_t { kHeader = 1, kEntries = 2, kTrailer = 3 };

void put_little32(std::string* out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out->push_back(static_cast<char>(value >> shift));
}

std::uint32_t get_little32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// A varint that is a revision or a count of such.
std::int64_t read_signed(WireReader& reader) {
  const std::uint64_t value = reader.varint();
  if (value > static_cast<std::uint64_t>(INT64_MAX)) reader.fail();
  return reader.ok() ? static_cast<std::int64_t>(value) : 0;
}

std::string read_text(WireReader& reader) {
  const std::string_view text = reader.bytes();
  if (text.size() > kMaxText) reader.fail();
  return std::string(reader.ok() ? text : std::string_view());
}

}  // namespace

void put_entry(std::string* out, const Entry& entry) {
  put_bytes(out, entry.key);
  put_bytes(out, entry.value);
  put_varint(out, static_cast<std::uint64_t>(entry.create_revision));
  put_varint(out, static_cast<std::uint64_t>(entry.mod_revision));
  put_varint(out, static_cast<std::uint64_t>(entry.version));
}

void StateDigest::add(const Entry& entry) {
  scratch_.clear();
  put_entry(&scratch_, entry);
  digest_.add(scratch_);
  ++count_;
}

std::string StateDigest::finish() { return hex_encode(digest_.finish()); }

// ---- writing ----

std::string SnapshotEncoder::framed(std::uint32_t kind, std::string_view payload) {
  COX_CHECK(payload.size() <= kMaxSnapshotFrame);
  std::string out;
  out.reserve(kFrameHead + payload.size());
  put_little32(&out, static_cast<std::uint32_t>(payload.size()));
  put_little32(&out, crc32c(payload));
  put_little32(&out, kind);
  put_little32(&out, crc32c(out));
  out += payload;
  return out;
}

std::string SnapshotEncoder::begin(const SnapshotHeader& header) {
  std::string payload;
  put_varint(&payload, header.version);
  put_bytes(&payload, header.cluster_id);
  put_varint(&payload, header.member);
  put_varint(&payload, static_cast<std::uint64_t>(header.revision));
  put_varint(&payload, static_cast<std::uint64_t>(header.compacted));
  put_varint(&payload, header.index);
  put_varint(&payload, header.term);
  put_varint(&payload, static_cast<std::uint64_t>(header.created_unix_ms));
  put_bytes(&payload, header.created_by);
  std::string out(kMagic);
  out += framed(kHeader, payload);
  digest_.add(out);
  return out;
}

std::string SnapshotEncoder::entries(const std::vector<EntryPtr>& entries) {
  std::string payload;
  put_varint(&payload, entries.size());
  for (const EntryPtr& entry : entries) put_entry(&payload, *entry);
  count_ += entries.size();
  std::string out = framed(kEntries, payload);
  digest_.add(out);
  return out;
}

std::string SnapshotEncoder::end() {
  std::string payload;
  put_varint(&payload, count_);
  payload += digest_.finish();
  return framed(kTrailer, payload);
}

// ---- reading ----

Error SnapshotDecoder::damaged(const std::string& what) const {
  return make_error(ErrorCode::kCorruption, "the snapshot is damaged at byte " + std::to_string(taken_) +
                                                ": " + what + "; take another one or use an older one");
}

Result<void> SnapshotDecoder::feed(std::string_view bytes) {
  if (!outcome_.ok()) return outcome_;
  buffer_.append(bytes);
  std::size_t at = 0;
  for (;;) {
    std::size_t used = 0;
    const Result<bool> stepped = step(std::string_view(buffer_).substr(at), &used);
    if (!stepped.ok()) return outcome_ = stepped.error();
    if (!*stepped) break;
    at += used;
    taken_ += used;
  }
  buffer_.erase(0, at);
  return {};
}

// One piece of the file, if all of it is there.
Result<bool> SnapshotDecoder::step(std::string_view rest, std::size_t* used) {
  if (rest.empty()) return false;
  if (expect_ == Expect::kNothing) return damaged("something follows its end");
  if (expect_ == Expect::kMagic) {
    const std::string_view begun = rest.substr(0, kMagic.size());
    if (begun != kMagic.substr(0, begun.size()))
      return make_error(ErrorCode::kInvalidArgument, "this is not a snapshot of a store");
    if (begun.size() < kMagic.size()) return false;
    digest_.add(kMagic);
    *used = kMagic.size();
    expect_ = Expect::kHeader;
    return true;
  }
  if (rest.size() < kFrameHead) return false;
  if (get_little32(rest.substr(12)) != crc32c(rest.substr(0, 12))) return damaged("a frame cannot be read");
  const std::size_t length = get_little32(rest);
  if (length > kMaxSnapshotFrame) return damaged("a frame is too long");
  if (rest.size() < kFrameHead + length) return false;
  const std::string_view payload = rest.substr(kFrameHead, length);
  if (get_little32(rest.substr(4)) != crc32c(payload)) return damaged("a checksum does not match");
  *used = kFrameHead + length;
  COX_RETURN_IF_ERROR(frame(get_little32(rest.substr(8)), rest.substr(0, *used), payload));
  return true;
}

Result<void> SnapshotDecoder::frame(std::uint32_t kind, std::string_view whole, std::string_view payload) {
  if ((kind == kHeader) != (expect_ == Expect::kHeader)) return damaged("its parts are out of order");
  if (kind == kTrailer) return read_trailer(payload);
  digest_.add(whole);
  if (kind == kHeader) return read_header(payload);
  if (kind == kEntries) return read_entries(payload);
  return damaged("a part of an unknown kind");
}

Result<void> SnapshotDecoder::read_header(std::string_view payload) {
  WireReader reader(payload);
  header_.version = reader.varint();
  if (reader.ok() && header_.version != kSnapshotVersion) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the snapshot has format " + std::to_string(header_.version) + ", this release knows " +
                          std::to_string(kSnapshotVersion) + "; use the release that made it");
  }
  header_.cluster_id = read_text(reader);
  header_.member = reader.varint();
  header_.revision = read_signed(reader);
  header_.compacted = read_signed(reader);
  header_.index = reader.varint();
  header_.term = reader.varint();
  header_.created_unix_ms = read_signed(reader);
  header_.created_by = read_text(reader);
  if (!reader.ok() || !reader.done() || header_.compacted > header_.revision)
    return damaged("its header makes no sense");
  expect_ = Expect::kEntries;
  return visitor_.header ? visitor_.header(header_) : Result<void>();
}

Result<void> SnapshotDecoder::read_entries(std::string_view payload) {
  WireReader reader(payload);
  for (std::uint64_t left = reader.varint(); left > 0 && reader.ok(); --left) {
    const std::string_view key = reader.bytes();
    const std::string_view value = reader.bytes();
    const Revision created = read_signed(reader);
    const Revision modified = read_signed(reader);
    const std::int64_t version = read_signed(reader);
    const bool sane = reader.ok() && !key.empty() && key.find('\0') == std::string_view::npos &&
                      created >= 1 && created <= modified && modified <= header_.revision && version >= 1;
    if (!sane) return damaged("an entry makes no sense");
    if (key <= last_key_) return damaged("its keys are out of order");
    last_key_.assign(key);
    const auto entry = make_entry(key, value, created, modified, version);
    state_.add(*entry);
    ++count_;
    if (visitor_.entry) COX_RETURN_IF_ERROR(visitor_.entry(entry));
  }
  if (!reader.ok() || !reader.done()) return damaged("entries cannot be read");
  return {};
}

Result<void> SnapshotDecoder::read_trailer(std::string_view payload) {
  WireReader reader(payload);
  const std::uint64_t count = reader.varint();
  if (!reader.ok() || reader.rest().size() != Sha256::kBytes) return damaged("its end cannot be read");
  if (count != count_) {
    return damaged("it has " + std::to_string(count_) + " entries and says that there are " +
                   std::to_string(count));
  }
  if (reader.rest() != digest_.finish()) return damaged("the checksum of all of it does not match");
  expect_ = Expect::kNothing;
  return {};
}

Result<SnapshotSummary> SnapshotDecoder::finish() {
  if (!outcome_.ok()) return outcome_.error();
  if (expect_ != Expect::kNothing) {
    outcome_ = make_error(ErrorCode::kCorruption,
                          "the snapshot is cut off after " + std::to_string(bytes()) +
                              " bytes; copy it again, take another one, or use an older one");
    return outcome_.error();
  }
  outcome_ = make_error(ErrorCode::kInternal, "the snapshot was read to its end");
  return SnapshotSummary{header_, count_, taken_, state_.finish()};
}

}  // namespace coxswain::store
