#include "services/controller-manager/deployment_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "libs/client/codec.h"
#include "libs/common/base/strings.h"

namespace coxswain::controllers {
namespace {

using api::apps::v1::DeploymentCondition;
using api::apps::v1::DeploymentStatus;

std::int32_t desired_of(const Deployment& d) { return std::max(0, d.spec.replicas.value_or(1)); }
std::int32_t size_of(const ReplicaSet& set) { return std::max(0, set.spec.replicas.value_or(1)); }

std::int32_t resolve(const std::optional<api::IntOrString>& value, std::int32_t total, bool round_up) {
  if (!value) {  // the API's default: 25%
    return static_cast<std::int32_t>(round_up ? std::ceil(total * 0.25) : std::floor(total * 0.25));
  }
  if (value->is_int) return std::max(0, value->int_value);
  std::string_view text = value->string_value;
  if (!text.empty() && text.back() == '%') text.remove_suffix(1);
  const double part = static_cast<double>(parse_int64(text).value_or(0)) * total / 100;
  return static_cast<std::int32_t>(std::max(0.0, round_up ? std::ceil(part) : std::floor(part)));
}

std::int32_t annotation_int(const ReplicaSet& set, std::string_view key) {
  const auto it = set.metadata.annotations.find(std::string(key));
  if (it == set.metadata.annotations.end()) return 0;
  return static_cast<std::int32_t>(parse_int64(it->second).value_or(0));
}

bool older(const ReplicaSet* a, const ReplicaSet* b) {
  const auto at = a->metadata.creationTimestamp.unix_ms;
  const auto bt = b->metadata.creationTimestamp.unix_ms;
  return at != bt ? at < bt : a->metadata.name < b->metadata.name;
}

const DeploymentCondition* find(const std::vector<DeploymentCondition>& conditions, std::string_view type) {
  for (const auto& condition : conditions) {
    if (condition.type == type) return &condition;
  }
  return nullptr;
}

// One planning round: what exists, and the sizes as this round leaves them.
class Round {
 public:
  Round(const Deployment& d, const std::vector<ReplicaSet>& sets, bool old_pods_alive, std::int64_t now)
      : d_(d),
        old_pods_alive_(old_pods_alive),
        now_(now),
        desired_(desired_of(d)),
        limits_(rolling_limits(d)) {
    const json::Value wanted = comparable_template(d.spec.template_);
    std::vector<const ReplicaSet*> sorted;
    for (const auto& set : sets) sorted.push_back(&set);
    std::sort(sorted.begin(), sorted.end(), older);
    for (const auto* set : sorted) {
      entries_.push_back({set, size_of(*set), {}, {}});
      if (new_ == kNone && comparable_template(set->spec.template_) == wanted) new_ = entries_.size() - 1;
    }
  }

  DeploymentPlan run();

 private:
  struct Entry {
    const ReplicaSet* set;
    std::int32_t size;  // wanted spec.replicas
    std::map<std::string, std::string> annotations;
    std::optional<std::int32_t> min_ready;
  };
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  bool has_new() const { return new_ != kNone; }
  Entry& newest() { return entries_[new_]; }
  bool is_old(std::size_t i) const { return i != new_; }
  bool rolling() const { return d_.spec.strategy.type != "Recreate"; }
  std::int32_t max_surge() const { return rolling() ? limits_.surge : 0; }
  std::int32_t max_unavailable() const {
    if (!rolling() || desired_ == 0) return 0;
    return std::min(limits_.unavailable, desired_);
  }
  std::int32_t total(bool old_only) const;
  std::int32_t surge_room() const;
  void scale_to(Entry& entry, std::int32_t size);
  void mark_size(Entry& entry);
  void sync_revision();
  void create_new();
  std::int32_t first_size() const;
  bool scaling_event() const;
  void scale_all();
  void scale_proportionally();
  void roll();
  void shrink_old();
  void recreate();
  void clean_up();
  DeploymentStatus status() const;
  void judge_progress(DeploymentStatus& status);
  void judge_pause(DeploymentStatus& status) const;
  void set_condition(DeploymentStatus& status, DeploymentCondition condition) const;
  bool complete(const DeploymentStatus& status) const;

