#include "services/kubelet/runtime/fake_runtime.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "libs/common/json/json.h"
#include "services/kubelet/runtime/docker_json.h"
#include "services/kubelet/runtime/pause_image.h"

namespace coxswain::kubelet {
namespace {

Error no_container(const std::string& id) {
  return make_error(ErrorCode::kNotFound, "No such container: " + id);
}

// What one run of the little shell comes to: its output, and an exit code or -1 for "goes on".
struct Outcome {
  std::string output;
  int exit_code = 0;
  bool obeys_term = false;
  bool missing = false;
};

Outcome interpret(const std::vector<std::string>& words) {
  Outcome out;
  if (words.empty() || (words[0] != "true" && words[0] != "sleep" && words[0] != "sh")) {
    out.missing = true;
    return out;
  }
  if (words[0] == "true") return out;
  if (words[0] == "sleep" || words.size() < 3) return {.output = "", .exit_code = -1};
  std::istringstream script(words[2]);
  for (std::string piece; std::getline(script, piece, ';');) {
    piece.erase(0, piece.find_first_not_of(' '));
    if (piece.rfind("echo ", 0) == 0) out.output += piece.substr(5) + "\n";
    if (piece.rfind("trap ", 0) == 0) out.obeys_term = true;
    if (piece.rfind("sleep ", 0) == 0 || piece.rfind("while ", 0) == 0) {
      out.exit_code = -1;
      return out;
    }
    if (piece.rfind("exit ", 0) == 0) {
      out.exit_code = std::atoi(piece.c_str() + 5);
      return out;
    }
  }
  return out;
}

std::string last_lines(const std::string& text, std::int64_t lines) {
  if (lines < 0) return text;
  std::size_t at = text.size();
  for (; lines > 0 && at > 0; --lines) {
    const auto newline = at < 2 ? std::string::npos : text.rfind('\n', at - 2);
    at = newline == std::string::npos ? 0 : newline + 1;
  }
  return text.substr(at);
}

}  // namespace

std::optional<Error> FakeRuntime::enter(const std::string& verb, const std::string& what) {
  calls_.push_back(what.empty() ? verb : verb + " " + what);
  if (!reachable_) return make_error(ErrorCode::kUnavailable, "cannot reach the container runtime");
  if (verb == failing_verb_) {
    failing_verb_.clear();
    return make_error(ErrorCode::kInternal, "injected: " + calls_.back());
  }
  if (calls_until_failure_ < 0 || calls_until_failure_-- > 0) return std::nullopt;
  return make_error(ErrorCode::kInternal, "injected: " + calls_.back());
}

std::string FakeRuntime::name_of(const std::string& id) const {
  const auto it = containers_.find(id);
  if (it == containers_.end()) return id;
  return it->second.seen.sandbox ? "sandbox" : it->second.seen.name;
}

void FakeRuntime::report(const Container& c, const std::string& action) {
  events_.emplace_back(next_event_++, RuntimeEvent{action, c.seen.id, c.seen.pod_uid});
  if (events_.size() > 1000) events_.pop_front();
  changed_.notify_all();
}

void FakeRuntime::end(Container& c, int exit_code) {
  c.seen.state = RunState::kExited;
  c.seen.exit_code = exit_code;
  c.seen.finished_ms = clock_.unix_ms();
  c.seen.ip.clear();
  report(c, "die");
}

void FakeRuntime::run(Container& c) {
  c.seen.state = RunState::kRunning;
  c.seen.exit_code = 0;
  c.seen.started_ms = clock_.unix_ms();
  if (c.seen.sandbox) c.seen.ip = "10.0.0." + std::to_string(c.seen.attempt + 2);
  report(c, "start");
  if (c.spec.image == kPauseImage) return;
  std::vector<std::string> words = c.spec.command;
  words.insert(words.end(), c.spec.args.begin(), c.spec.args.end());
  const Outcome outcome = interpret(words);
  c.log += outcome.output;
  c.obeys_term = outcome.obeys_term;
  if (outcome.exit_code >= 0) end(c, outcome.exit_code);
}

Result<RuntimeInfo> FakeRuntime::info() {
  const std::lock_guard lock(mutex_);
  if (auto error = enter("info", "")) return *error;
  return RuntimeInfo{.version = "1.0", .operating_system = "fake", .kernel = "1", .architecture = "x86_64"};
}

Result<std::vector<ObservedContainer>> FakeRuntime::list() {
  const std::lock_guard lock(mutex_);
  if (auto error = enter("list", "")) return *error;
  std::vector<ObservedContainer> out;
  for (const auto& [id, c] : containers_) {
    out.push_back(c.seen);
    out.back().exit_code = 0;  // a list tells neither exit codes nor times
    out.back().started_ms = out.back().finished_ms = 0;
  }
  return out;
}

Result<ObservedContainer> FakeRuntime::inspect(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (auto error = enter("inspect", name_of(id))) return *error;
  const auto it = containers_.find(id);
  if (it == containers_.end()) return no_container(id);
  return it->second.seen;
}

Result<std::string> FakeRuntime::create(const ContainerSpec& spec) {
  const std::lock_guard lock(mutex_);
  // The labels become what an observer reads through the same code as Docker's.
  json::Value labels = json::Value::object();
  for (const auto& [key, value] : spec.labels) labels.set(key, value);
  Container made{spec, from_docker_summary(json::Value::object({{"Labels", std::move(labels)}})), "", false};
  if (auto error = enter("create", made.seen.sandbox ? "sandbox" : made.seen.name)) return *error;
  for (const auto& [id, c] : containers_) {
    if (c.spec.name == spec.name) return id;
  }
  if (spec.image != kPauseImage && images_.count(spec.image) == 0) {
    return make_error(ErrorCode::kNotFound, "No such image: " + spec.image);
  }
  made.seen.id = "id" + std::to_string(next_id_++);
  made.seen.state = RunState::kCreated;
  made.seen.image = spec.image;
  made.seen.image_id = "sha256:" + spec.image;
  made.seen.created_ms = clock_.unix_ms();
  const std::string id = made.seen.id;
  containers_.emplace(id, std::move(made));
  return id;
}

Result<void> FakeRuntime::start(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (auto error = enter("start", name_of(id))) return *error;
  const auto it = containers_.find(id);
  if (it == containers_.end()) return no_container(id);
  Container& c = it->second;
  if (c.seen.state == RunState::kRunning) return {};
  std::vector<std::string> words = c.spec.command;
  if (c.spec.image != kPauseImage && interpret(words).missing) {
    c.seen.state = RunState::kExited;
    c.seen.exit_code = 127;
    c.seen.error = "executable file not found in $PATH";
    c.seen.finished_ms = c.seen.created_ms;
    return make_error(ErrorCode::kInvalidArgument, c.seen.error);
  }
  run(c);
  return {};
}

Result<void> FakeRuntime::signal(const std::string& id, const std::string& sig) {
  const std::lock_guard lock(mutex_);
  if (auto error = enter("signal", name_of(id) + " " + sig)) return *error;
  const auto it = containers_.find(id);
  if (it == containers_.end() || it->second.seen.state != RunState::kRunning) return {};
  if (sig == "SIGKILL") {
    end(it->second, 137);
  } else if (sig == "SIGTERM" && it->second.obeys_term) {
    end(it->second, 0);
  }
  return {};
}

Result<void> FakeRuntime::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (auto error = enter("remove", name_of(id))) return *error;
  const auto it = containers_.find(id);
  if (it == containers_.end()) return {};
  if (it->second.seen.state == RunState::kRunning) end(it->second, 137);
  report(it->second, "destroy");
  containers_.erase(it);
  return {};
}

