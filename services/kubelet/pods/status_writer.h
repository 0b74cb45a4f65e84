// Sends pod statuses to the API from a thread of its own: the latest per pod, unchanged ones not at all.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "services/kubelet/pods/cluster.h"

namespace coxswain::kubelet {

class StatusWriter {
 public:
  explicit StatusWriter(Cluster& cluster) : cluster_(cluster) {}
  ~StatusWriter() { stop(); }
  void start();
  void stop();  // gives what is queued a last chance
  void set(std::shared_ptr<const v1::Pod> pod, v1::PodStatus status);
  // Waits until the pod's latest status has been answered; false after `timeout_ms`.
  bool flush(const std::string& uid, std::int64_t timeout_ms);
  void forget(const std::string& uid);

 private:
  struct Item {
    std::shared_ptr<const v1::Pod> pod;
    v1::PodStatus status;
    std::string text;  // what `status` is as JSON
    std::string sent;  // what the API has taken
    int failures = 0;
  };
  void loop(std::stop_token stop);

  Cluster& cluster_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, Item> items_;  // by uid; guarded by mutex_
  std::jthread thread_;
};

}  // namespace coxswain::kubelet