  const Deployment& d_;
  const bool old_pods_alive_;
  const std::int64_t now_;
  const std::int32_t desired_;
  const RollingLimits limits_;
  std::vector<Entry> entries_;  // oldest first
  std::size_t new_ = kNone;
  DeploymentPlan plan_;
};

std::int32_t Round::total(bool old_only) const {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (!old_only || is_old(i)) sum += entries_[i].size;
  }
  return sum;
}

// How many pods may be added now. A set that was told to shrink may still have its pods: until its
// controller has reported, they count, and nothing is added.
std::int32_t Round::surge_room() const {
  std::int32_t occupied = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const ReplicaSet& set = *entries_[i].set;
    if (is_old(i) && set.status.observedGeneration < set.metadata.generation) return 0;
    occupied += std::max(entries_[i].size, set.status.replicas);
  }
  return std::max(0, desired_ + limits_.surge - occupied);
}

void Round::mark_size(Entry& entry) {
  const auto put = [&](std::string_view key, std::int32_t value) {
    const auto it = entry.set->metadata.annotations.find(std::string(key));
    const std::string text = std::to_string(value);
    if (it == entry.set->metadata.annotations.end() || it->second != text)
      entry.annotations[std::string(key)] = text;
  };
  put(kDesiredAnnotation, desired_);
  put(kMaxAnnotation, desired_ + max_surge());
}

void Round::scale_to(Entry& entry, std::int32_t size) {
  entry.size = std::max(0, size);
  mark_size(entry);
}

// The new set carries the highest revision; a set that becomes new again (a rollback) moves up.
void Round::sync_revision() {
  std::int64_t highest_old = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (is_old(i)) highest_old = std::max(highest_old, revision_of(entries_[i].set->metadata.annotations));
  }
  const std::string next = std::to_string(highest_old + 1);
  if (!has_new()) {
    plan_.revision = next;
    return;
  }
  Entry& entry = newest();
  const auto& annotations = entry.set->metadata.annotations;
  const std::int64_t current = revision_of(annotations);
  if (current < highest_old + 1) {
    entry.annotations[std::string(kRevisionAnnotation)] = next;
    if (current > 0) {
      const auto history = annotations.find(std::string(kRevisionHistoryAnnotation));
      const std::string old = std::to_string(current);
      entry.annotations[std::string(kRevisionHistoryAnnotation)] =
          history == annotations.end() || history->second.empty() ? old : history->second + "," + old;
    }
    plan_.revision = next;
  } else {
    plan_.revision = std::to_string(current);
  }
  for (const auto& [key, value] : d_.metadata.annotations) {  // change-cause and the user's own
    if (key == "kubectl.kubernetes.io/last-applied-configuration" || key == kRevisionAnnotation ||
        key == kRevisionHistoryAnnotation || key == kDesiredAnnotation || key == kMaxAnnotation) {
      continue;
    }
    const auto it = annotations.find(key);
    if (it == annotations.end() || it->second != value) entry.annotations[key] = value;
  }
  if (entry.set->spec.minReadySeconds != d_.spec.minReadySeconds) entry.min_ready = d_.spec.minReadySeconds;
}

std::int32_t Round::first_size() const {
  if (!rolling()) return desired_;
  return std::min(surge_room(), desired_);
}

void Round::create_new() {
  ReplicaSet set;
  const std::string hash = template_hash(d_.spec.template_, d_.status.collisionCount);
  set.metadata.name = d_.metadata.name + "-" + hash;
  set.metadata.namespace_ = d_.metadata.namespace_;
  set.metadata.labels = d_.spec.template_.metadata.labels;
  set.metadata.labels[std::string(kHashLabel)] = hash;
  for (const auto& [key, value] : d_.metadata.annotations) {
    if (key != "kubectl.kubernetes.io/last-applied-configuration" && key != kRevisionHistoryAnnotation) {
      set.metadata.annotations[key] = value;
    }
  }
  set.metadata.annotations[std::string(kRevisionAnnotation)] = plan_.revision;
  set.metadata.annotations[std::string(kDesiredAnnotation)] = std::to_string(desired_);
  set.metadata.annotations[std::string(kMaxAnnotation)] = std::to_string(desired_ + max_surge());
  api::meta::v1::OwnerReference owner;
  owner.apiVersion = "apps/v1";
  owner.kind = "Deployment";
  owner.name = d_.metadata.name;
  owner.uid = d_.metadata.uid;
  owner.controller = true;
  owner.blockOwnerDeletion = true;
  set.metadata.ownerReferences.push_back(owner);
  set.spec.replicas = first_size();
  set.spec.minReadySeconds = d_.spec.minReadySeconds;
  set.spec.selector = d_.spec.selector.value_or(api::meta::v1::LabelSelector{});
  set.spec.selector->matchLabels[std::string(kHashLabel)] = hash;
  set.spec.template_ = d_.spec.template_;
  set.spec.template_.metadata.labels[std::string(kHashLabel)] = hash;
  plan_.create = std::move(set);
}

