#include "services/controller-manager/garbage_graph.h"

namespace coxswain::controllers {

const GraphObject* GarbageGraph::find(const std::string& uid) const {
  const auto it = objects_.find(uid);
  return it == objects_.end() ? nullptr : &it->second;
}

std::vector<std::string> GarbageGraph::dependents(const std::string& uid) const {
  const auto it = dependents_.find(uid);
  if (it == dependents_.end()) return {};
  return {it->second.begin(), it->second.end()};
}

void GarbageGraph::unlink(const GraphObject& object) {
  for (const auto& owner : object.owners) {
    const auto it = dependents_.find(owner.uid);
    if (it == dependents_.end()) continue;
    it->second.erase(object.uid);
    if (it->second.empty()) dependents_.erase(it);
  }
}

std::vector<std::string> GarbageGraph::upsert(GraphObject object) {
  std::unordered_set<std::string> affected;
  if (const auto it = objects_.find(object.uid); it != objects_.end()) {
    for (const auto& owner : it->second.owners) {
      const GraphObject* known = find(owner.uid);
      if (known != nullptr && known->deleting) affected.insert(owner.uid);  // may no longer be blocked
    }
    unlink(it->second);
  }
  for (const auto& owner : object.owners) {
    dependents_[owner.uid].insert(object.uid);
    const GraphObject* known = find(owner.uid);
    if (known == nullptr || known->deleting || !is_owner_of(*known, object)) affected.insert(object.uid);
  }
  if (object.deleting && (object.foreground || object.orphan)) {
    affected.insert(object.uid);
    if (object.foreground) {
      for (auto& uid : dependents(object.uid)) affected.insert(std::move(uid));
    }
  }
  const std::string uid = object.uid;
  objects_[uid] = std::move(object);
  return {affected.begin(), affected.end()};
}

std::vector<std::string> GarbageGraph::erase(const std::string& uid) {
  const auto it = objects_.find(uid);
  if (it == objects_.end()) return {};
  std::vector<std::string> affected = dependents(uid);
  for (const auto& owner : it->second.owners) {
    const GraphObject* known = find(owner.uid);
    if (known != nullptr && known->deleting && known->foreground) affected.push_back(owner.uid);
  }
  unlink(it->second);
  objects_.erase(it);
  return affected;
}

// An owner is in the dependent's namespace or has none; a uid of elsewhere is no owner.
bool GarbageGraph::is_owner_of(const GraphObject& owner, const GraphObject& object) const {
  return owner.ns.empty() || owner.ns == object.ns;
}

Verdict GarbageGraph::judge_deleting(const GraphObject& object) const {
  Verdict verdict;
  if (object.orphan) {
    verdict.action = Verdict::Action::kOrphan;
    verdict.uids = dependents(object.uid);
    return verdict;
  }
  if (!object.foreground) return verdict;
  for (const auto& uid : dependents(object.uid)) {
    const GraphObject* dependent = find(uid);
    if (dependent == nullptr || !is_owner_of(object, *dependent)) continue;
    for (const auto& owner : dependent->owners) {
      if (owner.uid == object.uid && owner.block_deletion) return verdict;
    }
  }
  verdict.action = Verdict::Action::kFinishForeground;
  return verdict;
}

Verdict GarbageGraph::judge(const std::string& uid, const std::map<std::string, bool>& presence) const {
  Verdict verdict;
  const GraphObject* object = find(uid);
  if (object == nullptr) return verdict;
  if (object->deleting) return judge_deleting(*object);
  if (object->owners.empty()) return verdict;

  bool solid = false;
  bool waiting = false;
  std::vector<std::string> droppable;
  for (const auto& owner : object->owners) {
    const GraphObject* known = find(owner.uid);
    if (known != nullptr && is_owner_of(*known, *object)) {
      if (known->deleting && known->foreground) {
        waiting = true;
        droppable.push_back(owner.uid);
      } else {
        solid = true;
      }
      continue;
    }
    const auto answer = presence.find(owner.uid);
    if (answer == presence.end()) {
      verdict.owners.push_back(owner);
    } else if (answer->second) {
      solid = true;
    } else {
      droppable.push_back(owner.uid);
    }
  }
  if (!verdict.owners.empty()) {
    verdict.action = Verdict::Action::kCheckOwners;
    return verdict;
  }
  if (solid) {
    if (droppable.empty()) return verdict;
    verdict.action = Verdict::Action::kDropOwners;
    verdict.uids = std::move(droppable);
    return verdict;
  }
  verdict.action = Verdict::Action::kDelete;
  // An owner waits for us, so our own dependents must go first too.
  verdict.policy = waiting && dependents_.count(uid) ? "Foreground" : "Background";
  if (object->orphan) verdict.policy = "Orphan";
  if (object->foreground) verdict.policy = "Foreground";
  return verdict;
}

}  // namespace coxswain::controllers
