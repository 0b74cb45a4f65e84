#include "libs/registry/kinds/pod_template.h"

#include <algorithm>
#include <map>

#include "libs/api/meta/selector.h"
#include "libs/api/validation/validation.h"

namespace coxswain::registry {
namespace {

void set_default(json::Value& object, std::string_view key, json::Value value) {
  const json::Value* current = object.find(key);
  if (current == nullptr || current->is_null() || (current->is_string() && current->as_string().empty())) {
    object.set(key, std::move(value));
  }
}

void default_probe(json::Value& container, const char* name) {
  json::Value* probe = container.find(name);
  if (probe == nullptr || !probe->is_object()) return;
  const auto positive = [&](const char* key, int value) {
    if (probe->get_int(key) == 0) probe->set(key, value);
  };
  positive("timeoutSeconds", 1);
  positive("periodSeconds", 10);
  positive("successThreshold", 1);
  positive("failureThreshold", 3);
  if (json::Value* http = probe->find("httpGet"); http != nullptr && http->is_object()) {
    set_default(*http, "path", "/");
    set_default(*http, "scheme", "HTTP");
  }
}

std::string pull_policy(const std::string& image) {
  const std::size_t slash = image.find_last_of('/');
  const std::string last = slash == std::string::npos ? image : image.substr(slash + 1);
  if (last.find('@') != std::string::npos) return "IfNotPresent";
  const std::size_t colon = last.find(':');
  return colon == std::string::npos || last.substr(colon + 1) == "latest" ? "Always" : "IfNotPresent";
}

// A projection of pod fields, in env or a volume.
void default_field_ref(json::Value* source) {
  json::Value* reference = source == nullptr ? nullptr : source->find("fieldRef");
  if (reference != nullptr && reference->is_object()) set_default(*reference, "apiVersion", "v1");
}

void default_container(json::Value& container) {
  if (!container.is_object()) return;
  set_default(container, "terminationMessagePath", "/dev/termination-log");
  set_default(container, "terminationMessagePolicy", "File");
  set_default(container, "imagePullPolicy", pull_policy(container.get_string("image")));
  if (container.find("resources") == nullptr) container.set("resources", json::Value::object());
  for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"})
    default_probe(container, probe);
  if (json::Value* ports = container.find("ports"); ports != nullptr && ports->is_array()) {
    for (json::Value& port : ports->as_array()) {
      if (port.is_object()) set_default(port, "protocol", "TCP");
    }
  }
  if (json::Value* env = container.find("env"); env != nullptr && env->is_array()) {
    for (json::Value& variable : env->as_array()) default_field_ref(variable.find("valueFrom"));
  }
  for (const char* hook : {"postStart", "preStop"}) {
    if (json::Value* http = container.find_path({"lifecycle", hook, "httpGet"});
        http != nullptr && http->is_object()) {
      set_default(*http, "path", "/");
      set_default(*http, "scheme", "HTTP");
    }
  }
}

void default_field_refs(json::Value* items) {
  if (items == nullptr || !items->is_array()) return;
  for (json::Value& item : items->as_array()) default_field_ref(&item);
}

void default_volume(json::Value& volume) {
  if (!volume.is_object()) return;
  if (volume.as_object().size() == 1 && volume.find("name") != nullptr)
    volume.set("emptyDir", json::Value::object());
  for (const char* source : {"configMap", "secret", "projected", "downwardAPI"}) {
    if (json::Value* value = volume.find(source); value != nullptr && value->is_object())
      set_default(*value, "defaultMode", 420);
  }
  if (json::Value* down = volume.find("downwardAPI")) default_field_refs(down->find("items"));
  if (json::Value* host = volume.find("hostPath");
      host != nullptr && host->is_object() && host->find("type") == nullptr) {
    host->set("type", "");
  }
  json::Value* sources = volume.find_path({"projected", "sources"});
  if (sources == nullptr || !sources->is_array()) return;
  for (json::Value& source : sources->as_array()) {
    if (json::Value* down = source.find("downwardAPI")) default_field_refs(down->find("items"));
    if (json::Value* token = source.find("serviceAccountToken"); token != nullptr && token->is_object()) {
      set_default(*token, "expirationSeconds", 3600);
    }
  }
}

}  // namespace

void default_pod_spec(json::Value& spec) {
  if (!spec.is_object()) return;
  set_default(spec, "restartPolicy", "Always");
  set_default(spec, "terminationGracePeriodSeconds", 30);
  set_default(spec, "dnsPolicy", "ClusterFirst");
  set_default(spec, "schedulerName", "default-scheduler");
  if (spec.find("securityContext") == nullptr) spec.set("securityContext", json::Value::object());
  if (!spec.get_string("serviceAccountName").empty())
    spec.set("serviceAccount", spec.get_string("serviceAccountName"));
  for (const char* list : {"initContainers", "containers"}) {
    json::Value* containers = spec.find(list);
    if (containers == nullptr || !containers->is_array()) continue;
    for (json::Value& container : containers->as_array()) default_container(container);
  }
  json::Value* volumes = spec.find("volumes");
  if (volumes == nullptr || !volumes->is_array()) return;
  for (json::Value& volume : volumes->as_array()) default_volume(volume);
}

void warn_of_pod_spec(const Context& context, const json::Value* spec, const std::string& path) {
  if (context.warnings == nullptr || spec == nullptr) return;
  std::vector<std::string> found;
  api::pod_spec_warnings(*spec, path, found);
  constexpr std::size_t kMaxWarnings = 20;  // they are headers
  for (std::string& warning : found) {
    std::vector<std::string>& all = *context.warnings;
    if (all.size() >= kMaxWarnings) return;
    if (std::find(all.begin(), all.end(), warning) == all.end()) all.push_back(std::move(warning));
  }
}

std::string container_list(const json::Value* spec, const char* member) {
  std::string text;
  const json::Value* containers = spec == nullptr ? nullptr : spec->find("containers");
  if (containers == nullptr || !containers->is_array()) return "<none>";
  for (const json::Value& container : containers->as_array()) {
    text += (text.empty() ? "" : ",") + container.get_string(member);
  }
  return text;
}

std::string selector_cell(const json::Value* selector) {
  if (selector == nullptr) return "<none>";
  const Result<api::LabelSelector> parsed = api::LabelSelector::from_json(*selector);
  const std::string text = parsed.ok() ? parsed->to_string() : "<error>";
  return text.empty() ? "<none>" : text;
}

std::string map_cell(const json::Value* labels) {
  std::map<std::string, std::string> sorted;
  if (labels == nullptr || !labels->is_object()) return "<none>";
  for (const json::Member& label : labels->as_object()) {
    if (label.second.is_string()) sorted.emplace(label.first, label.second.as_string());
  }
  std::string text;
  for (const auto& [key, value] : sorted) text += (text.empty() ? "" : ",") + key + "=" + value;
  return text.empty() ? "<none>" : text;
}

}  // namespace coxswain::registry
