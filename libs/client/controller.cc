#include "libs/client/controller.h"

#include "libs/common/log/log.h"

namespace coxswain::client {
namespace {
constexpr std::int64_t kNoAnswerRetry_ms = 1'000;
}  // namespace

Controller::Controller(ControllerOptions options, ReconcileFunction reconcile, Clock& clock)
    : options_(std::move(options)), reconcile_(std::move(reconcile)), queue_(options_.queue, clock) {}

Controller::~Controller() { stop(); }

void Controller::start() {
  for (int i = 0; i < options_.workers; ++i) {
    workers_.emplace_back([this](std::stop_token stop) {
      while (process_one(stop)) {
      }
    });
  }
}

void Controller::stop() {
  for (std::jthread& worker : workers_) worker.request_stop();
  queue_.wake();
  workers_.clear();
}

bool Controller::process_one(std::stop_token stop) {
  const std::optional<std::string> key = queue_.get(stop);
  if (!key) return false;
  const ReconcileResult result = reconcile_(*key);
  if (result.ok()) {
    queue_.forget(*key);
    if (result->after_ms >= 0) queue_.add_after(*key, result->after_ms);
  } else {
    // A conflict only says that the copy was behind: normal, and cured by the next event.
    if (!is_conflict(result.error())) {
      log_warning("reconcile failed",
                  {{"controller", options_.name}, {"key", *key}, {"error", result.error().message}});
    }
    // An outage is not the key's fault: it must not wait minutes once the server is back.
    if (is_connection_error(result.error()))
      queue_.add_after(*key, kNoAnswerRetry_ms);
    else
      queue_.add_backoff(*key);
  }
  queue_.done(*key);
  return true;
}

}  // namespace coxswain::client