Result<ExecResult> FakeRuntime::exec(const std::string& id, const std::vector<std::string>& command,
                                     std::int64_t timeout_ms) {
  const std::lock_guard lock(mutex_);
  if (auto error = enter("exec", name_of(id))) return *error;
  const auto it = containers_.find(id);
  if (it == containers_.end()) return no_container(id);
  if (it->second.seen.state != RunState::kRunning) {
    return make_error(ErrorCode::kConflict, "Container " + id + " is not running");
  }
  const Outcome outcome = interpret(command);
  if (outcome.exit_code < 0) {
    return make_error(ErrorCode::kDeadlineExceeded, "no end after " + std::to_string(timeout_ms) + " ms");
  }
  return ExecResult{outcome.missing ? 127 : outcome.exit_code, outcome.output};
}

Result<void> FakeRuntime::logs(const std::string& id, const LogOptions& options,
                               const std::function<bool(std::string_view)>& sink, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  if (auto error = enter("logs", name_of(id))) return *error;
  auto it = containers_.find(id);
  if (it == containers_.end()) return no_container(id);
  const std::string text = last_lines(it->second.log, options.tail);
  lock.unlock();
  if (!text.empty() && !sink(text)) return {};
  if (!options.follow) return {};
  lock.lock();
  changed_.wait(lock, stop, [&] {
    it = containers_.find(id);
    return it == containers_.end() || it->second.seen.state != RunState::kRunning;
  });
  return {};
}

