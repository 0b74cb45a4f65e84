// The planners of Deployment and ReplicaSet drive an in-memory world with random pod readiness, random
// lag of what they see, and users who change size and template in the middle. One seed, one run.
#include <catch2/catch.hpp>

#include <algorithm>

#include "libs/client/codec.h"
#include "libs/client/selector.h"
#include "libs/common/base/clock.h"
#include "services/controller-manager/deployment_plan.h"
#include "services/controller-manager/replicaset_plan.h"

namespace coxswain::controllers {
namespace {

struct World {
  explicit World(std::uint64_t seed) : random(seeded_random(seed)) {
    d.metadata.name = "web";
    d.metadata.namespace_ = "ns";
    d.metadata.uid = "d";
    d.metadata.generation = 1;
    d.spec.replicas = 1 + static_cast<int>(random->below(12));
    d.spec.selector.emplace().matchLabels = {{"app", "web"}};
    d.spec.template_.metadata.labels = {{"app", "web"}};
    set_image(0);
    auto& rolling = d.spec.strategy.rollingUpdate.emplace();
    static const char* kPercents[] = {"0%", "25%", "50%", "100%"};
    rolling.maxSurge = random->below(2) ? api::IntOrString::of(static_cast<int>(random->below(4)))
                                        : api::IntOrString::of(std::string(kPercents[random->below(4)]));
    rolling.maxUnavailable = random->below(2)
                                 ? api::IntOrString::of(static_cast<int>(random->below(4)))
                                 : api::IntOrString::of(std::string(kPercents[random->below(4)]));
  }
  void set_image(int version) {
    d.spec.template_.spec.containers.resize(1);
    d.spec.template_.spec.containers[0].name = "c";
    d.spec.template_.spec.containers[0].image = "app:" + std::to_string(version);
    ++d.metadata.generation;
  }
  void deployment_step() {
    const auto plan = plan_deployment(d, sets, false, now_ms);
    if (!plan.revision.empty()) d.metadata.annotations[std::string(kRevisionAnnotation)] = plan.revision;
    for (const auto& change : plan.changes) {
      for (auto& set : sets) {
        if (set.metadata.name != change.name) continue;
        set.spec.replicas = change.replicas;
        ++set.metadata.generation;
        for (const auto& [k, v] : change.annotations) set.metadata.annotations[k] = v;
      }
    }
    for (const auto& name : plan.remove)
      std::erase_if(sets, [&](const auto& s) { return s.metadata.name == name; });
    if (plan.create) {
      sets.push_back(*plan.create);
      sets.back().metadata.uid = "rs" + std::to_string(++counter);
      sets.back().metadata.creationTimestamp = {now_ms};
      sets.back().metadata.generation = 1;
    }
    d.status = plan.status;
  }
  void replicaset_step(ReplicaSet& set) {
    std::vector<PodPointer> mine;
    for (const auto& pod : pods) {
      if (client::controller_of(pod->metadata.ownerReferences)->uid == set.metadata.uid) mine.push_back(pod);
    }
    const auto plan = plan_replicaset(set, mine, {}, now_ms);
    for (int i = 0; i < plan.create; ++i) {
      auto pod = std::make_shared<PodView>();
      pod->metadata.uid = pod->metadata.name = "p" + std::to_string(++counter);
      pod->metadata.created_ms = now_ms;
      pod->metadata.labels = set.spec.template_.metadata.labels;
      pod->metadata.ownerReferences.push_back(
          {"apps/v1", "ReplicaSet", set.metadata.name, set.metadata.uid, true, true});
      pod->phase = "Pending";
      pods.push_back(pod);
    }
    for (const auto& victim : plan.remove) std::erase(pods, victim);
    set.status = plan.status;
  }
  void pod_step(bool may_fail) {
    for (auto& pod : pods) {
      if (!pod->ready && random->below(3) == 0) {
        auto next = std::make_shared<PodView>(*pod);
        next->phase = "Running";
        next->node = "n" + std::to_string(random->below(3));
        next->ready = true;
        next->ready_since_ms = now_ms;
        pod = next;
      } else if (may_fail && pod->ready && random->below(200) == 0) {
        auto next = std::make_shared<PodView>(*pod);
        next->ready = false;
        pod = next;
      }
    }
  }
  // One random event; every controller sees the others' writes only when its turn comes.
  void step(bool may_fail) {
    now_ms += 500;
    switch (random->below(4)) {
      case 0:
        deployment_step();
        break;
      case 1:
        pod_step(may_fail);
        break;
      default:
        if (!sets.empty()) replicaset_step(sets[random->below(sets.size())]);
    }
  }
  int available() const {
    return static_cast<int>(std::count_if(pods.begin(), pods.end(), [](const auto& p) { return p->ready; }));
  }
  bool settle() {
    for (int i = 0; i < 4000; ++i) {
      step(false);
      if (settled()) return true;
    }
    return false;
  }
  bool settled() const {
    const int wanted = *d.spec.replicas;
    if (static_cast<int>(pods.size()) != wanted || available() != wanted) return false;
    if (d.status.observedGeneration != d.metadata.generation || d.status.updatedReplicas != wanted)
      return false;
    const auto condition = std::find_if(d.status.conditions.begin(), d.status.conditions.end(),
                                        [](const auto& c) { return c.type == "Progressing"; });
    return condition != d.status.conditions.end() && condition->reason == "NewReplicaSetAvailable" &&
           d.status.availableReplicas == wanted && d.status.replicas == wanted;
  }
  std::string newest_image() const {
    for (const auto& set : sets) {
      if (*set.spec.replicas > 0) return set.spec.template_.spec.containers[0].image;
    }
    return "none";
  }

