#include "services/kubelet/pods/status_writer.h"

#include <algorithm>
#include <chrono>

#include "libs/common/json/json.h"
#include "libs/common/log/log.h"

namespace coxswain::kubelet {

void StatusWriter::start() {
  thread_ = std::jthread([this](std::stop_token stop) { loop(stop); });
}

void StatusWriter::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void StatusWriter::set(std::shared_ptr<const v1::Pod> pod, v1::PodStatus status) {
  std::string text = json::write(to_json(status));
  const std::lock_guard lock(mutex_);
  Item& item = items_[pod->metadata.uid];
  if (item.text == text) return;
  item.pod = std::move(pod);
  item.status = std::move(status);
  item.text = std::move(text);
  changed_.notify_all();
}

bool StatusWriter::flush(const std::string& uid, std::int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] {
    const auto it = items_.find(uid);
    return it == items_.end() || it->second.text == it->second.sent;
  });
}

void StatusWriter::forget(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  items_.erase(uid);
}

void StatusWriter::loop(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    std::string uid;
    bool failing = false;
    for (const auto& [key, item] : items_) {
      if (item.text == item.sent) continue;
      if (uid.empty() || item.failures < items_[uid].failures) uid = key;
    }
    if (uid.empty()) {
      if (stop.stop_requested()) return;
      changed_.wait(lock, stop, [&] {
        return std::any_of(items_.begin(), items_.end(),
                           [](const auto& i) { return i.second.text != i.second.sent; });
      });
      if (stop.stop_requested() && items_.empty()) return;
      continue;
    }
    const Item item = items_[uid];
    lock.unlock();
    const auto written = cluster_.write_status(*item.pod, item.status);
    lock.lock();
    const auto it = items_.find(uid);
    if (it == items_.end()) continue;
    if (written.ok() || written.error().code == 404 || written.error().code == 409 ||
        written.error().code == 422) {
      if (!written.ok() && written.error().code == 422) {
        log_error("the API refused a pod status",
                  {{"pod", item.pod->metadata.name}, {"error", written.error().message}});
      }
      it->second.sent = item.text;
      it->second.failures = 0;
      changed_.notify_all();
    } else {
      failing = true;
      ++it->second.failures;
    }
    if (failing && stop.stop_requested()) return;
    if (failing) changed_.wait_for(lock, stop, std::chrono::milliseconds(500), [] { return false; });
  }
}

}  // namespace coxswain::kubelet
