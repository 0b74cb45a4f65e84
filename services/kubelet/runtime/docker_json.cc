#include "services/kubelet/runtime/docker_json.h"

#include <algorithm>

#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"

namespace coxswain::kubelet {
namespace {

json::Value strings(const std::vector<std::string>& list) {
  json::Value out = json::Value::array();
  for (const auto& s : list) out.push_back(s);
  return out;
}

json::Value string_map(const std::map<std::string, std::string>& map) {
  json::Value out = json::Value::object();
  for (const auto& [key, value] : map) out.set(key, value);
  return out;
}

std::int64_t time_ms(const json::Value& object, std::string_view key) {
  std::int64_t ms = 0;
  if (!parse_rfc3339(object.get_string(key), &ms)) return 0;
  return std::max<std::int64_t>(ms, 0);  // Docker writes year 1 for "never"
}

std::string label(const json::Value* labels, std::string_view name) {
  return labels ? labels->get_string(std::string(kLabelPrefix) + std::string(name)) : std::string();
}

void read_labels(const json::Value* labels, ObservedContainer& out) {
  out.pod_uid = label(labels, "pod-uid");
  out.pod_name = label(labels, "pod-name");
  out.pod_namespace = label(labels, "pod-namespace");
  out.name = label(labels, "container");
  out.sandbox = label(labels, "kind") == "sandbox";
  out.attempt = static_cast<int>(parse_int64(label(labels, "attempt")).value_or(0));
  out.backoff_ms = parse_int64(label(labels, "backoff-ms")).value_or(0);
  out.sandbox_id = label(labels, "sandbox-id");
  out.spec_hash = label(labels, "spec-hash");
  out.image_digest = label(labels, "image-digest");
  out.termination_message_path = label(labels, "termination-message");
}

RunState run_state(const std::string& status) {
  if (status == "running" || status == "paused" || status == "restarting") return RunState::kRunning;
  return status == "created" ? RunState::kCreated : RunState::kExited;
}

void add_ports(const ContainerSpec& spec, json::Value& body, json::Value& host) {
  for (const auto& p : spec.ports) {
    const std::string key = std::to_string(p.container_port) + "/" + p.protocol;
    body["ExposedPorts"].set(key, json::Value::object());
    host["PortBindings"][key].push_back(
        json::Value::object({{"HostIp", p.host_ip}, {"HostPort", std::to_string(p.host_port)}}));
  }
}

json::Value host_config(const ContainerSpec& spec) {
  json::Value host = json::Value::object({
      {"NetworkMode", spec.network},
      {"IpcMode", spec.ipc},
      {"OomScoreAdj", spec.oom_score_adj},
      {"CpuShares", static_cast<long long>(spec.cpu_shares)},
      {"Privileged", spec.privileged},
      {"ReadonlyRootfs", spec.read_only_root},
      {"CapAdd", strings(spec.cap_add)},
      {"CapDrop", strings(spec.cap_drop)},
      {"GroupAdd", strings(spec.groups)},
      // Logs are bounded on the node, as upstream's kubelet does by rotation.
      {"LogConfig",
       json::Value::object({{"Type", "json-file"},
                            {"Config", json::Value::object({{"max-size", "10m"}, {"max-file", "5"}})}})},
  });
  if (!spec.pid.empty()) host.set("PidMode", spec.pid);
  if (spec.cpu_quota_us > 0) {
    host.set("CpuQuota", static_cast<long long>(spec.cpu_quota_us));
    host.set("CpuPeriod", static_cast<long long>(spec.cpu_period_us));
  }
  if (spec.memory_bytes > 0) {
    host.set("Memory", static_cast<long long>(spec.memory_bytes));
    host.set("MemorySwap", static_cast<long long>(spec.memory_bytes));  // no swap beyond the limit
  }
  if (spec.pids_limit > 0) host.set("PidsLimit", static_cast<long long>(spec.pids_limit));
  if (!spec.sysctls.empty()) host.set("Sysctls", string_map(spec.sysctls));
  json::Value security = json::Value::array();
  if (spec.no_new_privileges) security.push_back("no-new-privileges");
  if (spec.seccomp_unconfined) security.push_back("seccomp=unconfined");
  host.set("SecurityOpt", security);
  json::Value mounts = json::Value::array();
  for (const auto& m : spec.mounts) {
    json::Value mount = json::Value::object(
        {{"Type", "bind"}, {"Source", m.source}, {"Target", m.target}, {"ReadOnly", m.read_only}});
    if (!m.propagation.empty()) {
      mount.set("BindOptions", json::Value::object({{"Propagation", m.propagation}}));
    }
    mounts.push_back(std::move(mount));
  }
  host.set("Mounts", mounts);
  return host;
}

}  // namespace

json::Value docker_create_body(const ContainerSpec& spec) {
  json::Value body = json::Value::object({
      {"Image", spec.image},
      {"Env", strings(spec.env)},
      {"Labels", string_map(spec.labels)},
      {"Tty", spec.tty},
      {"OpenStdin", spec.stdin_open},
      {"StdinOnce", spec.stdin_once},
      // The API's probes decide about health, not the image.
      {"Healthcheck", json::Value::object({{"Test", json::Value::array({"NONE"})}})},
  });
  if (!spec.command.empty()) {
    body.set("Entrypoint", strings(spec.command));
    body.set("Cmd", strings(spec.args));
  } else if (!spec.args.empty()) {
    body.set("Cmd", strings(spec.args));
  }
  if (!spec.working_dir.empty()) body.set("WorkingDir", spec.working_dir);
  if (!spec.hostname.empty()) body.set("Hostname", spec.hostname);
  if (!spec.user.empty()) body.set("User", spec.user);
  if (!spec.stop_signal.empty()) body.set("StopSignal", spec.stop_signal);
  json::Value host = host_config(spec);
  add_ports(spec, body, host);
  body.set("HostConfig", std::move(host));
  return body;
}

ObservedContainer from_docker_inspect(const json::Value& body) {
  ObservedContainer out;
  out.id = body.get_string("Id");
  read_labels(body.find_path({"Config", "Labels"}), out);
  out.image = body.get_string_path({"Config", "Image"});
  out.image_id = body.get_string("Image");
  out.created_ms = time_ms(body, "Created");
  if (const json::Value* state = body.find("State")) {
    out.state = run_state(state->get_string("Status"));
    out.exit_code = static_cast<int>(state->get_int("ExitCode"));
    out.oom_killed = state->get_bool("OOMKilled");
    out.started_ms = time_ms(*state, "StartedAt");
    out.finished_ms = time_ms(*state, "FinishedAt");
    // Docker takes the start time after the start: a program that ends at once seems to end before it.
    if (out.state == RunState::kExited) out.finished_ms = std::max(out.finished_ms, out.started_ms);
    // Docker leaves a container that it could not start as "created" with an error.
    const std::string error = state->get_string("Error");
    if (out.state == RunState::kCreated && !error.empty()) {
      out.state = RunState::kExited;
      out.error = error;
      out.finished_ms = out.created_ms;
    }
  }
  if (const json::Value* networks = body.find_path({"NetworkSettings", "Networks"});
      networks && networks->is_object()) {
    for (const auto& [name, network] : networks->as_object()) {
      if (out.ip.empty()) out.ip = network.get_string("IPAddress");
    }
  }
  return out;
}

ObservedContainer from_docker_summary(const json::Value& body) {
  ObservedContainer out;
  out.id = body.get_string("Id");
  read_labels(body.find("Labels"), out);
  out.image = body.get_string("Image");
  out.image_id = body.get_string("ImageID");
  out.created_ms = body.get_int("Created") * 1000;
  out.state = run_state(body.get_string("State"));
  return out;
}

ImageInfo from_docker_image(const json::Value& body) {
  ImageInfo out;
  out.id = body.get_string("Id");
  out.size_bytes = body.get_int("Size");
  out.user = body.get_string_path({"Config", "User"});
  for (const char* key : {"RepoDigests", "RepoTags"}) {
    const json::Value* names = body.find(key);
    if (!names || !names->is_array()) continue;
    for (const auto& name : names->as_array()) {
      if (name.is_string() && name.as_string().find("<none>") == std::string::npos) {
        out.names.push_back(name.as_string());
      }
    }
  }
  return out;
}

std::string docker_message(std::string_view body) {
  auto parsed = json::parse(body);
  std::string text = parsed.ok() ? parsed->get_string("message") : std::string(body.substr(0, 500));
  std::replace(text.begin(), text.end(), '\n', ' ');
  return std::string(trim(text));
}

}  // namespace coxswain::kubelet
