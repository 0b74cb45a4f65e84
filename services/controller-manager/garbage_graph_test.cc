#include "services/controller-manager/garbage_graph.h"

#include <catch2/catch.hpp>

#include <algorithm>

namespace coxswain::controllers {
namespace {

using Action = Verdict::Action;

GraphObject object(const std::string& uid, std::vector<std::string> owners = {},
                   const std::string& ns = "ns") {
  GraphObject o;
  o.uid = o.name = uid;
  o.ns = ns;
  for (auto& owner : owners) o.owners.push_back({"apps/v1", "ReplicaSet", owner, owner, false, true});
  return o;
}
bool has(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

TEST_CASE("an object goes when its last owner is gone, not before") {
  GarbageGraph graph;
  graph.upsert(object("a"));
  graph.upsert(object("b"));
  CHECK(graph.upsert(object("child", {"a", "b"})).empty());
  CHECK(graph.judge("child", {}).action == Action::kNone);
  CHECK(has(graph.erase("a"), "child"));
  CHECK(graph.judge("child", {}).action == Action::kCheckOwners);  // the cache alone is not believed
  CHECK(graph.judge("child", {{"a", true}}).action == Action::kNone);
  const auto drop = graph.judge("child", {{"a", false}});
  CHECK(drop.action == Action::kDropOwners);
  CHECK(drop.uids == std::vector<std::string>{"a"});
  graph.erase("b");
  const auto verdict = graph.judge("child", {{"a", false}, {"b", false}});
  CHECK(verdict.action == Action::kDelete);
  CHECK(verdict.policy == "Background");
  CHECK(graph.judge("unknown", {}).action == Action::kNone);
}

TEST_CASE("a dependent that arrives first, or names an owner of another namespace, is judged") {
  GarbageGraph graph;
  CHECK(has(graph.upsert(object("child", {"late"})), "child"));
  graph.upsert(object("late"));
  CHECK(graph.judge("child", {}).action == Action::kNone);
  graph.upsert(object("elsewhere", {}, "other"));
  CHECK(has(graph.upsert(object("stranger", {"elsewhere"})), "stranger"));
  CHECK(graph.judge("stranger", {}).action == Action::kCheckOwners);
  graph.upsert(object("cluster", {}, ""));
  CHECK(graph.upsert(object("inside", {"cluster"})).empty());
}

TEST_CASE("foreground: dependents first, then the owner") {
  GarbageGraph graph;
  graph.upsert(object("owner"));
  graph.upsert(object("child", {"owner"}));
  graph.upsert(object("grandchild", {"child"}));
  auto owner = object("owner");
  owner.deleting = owner.foreground = true;
  const auto affected = graph.upsert(owner);
  CHECK((has(affected, "owner") && has(affected, "child")));
  CHECK(graph.judge("owner", {}).action == Action::kNone);  // blocked
  CHECK(graph.judge("child", {}).action == Action::kDelete);
  CHECK(graph.judge("child", {}).policy == "Foreground");
  CHECK(has(graph.erase("child"), "owner"));
  CHECK(graph.judge("owner", {}).action == Action::kFinishForeground);
  auto loose = object("loose", {"owner"});
  loose.owners[0].block_deletion = false;
  graph.upsert(loose);
  CHECK(graph.judge("owner", {}).action == Action::kFinishForeground);
}

TEST_CASE("orphan: dependents lose the link and stay") {
  GarbageGraph graph;
  graph.upsert(object("owner"));
  graph.upsert(object("child", {"owner"}));
  auto owner = object("owner");
  owner.deleting = owner.orphan = true;
  CHECK(has(graph.upsert(owner), "owner"));
  const auto verdict = graph.judge("owner", {});
  CHECK(verdict.action == Action::kOrphan);
  CHECK(verdict.uids == std::vector<std::string>{"child"});
  CHECK(graph.judge("child", {}).action == Action::kNone);
  graph.upsert(object("child"));
  CHECK(graph.erase("owner").empty());
  CHECK(graph.dependents("owner").empty());
}

}  // namespace
}  // namespace coxswain::controllers
