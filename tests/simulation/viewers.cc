// Watchers, which go from one member to another and must miss nothing, and readers of old revisions.
#include <algorithm>

#include "tests/simulation/world.h"

namespace coxswain::simulation {
namespace {

constexpr std::int64_t kMs = 1000;

}  // namespace

bool World::connect(Viewer* viewer) {
  viewer->at = any_member();
  Member& m = *member(viewer->at);
  if (!m.up() || m.store().health() == store::Health::kStopped) return false;
  if (viewer->position == 0) viewer->position = m.store().state().snapshot().revision;
  if (viewer->position == 0) return false;
  auto watcher = m.store().hub()->watch(viewer->prefix, viewer->position);
  if (!watcher.ok()) {
    // kOutOfRange: that member has not got so far.
    if (watcher.error().code == ErrorCode::kCompacted) viewer->position = 0;
    return false;
  }
  viewer->watcher = *std::move(watcher);
  viewer->life = m.life();
  viewer->woken.reset();
  return true;
}

void World::view(std::size_t index) {
  at(between(2 * kMs, 40 * kMs), [this, index] { view(index); });
  Viewer& viewer = viewers_[index];
  if (chance(0.1)) read_history();
  if (viewer.watcher != nullptr) {
    const Member& m = *member(viewer.at);
    if (!m.up() || m.life() != viewer.life || chance(0.05)) viewer.watcher.reset();
  }
  if (viewer.watcher == nullptr && !connect(&viewer)) return;
  const Result<store::WatchBatch> batch = viewer.watcher->poll(1 + random_->below(8));
  if (!batch.ok()) {
    viewer.watcher.reset();
    if (batch.error().code == ErrorCode::kCompacted) viewer.position = 0;
    return;
  }
  if (viewer.woken != nullptr && !*viewer.woken && !batch->events.empty())
    fail("watch", "a watcher of \"" + viewer.prefix + "\" was not woken for revision " +
                      std::to_string(batch->events.front()->revision));
  checker_.check_watch(viewer.prefix, viewer.position, *batch);
  viewer.position = batch->progress;
  summary_.watched += batch->events.size();
  viewer.woken.reset();
  if (!batch->events.empty() || chance(0.3)) return;
  viewer.woken = std::make_shared<bool>(false);
  viewer.watcher->arm([woken = viewer.woken] { *woken = true; });
}

void World::read_history() {
  const Member& m = *member(any_member());
  if (!m.up() || m.store().health() != store::Health::kServing) return;
  const store::State::Snapshot now = m.store().state().snapshot();
  const store::Revision oldest = std::max<store::Revision>(now.compacted, 1);
  if (oldest > now.revision) return;
  const store::Revision revision = between(oldest, now.revision);
  const std::string key = "key-" + std::to_string(random_->below(4));
  const Result<store::EntryPtr> found = m.store().history()->get(key, revision);
  if (!found.ok() && found.error().code == ErrorCode::kUnavailable) return;
  if (!found.ok()) fail("history", found.error().message);
  checker_.check_history_read(key, revision, *found);
}

}  // namespace coxswain::simulation