bool Round::scaling_event() const {
  for (const auto& entry : entries_) {
    if (entry.size == 0) continue;
    const auto& annotations = entry.set->metadata.annotations;
    if (annotations.count(std::string(kDesiredAnnotation)) &&
        annotation_int(*entry.set, kDesiredAnnotation) != desired_) {
      return true;
    }
  }
  return false;
}

void Round::scale_all() {
  std::vector<std::size_t> active;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].size > 0) active.push_back(i);
  }
  if (active.size() <= 1) {
    std::size_t only = has_new() ? new_ : entries_.empty() ? kNone : entries_.size() - 1;
    if (active.size() == 1) only = active.front();
    if (only != kNone && entries_[only].size != desired_) scale_to(entries_[only], desired_);
    return;
  }
  if (has_new() && newest().size == desired_ &&
      annotation_int(*newest().set, kDesiredAnnotation) == desired_ &&
      newest().set->status.availableReplicas == desired_) {
    for (const std::size_t i : active) {
      if (is_old(i)) scale_to(entries_[i], 0);
    }
    return;
  }
  if (rolling()) scale_proportionally();
}

// In the middle of a rollout a new size is shared out among the sets by their sizes, to spread risk.
void Round::scale_proportionally() {
  const std::int32_t allowed = desired_ > 0 ? desired_ + max_surge() : 0;
  const std::int32_t to_add = allowed - total(false);
  std::vector<Entry*> sets;
  for (auto& entry : entries_) {
    if (entry.size > 0) sets.push_back(&entry);
  }
  std::sort(sets.begin(), sets.end(), [&](const Entry* a, const Entry* b) {
    if (a->size != b->size) return a->size > b->size;
    return to_add > 0 ? older(b->set, a->set) : older(a->set, b->set);
  });
  std::int32_t added = 0;
  std::vector<std::int32_t> shares(sets.size(), 0);
  for (std::size_t i = 0; i < sets.size() && to_add != 0 && added != to_add; ++i) {
    const Entry& entry = *sets[i];
    std::int32_t base = annotation_int(*entry.set, kMaxAnnotation);
    if (base <= 0) base = std::max(1, d_.status.replicas);
    const double fair = static_cast<double>(entry.size) * (desired_ + max_surge()) / base;
    const std::int32_t fraction =
        desired_ == 0 ? -entry.size : static_cast<std::int32_t>(std::lround(fair)) - entry.size;
    const std::int32_t left = to_add - added;
    shares[i] = to_add > 0 ? std::clamp(fraction, 0, left) : std::clamp(fraction, left, 0);
    added += shares[i];
  }
  if (!sets.empty()) shares[0] += to_add - added;  // what rounding left over
  for (std::size_t i = 0; i < sets.size(); ++i) scale_to(*sets[i], sets[i]->size + shares[i]);
}

void Round::roll() {
  if (!has_new()) {
    create_new();
    return;
  }
  Entry& entry = newest();
  if (entry.size > desired_) return scale_to(entry, desired_);
  if (entry.size < desired_) {
    const std::int32_t more = std::min(surge_room(), desired_ - entry.size);
    if (more > 0) return scale_to(entry, entry.size + more);
  }
  mark_size(entry);
  shrink_old();
}

// Takes old pods away as far as availability allows: broken ones first, they serve nobody.
void Round::shrink_old() {
  if (total(true) == 0) return;
  const std::int32_t least = desired_ - max_unavailable();
  const std::int32_t new_unavailable = newest().size - newest().set->status.availableReplicas;
  std::int32_t budget = total(false) - least - std::max(0, new_unavailable);
  if (budget <= 0) return;
  for (std::size_t i = 0; i < entries_.size() && budget > 0; ++i) {
    Entry& entry = entries_[i];
    if (!is_old(i) || entry.size == 0) continue;
    const std::int32_t broken = entry.size - entry.set->status.availableReplicas;
    const std::int32_t cut = std::min(budget, std::max(0, broken));
    if (cut == 0) continue;
    scale_to(entry, entry.size - cut);
    budget -= cut;
  }
  // An old set that is still shrinking counts only what its spec keeps.
  std::int32_t available = 0;
  for (const auto& entry : entries_) available += std::min(entry.set->status.availableReplicas, entry.size);
  std::int32_t spare = std::min(available - least, budget);
  for (std::size_t i = 0; i < entries_.size() && spare > 0; ++i) {
    Entry& entry = entries_[i];
    if (!is_old(i) || entry.size == 0) continue;
    const std::int32_t cut = std::min(entry.size, spare);
    scale_to(entry, entry.size - cut);
    spare -= cut;
  }
}

