// The scheduler's edge: informers feed the cluster and the queue, one thread decides, a small pool
// binds and reports. All state is under one mutex; deciding takes microseconds.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "libs/client/event_recorder.h"
#include "libs/client/informer.h"
#include "services/scheduler/cluster.h"
#include "services/scheduler/cycle.h"
#include "services/scheduler/queue.h"

namespace coxswain::scheduler {

// A pod as the informer keeps it: what scheduling needs and nothing more.
struct PodView {
  static constexpr std::string_view kGroup = "";
  static constexpr std::string_view kVersion = "v1";
  static constexpr std::string_view kKind = "Pod";
  static constexpr std::string_view kPlural = "pods";
  static constexpr bool kNamespaced = true;
  struct Metadata {
    std::string namespace_, name, uid, resourceVersion;
  } metadata;
  PodInfo info;
};
void from_json(const json::Value& value, PodView& view);

struct SchedulerOptions {
  std::string scheduler_name = "default-scheduler";
  int binders = 4;
};

class Scheduler {
 public:
  Scheduler(client::ApiClient& client, SchedulerOptions options, Clock& clock = system_clock());
  // Until `stop`.
  void run(std::stop_token stop);
  // Prometheus text.
  void write_metrics(std::string& out) const;

 private:
  void on_pod(const client::Change<PodView>& change);
  void on_node(const client::Change<api::core::v1::Node>& change);
  void loop(std::stop_token stop);
  void schedule_one(Queue::Entry entry);
  void bind(Queue::Entry entry, std::string node);
  void report_failure(const PodInfo& pod, const std::string& message);
  void submit(std::function<void()> task);
  bool backlogged();
  void work(std::stop_token stop);

  client::ApiClient& client_;
  const SchedulerOptions options_;
  Clock& clock_;
  client::EventRecorder events_;
  std::unique_ptr<Random> random_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  // Guarded by mutex_.
  Cluster cluster_;
  Queue queue_;
  std::size_t next_start_ = 0;
  std::int64_t scheduled_ = 0;
  std::int64_t failed_ = 0;

  std::mutex tasks_mutex_;
  std::condition_variable_any tasks_changed_;
  std::deque<std::function<void()>> tasks_;  // guarded by tasks_mutex_; bounded by kMaxTasks
};

}  // namespace coxswain::scheduler
