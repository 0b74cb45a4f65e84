// The few messages of etcd's v3 API that the store needs (etcd's rpc.proto and kv.proto; the names are
// theirs), as protobuf. What is decoded was sent by others: anything malformed is kCorruption, fields that
// are not known are skipped, and nothing recurses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libs/common/base/result.h"

namespace coxswain::store::etcd {

struct ResponseHeader {
  std::uint64_t cluster_id = 0;
  std::uint64_t member_id = 0;
  std::int64_t revision = 0;  // of the whole etcd when it answered
};

struct KeyValue {
  std::string key;
  std::string value;
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  std::int64_t version = 0;
};

struct KeyRange {
  std::string key;
  std::string end;            // exclusive; empty: just `key`
  std::int64_t revision = 0;  // 0: now
  std::int64_t limit = 0;     // 0: all
  bool count_only = false;
};
struct RangeResponse {
  ResponseHeader header;
  std::vector<KeyValue> kvs;
  bool more = false;
  std::int64_t count = 0;  // of the range, whatever the limit
};

// Compares, what to do when all hold, and what when not: in the order they are added.
class TxnRequest {
 public:
  // An absent key has revision and version 0.
  void compare_mod_revision(std::string_view key, std::int64_t revision);
  void compare_version(std::string_view key, std::int64_t version);
  void compare_exists(std::string_view key);
  void compare_all_absent(const KeyRange& range);
  void then_put(std::string_view key, std::string_view value);
  void then_delete(std::string_view key);
  void then_txn(const TxnRequest& nested);
  void else_range(const KeyRange& range);
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};
struct TxnResponse {
  ResponseHeader header;
  bool succeeded = false;
  bool nested_succeeded = false;      // any transaction inside of it
  std::vector<RangeResponse> ranges;  // in the order of the operations; those of other kinds are empty
};

struct WatchEvent {
  bool deleted = false;
  KeyValue kv;  // of a deletion: the key and mod_revision only
};
struct WatchResponse {
  ResponseHeader header;
  bool created = false;
  bool canceled = false;
  bool fragment = false;              // more of the same follows
  std::int64_t compact_revision = 0;  // when canceled: what was asked for is older than this
  std::string cancel_reason;
  std::vector<WatchEvent> events;
};

struct StatusResponse {
  ResponseHeader header;
  std::string version;
  std::int64_t db_size = 0;
};

std::string encode_range(const KeyRange& range);
std::string encode_put(std::string_view key, std::string_view value);
std::string encode_compaction(std::int64_t revision);
// Events in fragments of etcd's request size at most, from `start_revision` on.
std::string encode_watch_create(const KeyRange& range, std::int64_t start_revision);

Result<RangeResponse> decode_range(std::string_view bytes);
Result<TxnResponse> decode_txn(std::string_view bytes);
Result<WatchResponse> decode_watch(std::string_view bytes);
Result<StatusResponse> decode_status(std::string_view bytes);
Result<ResponseHeader> decode_header_of(std::string_view bytes);  // of any other response

}  // namespace coxswain::store::etcd