void Round::recreate() {
  bool scaled = false;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (!is_old(i) || entries_[i].size == 0) continue;
    scale_to(entries_[i], 0);
    scaled = true;
  }
  if (scaled || old_pods_alive_) return;
  if (!has_new()) return create_new();
  if (newest().size != desired_) scale_to(newest(), desired_);
}

void Round::clean_up() {
  const std::int32_t limit = d_.spec.revisionHistoryLimit.value_or(10);
  std::vector<const ReplicaSet*> old;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (is_old(i) && !entries_[i].set->metadata.deletionTimestamp) old.push_back(entries_[i].set);
  }
  const auto surplus = static_cast<std::int32_t>(old.size()) - limit;
  std::sort(old.begin(), old.end(), [](const ReplicaSet* a, const ReplicaSet* b) {
    return revision_of(a->metadata.annotations) < revision_of(b->metadata.annotations);
  });
  for (std::int32_t i = 0; i < surplus; ++i) {
    const ReplicaSet& set = *old[static_cast<std::size_t>(i)];
    if (set.status.replicas != 0 || size_of(set) != 0 ||
        set.metadata.generation > set.status.observedGeneration)
      continue;
    plan_.remove.push_back(set.metadata.name);
  }
}

DeploymentStatus Round::status() const {
  DeploymentStatus out;
  out.observedGeneration = d_.metadata.generation;
  out.collisionCount = d_.status.collisionCount;
  out.conditions = d_.status.conditions;
  std::int32_t sizes = 0;
  for (const auto& entry : entries_) {
    out.replicas += entry.set->status.replicas;
    out.readyReplicas += entry.set->status.readyReplicas;
    out.availableReplicas += entry.set->status.availableReplicas;
    sizes += size_of(*entry.set);
  }
  if (has_new()) out.updatedReplicas = entries_[new_].set->status.replicas;
  out.unavailableReplicas = std::max(0, sizes - out.availableReplicas);
  const bool enough = out.availableReplicas >= desired_ - max_unavailable();
  DeploymentCondition available;
  available.type = "Available";
  available.status = enough ? "True" : "False";
  available.reason = enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable";
  available.message =
      enough ? "Deployment has minimum availability." : "Deployment does not have minimum availability.";
  set_condition(out, available);
  return out;
}

void Round::set_condition(DeploymentStatus& status, DeploymentCondition condition) const {
  condition.lastUpdateTime = condition.lastTransitionTime = {now_};
  for (auto& old : status.conditions) {
    if (old.type != condition.type) continue;
    if (old.status == condition.status && old.reason == condition.reason && old.message == condition.message)
      return;
    if (old.status == condition.status) condition.lastTransitionTime = old.lastTransitionTime;
    old = condition;
    return;
  }
  status.conditions.push_back(condition);
}

bool Round::complete(const DeploymentStatus& status) const {
  return status.updatedReplicas == desired_ && status.replicas == desired_ &&
         status.availableReplicas == desired_ && status.observedGeneration >= d_.metadata.generation;
}

void Round::judge_progress(DeploymentStatus& status) {
  const std::int32_t deadline_s = d_.spec.progressDeadlineSeconds.value_or(600);
  if (deadline_s == std::numeric_limits<std::int32_t>::max()) return;
  const std::string who = has_new() ? "ReplicaSet \"" + newest().set->metadata.name + "\""
                                    : "Deployment \"" + d_.metadata.name + "\"";
  const auto* current = find(d_.status.conditions, "Progressing");
  const bool was_complete = current != nullptr && current->reason == "NewReplicaSetAvailable";
  const auto progress = [&](std::string state, std::string reason, std::string message, bool touch) {
    DeploymentCondition condition;
    condition.type = "Progressing";
    condition.status = std::move(state);
    condition.reason = std::move(reason);
    condition.message = std::move(message);
    set_condition(status, condition);
    if (!touch) return;
    for (auto& c : status.conditions) {
      if (c.type == "Progressing") c.lastUpdateTime = {now_};
    }
  };
  const DeploymentStatus& old = d_.status;
  if (has_new() && complete(status)) {
    if (!was_complete)
      progress("True", "NewReplicaSetAvailable", who + " has successfully progressed.", true);
    return;
  }
  if (was_complete && status.replicas == status.updatedReplicas && !plan_.create) {
    return;  // pods come and go, or the size changes: no rollout
  }
  const bool moved = status.updatedReplicas > old.updatedReplicas ||
                     status.replicas - status.updatedReplicas < old.replicas - old.updatedReplicas ||
                     status.readyReplicas > old.readyReplicas ||
                     status.availableReplicas > old.availableReplicas;
  if (plan_.create) {
    progress("True", "NewReplicaSetCreated",
             "Created new replica set \"" + plan_.create->metadata.name + "\"", true);
  } else if (moved || was_complete || current == nullptr || current->reason == "DeploymentResumed") {
    progress("True", "ReplicaSetUpdated", who + " is progressing.", true);
  } else if (current->reason != "ProgressDeadlineExceeded") {
    const std::int64_t left_ms = current->lastUpdateTime.unix_ms + deadline_s * 1000LL - now_;
    if (left_ms <= 0) {
      progress("False", "ProgressDeadlineExceeded", who + " has timed out progressing.", true);
    } else {
      plan_.recheck_ms = left_ms + 1000;
    }
  }
}

