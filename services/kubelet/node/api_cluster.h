// Cluster over libs/client: statuses as merge patches, events, and one watch per referenced object.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "libs/client/api_client.h"
#include "libs/client/event_recorder.h"
#include "libs/client/informer.h"
#include "services/kubelet/pods/cluster.h"

namespace coxswain::kubelet {

// Objects of one kind that pods of this node name, each watched alone: a node asks only for what it
// needs, which is all that a node authoriser lets it read.
template <typename T>
class ReferencedObjects {
 public:
  ReferencedObjects(client::ApiClient& client, std::function<void(const std::string& ns)> changed)
      : client_(client), changed_(std::move(changed)) {}

  void add(const std::string& ns, const std::string& name, const std::string& pod_uid) {
    const std::lock_guard lock(mutex_);
    Item& item = items_[client::object_key(ns, name)];
    item.users.insert(pod_uid);
    if (item.informer) return;
    client::ReflectorOptions options;
    options.ns = ns;
    options.backoff_max_ms = 5000;
    options.field_selector = "metadata.name=" + name;
    item.informer = std::make_shared<client::Informer<T>>(client_, options);
    item.informer->add_handler([this, ns](const client::Change<T>&) { changed_(ns); });
    item.informer->start();
  }
  // Waits a moment for the first list, so that a pod that starts finds what exists.
  std::shared_ptr<const T> get(const std::string& ns, const std::string& name) {
    std::shared_ptr<client::Informer<T>> informer;
    {
      const std::lock_guard lock(mutex_);
      const auto it = items_.find(client::object_key(ns, name));
      if (it == items_.end()) return nullptr;
      informer = it->second.informer;
    }
    for (int i = 0; i < 1000 && !informer->synced(); ++i) client::sleep_for_ms(2, {});
    return informer->lister().get(ns, name);
  }
  void remove_user(const std::string& pod_uid) {
    std::vector<std::shared_ptr<client::Informer<T>>>
        unused;  // stopped outside the lock: their handlers may hold it
    const std::lock_guard guard(stop_mutex_);
    {
      const std::lock_guard lock(mutex_);
      for (auto it = items_.begin(); it != items_.end();) {
        it->second.users.erase(pod_uid);
        if (it->second.users.empty()) {
          unused.push_back(it->second.informer);
          it = items_.erase(it);
        } else {
          ++it;
        }
      }
    }
    for (auto& informer : unused) informer->stop();
  }
  void stop() {
    std::map<std::string, Item> all;
    {
      const std::lock_guard lock(mutex_);
      all.swap(items_);
    }
    for (auto& [key, item] : all) item.informer->stop();
  }

 private:
  struct Item {
    std::shared_ptr<client::Informer<T>> informer;
    std::set<std::string> users;  // pod uids
  };
  client::ApiClient& client_;
  const std::function<void(const std::string&)> changed_;
  std::mutex stop_mutex_;
  std::mutex mutex_;
  std::map<std::string, Item> items_;  // guarded by mutex_
};

class ApiCluster : public Cluster {
 public:
  // `references_changed` is called from watch threads.
  ApiCluster(client::ApiClient& client, const std::string& node_name,
             std::function<void(const std::string& ns)> references_changed);
  ~ApiCluster() override { stop(); }
  void start();  // watches Services
  void stop();

  api::ApiResult<void> write_status(const v1::Pod& pod, const v1::PodStatus& status) override;
  api::ApiResult<void> delete_pod(const v1::Pod& pod) override;
  void event(const v1::Pod& pod, const std::string& container, bool warning, const std::string& reason,
             const std::string& message) override;
  ObjectSource objects() override;
  void watch_references(const v1::Pod& pod) override;
  void unwatch_references(const std::string& pod_uid) override;
  bool services_synced() const { return services_.synced(); }

 private:
  client::ApiClient& client_;
  client::EventRecorder events_;
  client::Informer<v1::Service> services_;
  ReferencedObjects<v1::ConfigMap> config_maps_;
  ReferencedObjects<v1::Secret> secrets_;
};

}  // namespace coxswain::kubelet
