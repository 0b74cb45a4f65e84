#include "libs/store/model/model_store.h"

#include <map>
#include <mutex>
#include <set>

namespace coxswain::store {
namespace {

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

Error range_error(Revision revision, Revision current) {
  return make_error(ErrorCode::kOutOfRange, "revision " + std::to_string(revision) +
                                                " is in the future; the store is at " +
                                                std::to_string(current));
}

Error compacted_error(Revision revision, Revision compacted) {
  return make_error(ErrorCode::kCompacted, "revision " + std::to_string(revision) +
                                               " is gone; the oldest kept is " + std::to_string(compacted));
}

struct State {
  mutable std::mutex mutex;
  std::map<std::string, std::vector<EntryPtr>, std::less<>> versions;  // oldest first
  std::vector<std::shared_ptr<const Event>> events;
  Revision revision = 0;
  Revision compacted = 0;
  struct Armed {
    std::string prefix;
    std::function<void()> wake;
  };
  std::map<const void*, Armed> armed;
  std::int64_t watchers = 0;

  EntryPtr at(const std::vector<EntryPtr>& history, Revision when) const {
    for (auto it = history.rbegin(); it != history.rend(); ++it) {
      if ((*it)->mod_revision <= when) return (*it)->version == 0 ? nullptr : *it;
    }
    return nullptr;
  }
  EntryPtr current(std::string_view key) const {
    const auto it = versions.find(key);
    return it == versions.end() ? nullptr : at(it->second, revision);
  }
  Result<Revision> readable(Revision asked) const {
    if (asked < 0) return make_error(ErrorCode::kInvalidArgument, "negative revision");
    if (asked > revision) return range_error(asked, revision);
    if (asked != 0 && asked < compacted) return compacted_error(asked, compacted);
    return asked == 0 ? revision : asked;
  }
};

class ModelWatcher : public Watcher {
 public:
  ModelWatcher(std::shared_ptr<State> state, std::string_view prefix, Revision after)
      : state_(std::move(state)), prefix_(prefix), after_(after) {}
  ~ModelWatcher() override {
    const std::lock_guard lock(state_->mutex);
    state_->armed.erase(this);
    --state_->watchers;
  }

  Result<WatchBatch> poll(std::size_t max_events) override {
    const std::lock_guard lock(state_->mutex);
    if (after_ < state_->compacted) return compacted_error(after_, state_->compacted);
    WatchBatch batch;
    for (const auto& event : state_->events) {
      if (event->revision <= after_) continue;
      if (batch.events.size() >= max_events && event->revision != batch.events.back()->revision) {
        after_ = batch.progress = event->revision - 1;
        return batch;
      }
      if (starts_with(event->entry->key, prefix_)) batch.events.push_back(event);
    }
    after_ = batch.progress = state_->revision;
    return batch;
  }

  void arm(std::function<void()> wake) override {
    {
      const std::lock_guard lock(state_->mutex);
      bool ready = after_ < state_->compacted;
      for (const auto& event : state_->events) {
        ready = ready || (event->revision > after_ && starts_with(event->entry->key, prefix_));
      }
      if (!ready) {
        after_ = state_->revision;
        state_->armed[this] = {prefix_, std::move(wake)};
        return;
      }
    }
    wake();
  }

 private:
  const std::shared_ptr<State> state_;
  const std::string prefix_;
  Revision after_;
};

class ModelStore : public Store {
 public:
  Result<EntryPtr> get(std::string_view key, Revision revision) const override {
    const std::lock_guard lock(state_->mutex);
    COX_ASSIGN_OR_RETURN(const Revision when, state_->readable(revision));
    const auto it = state_->versions.find(key);
    EntryPtr found = it == state_->versions.end() ? nullptr : state_->at(it->second, when);
    if (found == nullptr) return make_error(ErrorCode::kNotFound, "no such key");
    return found;
  }

