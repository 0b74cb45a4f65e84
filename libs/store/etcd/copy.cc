#include "libs/store/etcd/copy.h"

#include <algorithm>

namespace coxswain::store::etcd {
namespace {

constexpr std::size_t kMaxRevisionBytes = 64u << 20;  // one transaction's events

}  // namespace

Copy::Copy(const Layout& layout, const StoreLimits& limits)
    : layout_(layout), hub_(std::make_shared<Hub>(limits.history_events, limits.history_bytes)) {}

void Copy::load(std::unique_ptr<State> fresh, std::set<std::string> foreign, Revision base, Revision revision,
                Revision compacted) {
  const Revision oldest = std::max(state_.snapshot().compacted, compacted - base);
  fresh->load_revisions(revision - base, oldest);
  // The hub first: what is older than its new floor is then read from etcd, not undone from another state.
  if (loaded_) {
    hub_->restart(revision - base, oldest);
  } else {
    hub_->start(nullptr, revision - base, oldest);
  }
  state_.replace(std::move(*fresh));
  foreign_ = std::move(foreign);
  loaded_ = true;
  base_ = base;
  applied_ = revision;
  interrupted();
}

Result<void> Copy::feed(WatchResponse response, Hub::Wakes* wakes, const Changed& changed) {
  for (WatchEvent& event : response.events) {
    const Revision revision = event.kv.mod_revision;
    if (!partial_.empty() && revision != partial_.front().kv.mod_revision) apply_partial(wakes, changed);
    if (revision <= applied_)
      return make_error(ErrorCode::kCorruption,
                        "its watch goes back to revision " + std::to_string(revision));
    partial_bytes_ += event.kv.key.size() + event.kv.value.size() + sizeof event;
    if (partial_bytes_ > kMaxRevisionBytes)
      return make_error(ErrorCode::kResourceExhausted, "one transaction changes more than 64 MiB");
    partial_.push_back(std::move(event));
  }
  if (!response.fragment && !partial_.empty()) apply_partial(wakes, changed);
  return {};
}

void Copy::apply_partial(Hub::Wakes* wakes, const Changed& changed) {
  Change change = decode_change(layout_, partial_, state_, base_);
  applied_ = partial_.front().kv.mod_revision;
  for (const WatchEvent& event : partial_) foreign_.erase(event.kv.key);
  foreign_.insert(change.foreign.begin(), change.foreign.end());
  interrupted();
  if (change.compacting > base_)
    change.plan.compact_to = std::min(change.compacting - base_, change.plan.result.revision);
  hub_->publish(change.plan, &state_, wakes);
  hub_->trim();
  changed(change);
}

void Copy::compacted(Revision revision) {
  State::Plan plan;
  plan.result.revision = applied_ - base_;
  plan.compact_to = revision - base_;
  Hub::Wakes none;
  hub_->publish(plan, &state_, &none);
}

}  // namespace coxswain::store::etcd