void Round::judge_pause(DeploymentStatus& status) const {
  const auto* current = find(status.conditions, "Progressing");
  if (current != nullptr && current->reason == "ProgressDeadlineExceeded") return;
  const bool marked = current != nullptr && current->reason == "DeploymentPaused";
  if (d_.spec.paused == marked) return;
  DeploymentCondition condition;
  condition.type = "Progressing";
  condition.status = "Unknown";
  condition.reason = d_.spec.paused ? "DeploymentPaused" : "DeploymentResumed";
  condition.message = d_.spec.paused ? "Deployment is paused" : "Deployment is resumed";
  set_condition(status, condition);
}

DeploymentPlan Round::run() {
  if (!d_.metadata.deletionTimestamp) {
    if (has_new() || !d_.spec.paused) sync_revision();
    if (d_.spec.paused || scaling_event()) {
      scale_all();
    } else if (rolling()) {
      roll();
    } else {
      recreate();
    }
  }
  plan_.status = status();
  if (!d_.metadata.deletionTimestamp) {
    judge_pause(plan_.status);
    if (!d_.spec.paused) judge_progress(plan_.status);
    if (has_new() && complete(plan_.status)) clean_up();
  }
  if (!has_new() && !plan_.create) plan_.revision.clear();
  for (const auto& entry : entries_) {
    const std::int32_t from = size_of(*entry.set);
    if (entry.size == from && entry.annotations.empty() && !entry.min_ready) continue;
    plan_.changes.push_back({entry.set->metadata.name, from, entry.size, entry.annotations, entry.min_ready});
  }
  return std::move(plan_);
}

}  // namespace

RollingLimits rolling_limits(const Deployment& deployment) {
  const auto rolling =
      deployment.spec.strategy.rollingUpdate.value_or(api::apps::v1::RollingUpdateDeployment{});
  RollingLimits limits{resolve(rolling.maxSurge, desired_of(deployment), true),
                       resolve(rolling.maxUnavailable, desired_of(deployment), false)};
  if (limits.surge == 0 && limits.unavailable == 0) limits.unavailable = 1;
  return limits;
}

json::Value comparable_template(const api::core::v1::PodTemplateSpec& pod_template) {
  json::Value out = to_json(pod_template);
  if (auto* labels = out.find_path({"metadata", "labels"})) {
    labels->erase(kHashLabel);
    if (labels->is_object() && labels->as_object().empty()) out["metadata"].erase("labels");
  }
  return out;
}

std::string template_hash(const api::core::v1::PodTemplateSpec& pod_template,
                          std::optional<std::int32_t> collisions) {
  std::string text = json::write(comparable_template(pod_template));
  if (collisions) text += "#" + std::to_string(*collisions);
  static constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string out;
  for (const char c : std::to_string(fnv1a_32(text)))
    out += kAlphabet[static_cast<unsigned char>(c) % kAlphabet.size()];
  return out;
}

std::int64_t revision_of(const std::map<std::string, std::string>& annotations) {
  const auto it = annotations.find(std::string(kRevisionAnnotation));
  return it == annotations.end() ? 0 : parse_int64(it->second).value_or(0);
}

DeploymentPlan plan_deployment(const Deployment& deployment, const std::vector<ReplicaSet>& sets,
                               bool old_pods_alive, std::int64_t now_unix_ms) {
  return Round(deployment, sets, old_pods_alive, now_unix_ms).run();
}

}  // namespace coxswain::controllers
