// How the store's keys and values look in etcd (docs/store.md, "In an external etcd"). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/store/etcd/messages.h"
#include "libs/store/store.h"

namespace coxswain::store::etcd {

// Who wrote: a process and its transaction. 16 bytes; unique.
using TxnId = std::string;
inline constexpr std::size_t kTxnIdBytes = 16;
TxnId make_txn_id(std::uint64_t process, std::uint64_t number);

// What is stored below PREFIX/data/KEY: a value without its revision, which is not known when it is written.
struct Envelope {
  TxnId id;
  std::size_t splice_at = kNoSplice;
  std::string_view value;
};
std::string encode_envelope(const Envelope& envelope);
Result<Envelope> decode_envelope(std::string_view bytes);  // kCorruption; views `bytes`
std::string spliced(const Envelope& envelope, Revision revision);

// What deletions of one transaction leave behind, below PREFIX/meta/last-words/N in the same transaction.
struct LastWords {
  TxnId id;
  std::vector<Op> deletions;  // key, value, splice_at
};
std::string encode_last_words(const LastWords& words);
Result<LastWords> decode_last_words(std::string_view bytes);  // kCorruption

// PREFIX/meta/format: which layout this is, and which store: `identity` is a random word. Its create_revision
// is the store's revision 0.
std::string encode_format(std::string_view identity);
// kInvalidArgument: a newer release wrote it, or somebody else did.
Result<void> check_format(std::string_view value);

class Layout {
 public:
  explicit Layout(const std::string& prefix);

  std::string data(std::string_view key) const { return data_ + std::string(key); }
  const std::string& format() const { return format_; }
  const std::string& fence() const { return fence_; }      // see writes.h
  const std::string& tick() const { return tick_; }        // see freshness.h
  const std::string& compact() const { return compact_; }  // see compactor.h
  std::string last_words(std::size_t n) const { return last_words_ + std::to_string(n); }
  bool is_last_words(std::string_view etcd_key) const;

  KeyRange everything() const { return below(all_); }
  KeyRange data_range(std::string_view prefix) const { return below(data(prefix)); }
  // The store's key; nullopt: not below data.
  std::optional<std::string> key_of(std::string_view etcd_key) const;

 private:
  static KeyRange below(const std::string& prefix);

  const std::string all_, data_, format_, fence_, tick_, compact_, last_words_;
};

// For people: what is wrong with it and what to do.
std::string foreign_key(const std::string& etcd_key);

// An entry of the store; `base` is etcd's revision of the store's revision 0. kCorruption: not ours.
Result<EntryPtr> entry_of(const Layout& layout, const KeyValue& kv, Revision base);

}  // namespace coxswain::store::etcd
