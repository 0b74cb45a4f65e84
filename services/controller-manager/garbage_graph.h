// Who owns whom in the cluster, and what follows from it; pure. Not thread-safe.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace coxswain::controllers {

struct OwnerLink {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  bool controller = false;
  bool block_deletion = false;  // blockOwnerDeletion
};

struct GraphObject {
  int resource = 0;  // the caller's number of the kind
  std::string ns;    // "" at cluster scope
  std::string name;
  std::string uid;
  std::string resource_version;
  std::vector<OwnerLink> owners;
  bool deleting = false;
  bool foreground = false;  // finalizer foregroundDeletion: dependents go first
  bool orphan = false;      // finalizer orphan: dependents stay, without the link
};

struct Verdict {
  enum class Action {
    kNone,
    kCheckOwners,       // `owners`: not in the graph; ask the server for each, judge again
    kDelete,            // with `policy`
    kDropOwners,        // unlink `uids`: they are gone, another owner stays
    kFinishForeground,  // nothing blocks any more: remove the finalizer
    kOrphan,            // unlink this object in the dependents `uids`, remove the finalizer
  } action = Action::kNone;
  std::string policy;
  std::vector<std::string> uids;
  std::vector<OwnerLink> owners;
};

class GarbageGraph {
 public:
  // Both return the uids that must be judged because of the change.
  std::vector<std::string> upsert(GraphObject object);
  std::vector<std::string> erase(const std::string& uid);

  const GraphObject* find(const std::string& uid) const;  // nullptr: not known; valid until the next change
  std::vector<std::string> dependents(const std::string& uid) const;
  // `presence`: what the server said about owners that are not in the graph, by uid. An owner of a kind
  // that is not served counts as present: deleting on ignorance is the worse mistake.
  Verdict judge(const std::string& uid, const std::map<std::string, bool>& presence) const;
  std::size_t size() const { return objects_.size(); }

 private:
  void unlink(const GraphObject& object);
  Verdict judge_deleting(const GraphObject& object) const;
  bool is_owner_of(const GraphObject& owner, const GraphObject& object) const;

  std::unordered_map<std::string, GraphObject> objects_;                         // by uid
  std::unordered_map<std::string, std::unordered_set<std::string>> dependents_;  // owner uid -> uids
};

}  // namespace coxswain::controllers
