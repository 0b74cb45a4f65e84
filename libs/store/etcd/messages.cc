#include "libs/store/etcd/messages.h"

#include "libs/store/etcd/protobuf.h"

namespace coxswain::store::etcd {
namespace {

// Compare
constexpr std::int64_t kEqual = 0;
constexpr std::int64_t kGreater = 1;
constexpr std::int64_t kTargetVersion = 0;
constexpr std::int64_t kTargetCreate = 1;
constexpr std::int64_t kTargetMod = 2;
// TxnRequest
constexpr std::uint32_t kCompare = 1;
constexpr std::uint32_t kSuccess = 2;
constexpr std::uint32_t kFailure = 3;
// RequestOp
constexpr std::uint32_t kRange = 1;
constexpr std::uint32_t kPut = 2;
constexpr std::uint32_t kDelete = 3;
constexpr std::uint32_t kTxn = 4;

Error malformed(const char* what) {
  return make_error(ErrorCode::kCorruption, std::string("etcd sent a malformed ") + what);
}

std::string compare(std::int64_t result, std::int64_t target, const KeyRange& range, std::uint32_t field,
                    std::int64_t value) {
  std::string out;
  put_field(&out, 1, result);
  put_field(&out, 2, target);
  put_field(&out, 3, range.key);
  put_field(&out, field, value, true);
  if (!range.end.empty()) put_field(&out, 64, range.end);
  return out;
}

std::string operation(std::uint32_t kind, std::string_view request) {
  std::string out;
  put_field(&out, kind, request);
  return out;
}

bool read_header(std::string_view bytes, ResponseHeader* header) {
  FieldReader reader(bytes);
  while (reader.next()) {
    if (reader.field() == 1) header->cluster_id = reader.number();
    if (reader.field() == 2) header->member_id = reader.number();
    if (reader.field() == 3) header->revision = reader.integer();
  }
  return reader.ok() && header->revision >= 0;
}

bool read_kv(std::string_view bytes, KeyValue* kv) {
  FieldReader reader(bytes);
  while (reader.next()) {
    if (reader.field() == 1) kv->key = reader.bytes();
    if (reader.field() == 2) kv->create_revision = reader.integer();
    if (reader.field() == 3) kv->mod_revision = reader.integer();
    if (reader.field() == 4) kv->version = reader.integer();
    if (reader.field() == 5) kv->value = reader.bytes();
  }
  return reader.ok() && !kv->key.empty() && kv->mod_revision > 0 && kv->create_revision >= 0 &&
         kv->create_revision <= kv->mod_revision && kv->version >= 0;
}

bool read_range(std::string_view bytes, RangeResponse* out) {
  FieldReader reader(bytes);
  while (reader.next()) {
    if (reader.field() == 1 && !read_header(reader.bytes(), &out->header)) return false;
    if (reader.field() == 2 && !read_kv(reader.bytes(), &out->kvs.emplace_back())) return false;
    if (reader.field() == 3) out->more = reader.number() != 0;
    if (reader.field() == 4) out->count = reader.integer();
  }
  return reader.ok() && out->count >= 0;
}

bool read_event(std::string_view bytes, WatchEvent* event) {
  FieldReader reader(bytes);
  while (reader.next()) {
    if (reader.field() == 1) event->deleted = reader.number() != 0;
    if (reader.field() == 2 && !read_kv(reader.bytes(), &event->kv)) return false;
  }
  return reader.ok() && !event->kv.key.empty() &&
         (event->deleted || (event->kv.create_revision > 0 && event->kv.version > 0));
}

}  // namespace

void TxnRequest::compare_mod_revision(std::string_view key, std::int64_t revision) {
  put_field(&bytes_, kCompare, compare(kEqual, kTargetMod, {std::string(key)}, 6, revision));
}
void TxnRequest::compare_version(std::string_view key, std::int64_t version) {
  put_field(&bytes_, kCompare, compare(kEqual, kTargetVersion, {std::string(key)}, 4, version));
}
void TxnRequest::compare_exists(std::string_view key) {
  put_field(&bytes_, kCompare, compare(kGreater, kTargetCreate, {std::string(key)}, 5, 0));
}
void TxnRequest::compare_all_absent(const KeyRange& range) {
  put_field(&bytes_, kCompare, compare(kEqual, kTargetCreate, range, 5, 0));
}
void TxnRequest::then_put(std::string_view key, std::string_view value) {
  put_field(&bytes_, kSuccess, operation(kPut, encode_put(key, value)));
}
void TxnRequest::then_delete(std::string_view key) {
  put_field(&bytes_, kSuccess, operation(kDelete, encode_range({std::string(key)})));
}
void TxnRequest::then_txn(const TxnRequest& nested) {
  put_field(&bytes_, kSuccess, operation(kTxn, nested.bytes()));
}
void TxnRequest::else_range(const KeyRange& range) {
  put_field(&bytes_, kFailure, operation(kRange, encode_range(range)));
}

std::string encode_range(const KeyRange& range) {
  std::string out;
  put_field(&out, 1, range.key);
  if (!range.end.empty()) put_field(&out, 2, range.end);
  put_field(&out, 3, range.limit);
  put_field(&out, 4, range.revision);
  put_field(&out, 9, static_cast<std::int64_t>(range.count_only));
  return out;
}

std::string encode_put(std::string_view key, std::string_view value) {
  std::string out;
  out.reserve(key.size() + value.size() + 16);
  put_field(&out, 1, key);
  put_field(&out, 2, value);
  return out;
}

std::string encode_compaction(std::int64_t revision) {
  std::string out;
  put_field(&out, 1, revision);
  return out;
}

std::string encode_watch_create(const KeyRange& range, std::int64_t start_revision) {
  std::string create;
  put_field(&create, 1, range.key);
  put_field(&create, 2, range.end);
  put_field(&create, 3, start_revision);
  put_field(&create, 8, std::int64_t{1});  // fragment
  std::string out;
  put_field(&out, 1, create);
  return out;
}

Result<RangeResponse> decode_range(std::string_view bytes) {
  RangeResponse out;
  if (!read_range(bytes, &out)) return malformed("range");
  return out;
}

Result<TxnResponse> decode_txn(std::string_view bytes) {
  TxnResponse out;
  FieldReader reader(bytes);
  while (reader.next()) {
    if (reader.field() == 1 && !read_header(reader.bytes(), &out.header)) return malformed("transaction");
    if (reader.field() == 2) out.succeeded = reader.number() != 0;
    if (reader.field() != 3) continue;
    RangeResponse& range = out.ranges.emplace_back();
    FieldReader response(reader.bytes());
    while (response.next()) {
      if (response.field() == kRange && !read_range(response.bytes(), &range))
        return malformed("transaction");
      if (response.field() != kTxn) continue;
      FieldReader nested(response.bytes());
      while (nested.next())
        if (nested.field() == 2 && nested.number() != 0) out.nested_succeeded = true;
      if (!nested.ok()) return malformed("transaction");
    }
    if (!response.ok()) return malformed("transaction");
  }
  if (!reader.ok()) return malformed("transaction");
  return out;
}

Result<WatchResponse> decode_watch(std::string_view bytes) {
  WatchResponse out;
  FieldReader reader(bytes);
  while (reader.next()) {
    if (reader.field() == 1 && !read_header(reader.bytes(), &out.header)) return malformed("watch");
    if (reader.field() == 3) out.created = reader.number() != 0;
    if (reader.field() == 4) out.canceled = reader.number() != 0;
    if (reader.field() == 5) out.compact_revision = reader.integer();
    if (reader.field() == 6) out.cancel_reason = reader.bytes();
    if (reader.field() == 7) out.fragment = reader.number() != 0;
    if (reader.field() == 11 && !read_event(reader.bytes(), &out.events.emplace_back()))
      return malformed("event");
  }
  if (!reader.ok() || out.compact_revision < 0) return malformed("watch");
  return out;
}

Result<StatusResponse> decode_status(std::string_view bytes) {
  StatusResponse out;
  FieldReader reader(bytes);
  while (reader.next()) {
    if (reader.field() == 1 && !read_header(reader.bytes(), &out.header)) return malformed("status");
    if (reader.field() == 2) out.version = reader.bytes();
    if (reader.field() == 3) out.db_size = reader.integer();
  }
  if (!reader.ok()) return malformed("status");
  return out;
}

Result<ResponseHeader> decode_header_of(std::string_view bytes) {
  ResponseHeader header;
  FieldReader reader(bytes);
  while (reader.next())
    if (reader.field() == 1 && !read_header(reader.bytes(), &header)) return malformed("answer");
  if (!reader.ok()) return malformed("answer");
  return header;
}

}  // namespace coxswain::store::etcd