  std::unique_ptr<Random> random;
  Deployment d;
  std::vector<ReplicaSet> sets;
  std::vector<PodPointer> pods;
  std::int64_t now_ms = 1'700'000'000'000;
  int counter = 0;
};

TEST_CASE("rollouts keep availability and size within bounds, converge, and roll back") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    World world(seed);
    REQUIRE(world.settle());
    for (int version = 1; version <= 3; ++version) {
      const bool rollback = version == 3;
      world.set_image(rollback ? 1 : version);
      const int wanted = *world.d.spec.replicas;
      const auto limits = rolling_limits(world.d);
      const int least = wanted - std::min(limits.unavailable, wanted);
      int steps = 0;
      while (!world.settled() && steps++ < 4000) {
        world.step(false);
        INFO("step " << steps);
        REQUIRE(world.available() >= least);
        REQUIRE(static_cast<int>(world.pods.size()) <= wanted + limits.surge);
      }
      REQUIRE(world.settled());
      REQUIRE(world.newest_image() == "app:" + std::to_string(rollback ? 1 : version));
      REQUIRE(world.d.metadata.annotations.at(std::string(kRevisionAnnotation)) ==
              std::to_string(version + 1));
    }
    REQUIRE(world.sets.size() == 3);  // the rollback took an old set up again
  }
}

TEST_CASE("rollouts converge when pods fail and users change their minds in the middle") {
  for (std::uint64_t seed = 1000; seed <= 1200; ++seed) {
    INFO("seed " << seed);
    World world(seed);
    for (int change = 0; change < 8; ++change) {
      for (std::uint64_t i = world.random->below(60); i > 0; --i) {
        world.step(true);
        const auto limits = rolling_limits(world.d);
        REQUIRE(static_cast<int>(world.pods.size()) <= 64 + limits.surge);
      }
      if (world.random->below(2)) {
        world.set_image(static_cast<int>(world.random->below(4)));
      } else {
        world.d.spec.replicas = static_cast<int>(world.random->below(20));
        ++world.d.metadata.generation;
      }
    }
    world.d.spec.replicas = 5;
    ++world.d.metadata.generation;
    REQUIRE(world.settle());
  }
}

}  // namespace
}  // namespace coxswain::controllers
