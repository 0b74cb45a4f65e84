// A Cluster in memory, for tests.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "services/kubelet/pods/cluster.h"

namespace coxswain::kubelet {

class FakeCluster : public Cluster {
 public:
  api::ApiResult<void> write_status(const v1::Pod& pod, const v1::PodStatus& status) override {
    const std::lock_guard lock(mutex_);
    statuses[pod.metadata.uid] = status;
    for (const auto& c : status.conditions) {
      if (c.type == "Ready" && c.status == "True") once_ready.insert(pod.metadata.uid);
    }
    ++status_writes;
    return {};
  }
  api::ApiResult<void> delete_pod(const v1::Pod& pod) override {
    const std::lock_guard lock(mutex_);
    deleted.insert(pod.metadata.uid);
    return {};
  }
  void event(const v1::Pod& pod, const std::string&, bool, const std::string& reason,
             const std::string& message) override {
    const std::lock_guard lock(mutex_);
    events.push_back(pod.metadata.name + " " + reason + ": " + message);
  }
  ObjectSource objects() override {
    ObjectSource out;
    out.config_map = [this](const std::string&, const std::string& name) {
      const std::lock_guard lock(mutex_);
      const auto it = config_maps.find(name);
      return it == config_maps.end() ? nullptr : std::make_shared<const v1::ConfigMap>(it->second);
    };
    out.secret = [this](const std::string&, const std::string& name) {
      const std::lock_guard lock(mutex_);
      const auto it = secrets.find(name);
      return it == secrets.end() ? nullptr : std::make_shared<const v1::Secret>(it->second);
    };
    out.services = [] { return std::vector<std::shared_ptr<const v1::Service>>(); };
    return out;
  }
  void watch_references(const v1::Pod&) override {}
  void unwatch_references(const std::string&) override {}

  v1::PodStatus status(const std::string& uid) {
    const std::lock_guard lock(mutex_);
    return statuses[uid];
  }
  // At any moment so far.
  bool was_ready(const std::string& uid) {
    const std::lock_guard lock(mutex_);
    return once_ready.count(uid) > 0;
  }
  bool is_deleted(const std::string& uid) {
    const std::lock_guard lock(mutex_);
    return deleted.count(uid) > 0;
  }
  std::string all_events() {
    const std::lock_guard lock(mutex_);
    std::string out;
    for (const auto& e : events) out += e + "\n";
    return out;
  }
  void put_config_map(const std::string& name, std::map<std::string, std::string> data) {
    const std::lock_guard lock(mutex_);
    config_maps[name].data = std::move(data);
  }

  std::map<std::string, v1::PodStatus> statuses;
  std::set<std::string> deleted;
  std::set<std::string> once_ready;
  std::vector<std::string> events;
  std::map<std::string, v1::ConfigMap> config_maps;
  std::map<std::string, v1::Secret> secrets;
  int status_writes = 0;

 private:
  std::mutex mutex_;
};

}  // namespace coxswain::kubelet