Result<void> FakeRuntime::watch(const std::function<void(const RuntimeEvent&)>& on_event,
                                std::stop_token stop) {
  std::unique_lock lock(mutex_);
  if (!reachable_) return make_error(ErrorCode::kUnavailable, "cannot reach the container runtime");
  std::size_t seen = next_event_;
  while (true) {
    changed_.wait(lock, stop, [&] { return next_event_ > seen || !reachable_; });
    if (stop.stop_requested()) return {};
    if (!reachable_) return make_error(ErrorCode::kUnavailable, "the container runtime went away");
    std::vector<RuntimeEvent> batch;
    for (const auto& [serial, event] : events_) {
      if (serial >= seen) batch.push_back(event);
    }
    seen = next_event_;
    lock.unlock();
    for (const auto& event : batch) on_event(event);
    lock.lock();
  }
}

Result<std::optional<ImageInfo>> FakeRuntime::find_image(const std::string& reference) {
  const std::lock_guard lock(mutex_);
  if (auto error = enter("find_image", reference)) return *error;
  if (images_.count(reference) == 0) return std::optional<ImageInfo>();
  return std::optional<ImageInfo>(ImageInfo{"sha256:" + reference, {reference}, 1, ""});
}

Result<void> FakeRuntime::pull(const std::string& reference, const std::string&) {
  const std::lock_guard lock(mutex_);
  if (auto error = enter("pull", reference)) return *error;
  if (registry_.count(reference) == 0) return make_error(ErrorCode::kNotFound, "manifest unknown");
  images_.insert(reference);
  return {};
}

Result<void> FakeRuntime::load_image(const std::string&) {
  const std::lock_guard lock(mutex_);
  if (auto error = enter("load_image", "")) return *error;
  return {};
}

Result<std::vector<ImageInfo>> FakeRuntime::images() {
  const std::lock_guard lock(mutex_);
  if (auto error = enter("images", "")) return *error;
  std::vector<ImageInfo> out;
  for (const auto& image : images_) out.push_back({"sha256:" + image, {image}, 1, ""});
  return out;
}

Result<void> FakeRuntime::ensure_network(const NetworkSpec& network) {
  const std::lock_guard lock(mutex_);
  if (auto error = enter("ensure_network", network.name)) return *error;
  return {};
}

void FakeRuntime::add_image(const std::string& reference, bool in_registry) {
  const std::lock_guard lock(mutex_);
  (in_registry ? registry_ : images_).insert(reference);
}

void FakeRuntime::end_container(const std::string& id, int exit_code, bool oom) {
  const std::lock_guard lock(mutex_);
  const auto it = containers_.find(id);
  if (it == containers_.end() || it->second.seen.state != RunState::kRunning) return;
  it->second.seen.oom_killed = oom;
  end(it->second, exit_code);
}

void FakeRuntime::fail_call(std::size_t n) {
  const std::lock_guard lock(mutex_);
  calls_until_failure_ = static_cast<std::int64_t>(n);
}

void FakeRuntime::fail_next(const std::string& verb) {
  const std::lock_guard lock(mutex_);
  failing_verb_ = verb;
}

void FakeRuntime::set_reachable(bool reachable) {
  const std::lock_guard lock(mutex_);
  reachable_ = reachable;
  changed_.notify_all();
}

std::vector<std::string> FakeRuntime::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

std::vector<std::string> FakeRuntime::calls(std::string_view verb) const {
  std::vector<std::string> out;
  for (const auto& call : calls()) {
    if (call.rfind(std::string(verb) + " ", 0) == 0) out.push_back(call.substr(verb.size() + 1));
  }
  return out;
}

std::string FakeRuntime::id_of(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const Container* best = nullptr;
  for (const auto& [id, c] : containers_) {
    if ((c.seen.sandbox ? "sandbox" : c.seen.name) != name) continue;
    if (!best || c.seen.attempt > best->seen.attempt) best = &c;
  }
  return best ? best->seen.id : "";
}

}  // namespace coxswain::kubelet