  Result<RangeResult> range(const RangeRequest& request) const override {
    const std::lock_guard lock(state_->mutex);
    RangeResult result;
    COX_ASSIGN_OR_RETURN(result.revision, state_->readable(request.revision));
    for (const auto& [key, history] : state_->versions) {
      if (!starts_with(key, request.prefix) || key <= request.after) continue;
      EntryPtr found = state_->at(history, result.revision);
      if (found == nullptr) continue;
      if (request.limit != 0 && result.entries.size() == request.limit) {
        result.more = true;
        ++result.remaining;
      } else {
        result.entries.push_back(std::move(found));
      }
    }
    return result;
  }

  std::int64_t count(std::string_view prefix) const override {
    return static_cast<std::int64_t>(range({std::string(prefix), "", 0, 0}).value().entries.size());
  }

  void txn(Txn txn, TxnDone done) override {
    std::vector<std::function<void()>> wakes;
    Result<TxnResult> result = apply(txn, &wakes);
    done(std::move(result));
    for (const auto& wake : wakes) wake();
  }

  Result<std::unique_ptr<Watcher>> watch(std::string_view prefix, Revision after) override {
    const std::lock_guard lock(state_->mutex);
    COX_ASSIGN_OR_RETURN(const Revision from, state_->readable(after));
    ++state_->watchers;
    return std::unique_ptr<Watcher>(std::make_unique<ModelWatcher>(state_, prefix, from));
  }

  Result<void> compact(Revision revision) override {
    const std::lock_guard lock(state_->mutex);
    if (revision > state_->revision) return range_error(revision, state_->revision);
    state_->compacted = std::max(state_->compacted, revision);
    return {};
  }

  Revision revision() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->revision;
  }

  Stats stats() const override {
    Stats stats;
    stats.keys = count("");
    const std::lock_guard lock(state_->mutex);
    stats.revision = state_->revision;
    stats.compacted = state_->compacted;
    stats.watchers = state_->watchers;
    return stats;
  }

 private:
  Result<TxnResult> apply(const Txn& txn, std::vector<std::function<void()>>* wakes) {
    std::set<std::string_view> keys;
    for (const Op& op : txn.ops) {
      if (op.key.empty() || !keys.insert(op.key).second ||
          (op.splice_at != kNoSplice && op.splice_at > op.value.size())) {
        return make_error(ErrorCode::kInvalidArgument, "bad transaction");
      }
    }
    const std::lock_guard lock(state_->mutex);
    TxnResult result;
    result.revision = state_->revision;
    for (std::size_t i = 0; i < txn.compares.size(); ++i) {
      EntryPtr current = state_->current(txn.compares[i].key);
      if ((current == nullptr ? 0 : current->mod_revision) == txn.compares[i].mod_revision) continue;
      result.failed_compare = i;
      result.current = std::move(current);
      return result;
    }
    result.succeeded = true;
    const Revision next = state_->revision + 1;
    for (const Op& op : txn.ops) result.entries.push_back(apply_op(op, next, wakes));
    for (const auto& entry : result.entries) {
      if (entry != nullptr) result.revision = state_->revision = next;
    }
    return result;
  }

  EntryPtr apply_op(const Op& op, Revision next, std::vector<std::function<void()>>* wakes) {
    EntryPtr previous = state_->current(op.key);
    const bool put = op.type == Op::Type::kPut;
    if (!put && previous == nullptr) return nullptr;
    std::string value = op.value;
    if (op.splice_at != kNoSplice) value.insert(op.splice_at, std::to_string(next));
    const Revision created = !put ? 0 : previous != nullptr ? previous->create_revision : next;
    const std::int64_t version = !put ? 0 : previous != nullptr ? previous->version + 1 : 1;
    auto entry = make_entry(op.key, value, created, next, version);
    state_->versions[op.key].push_back(entry);
    state_->events.push_back(std::make_shared<const Event>(
        Event{put ? Event::Type::kPut : Event::Type::kDelete, entry, std::move(previous), next}));
    for (auto it = state_->armed.begin(); it != state_->armed.end();) {
      if (!starts_with(op.key, it->second.prefix)) {
        ++it;
        continue;
      }
      wakes->push_back(std::move(it->second.wake));
      it = state_->armed.erase(it);
    }
    return entry;
  }

  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace

std::unique_ptr<Store> make_model_store() { return std::make_unique<ModelStore>(); }

}  // namespace coxswain::store
