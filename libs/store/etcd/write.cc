#include "libs/store/etcd/write.h"

#include <algorithm>
#include <map>
#include <set>

#include "libs/common/base/strings.h"

namespace coxswain::store::etcd {
namespace {

bool deletes(const Op& op) { return op.type == Op::Type::kDelete; }

// Deletions that may all find nothing: each writes its last words only if it finds its key, because what
// has no effect must not take a revision.
void add_uncertain(const Layout& layout, const Txn& txn, const TxnId& id, TxnRequest* request) {
  for (std::size_t i = 0; i < txn.ops.size(); ++i) {
    TxnRequest nested;
    nested.compare_exists(layout.data(txn.ops[i].key));
    nested.then_delete(layout.data(txn.ops[i].key));
    nested.then_put(layout.last_words(i), encode_last_words({id, {txn.ops[i]}}));
    request->then_txn(nested);
  }
}

Revision mod_revision_of(const RangeResponse& range) {
  return range.kvs.empty() ? 0 : range.kvs.front().mod_revision;
}

}  // namespace

// It puts something, or deletes what a compare says is there.
bool has_certain_effect(const Txn& txn) {
  std::set<std::string_view> there;
  for (const Compare& compare : txn.compares)
    if (compare.mod_revision > 0) there.insert(compare.key);
  return std::any_of(txn.ops.begin(), txn.ops.end(),
                     [&](const Op& op) { return op.type == Op::Type::kPut || there.count(op.key) > 0; });
}

TxnRequest encode_write(const Layout& layout, const Txn& txn, const TxnId& id, Revision base,
                        Revision fence) {
  TxnRequest request;
  for (const Compare& compare : txn.compares) {
    // No key has a negative one, nor does any ever get one: what cannot hold does not.
    const Revision there = compare.mod_revision == 0 ? 0 : compare.mod_revision + base;
    request.compare_mod_revision(layout.data(compare.key), there);
    request.else_range({layout.data(compare.key)});
  }
  request.compare_mod_revision(layout.fence(), fence);
  request.else_range({layout.fence()});
  if (!has_certain_effect(txn)) {
    add_uncertain(layout, txn, id, &request);
    return request;
  }
  LastWords words{id, {}};
  for (const Op& op : txn.ops) {
    if (deletes(op)) {
      request.then_delete(layout.data(op.key));
      words.deletions.push_back(op);
    } else {
      request.then_put(layout.data(op.key), encode_envelope({id, op.splice_at, op.value}));
    }
  }
  if (!words.deletions.empty()) request.then_put(layout.last_words(0), encode_last_words(words));
  return request;
}

Result<Refusal> decode_refusal(const Layout& layout, const Txn& txn, const TxnResponse& answer,
                               Revision base) {
  if (answer.succeeded || answer.ranges.size() != txn.compares.size() + 1)
    return make_error(ErrorCode::kCorruption, "etcd answered something else than it was asked");
  Refusal out;
  out.fence = mod_revision_of(answer.ranges.back());
  out.result.revision = answer.header.revision - base;
  for (std::size_t i = 0; i < txn.compares.size(); ++i) {
    const RangeResponse& there = answer.ranges[i];
    const Revision revision = there.kvs.empty() ? 0 : mod_revision_of(there) - base;
    if (revision == txn.compares[i].mod_revision) continue;
    out.result.failed_compare = i;
    if (!there.kvs.empty()) {
      COX_ASSIGN_OR_RETURN(out.result.current, entry_of(layout, there.kvs.front(), base));
    }
    return out;
  }
  out.by_fence = true;
  return out;
}

namespace {

struct Words {
  std::map<std::string, std::string, std::less<>> by_key;
  std::vector<TxnId> ids;

  void add(const KeyValue& kv, Revision revision) {
    const Result<LastWords> words = decode_last_words(kv.value);
    if (!words.ok()) return;
    ids.push_back(words->id);
    for (const Op& op : words->deletions)
      by_key[op.key] = spliced({words->id, op.splice_at, op.value}, revision);
  }
};

EventPtr deletion(const std::string& key, const Words& words, EntryPtr previous, Revision revision) {
  const auto said = words.by_key.find(key);
  const std::string_view value = said == words.by_key.end() ? std::string_view() : said->second;
  return std::make_shared<const Event>(
      Event{Event::Type::kDelete, make_entry(key, value, 0, revision, 0), std::move(previous), revision});
}

}  // namespace

Change decode_change(const Layout& layout, const std::vector<WatchEvent>& events, const State& state,
                     Revision base) {
  Change out;
  const Revision revision = events.front().kv.mod_revision - base;
  Words words;
  for (const WatchEvent& event : events) {
    if (event.deleted) continue;
    if (layout.is_last_words(event.kv.key)) words.add(event.kv, revision);
    if (event.kv.key == layout.fence()) out.fence = event.kv.mod_revision;
    if (event.kv.key == layout.compact()) out.compacting = parse_int64(event.kv.value).value_or(0);
  }
  for (const WatchEvent& event : events) {
    auto key = layout.key_of(event.kv.key);
    if (!key.has_value()) continue;
    Revision ignored = 0;
    EntryPtr previous = state.find(*key, &ignored, &ignored);
    Result<EntryPtr> entry = event.deleted ? Result<EntryPtr>(nullptr) : entry_of(layout, event.kv, base);
    if (!entry.ok()) out.foreign.push_back(event.kv.key);
    if (entry.ok() && *entry != nullptr) {
      words.ids.push_back(decode_envelope(event.kv.value)->id);
      out.plan.events.push_back(std::make_shared<const Event>(
          Event{Event::Type::kPut, *std::move(entry), std::move(previous), revision}));
    } else if (previous != nullptr) {
      out.plan.events.push_back(deletion(*std::move(key), words, std::move(previous), revision));
    }
  }
  out.plan.result.succeeded = true;
  out.plan.result.revision = revision;
  std::sort(words.ids.begin(), words.ids.end());
  words.ids.erase(std::unique(words.ids.begin(), words.ids.end()), words.ids.end());
  out.ids = std::move(words.ids);
  return out;
}

TxnResult result_of(const Txn& txn, const std::vector<EventPtr>& events, Revision revision) {
  TxnResult out;
  out.succeeded = true;
  out.revision = revision;
  std::map<std::string_view, EntryPtr> by_key;
  for (const EventPtr& event : events) by_key[event->entry->key] = event->entry;
  for (const Op& op : txn.ops) {
    const auto it = by_key.find(op.key);
    out.entries.push_back(it == by_key.end() ? nullptr : it->second);
  }
  return out;
}

}  // namespace coxswain::store::etcd
