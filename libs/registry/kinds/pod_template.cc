#include "libs/registry/kinds/pod_template.h"

#include <set>

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

void default_container(json::Value& container) {
  if (!container.is_object()) return;
  set_default(container, "terminationMessagePath", "/dev/termination-log");
  set_default(container, "terminationMessagePolicy", "File");
  set_default(container, "imagePullPolicy", pull_policy(container.get_string("image")));
  if (container.find("resources") == nullptr) container.set("resources", json::Value::object());
  for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) default_probe(container, probe);
  if (json::Value* ports = container.find("ports"); ports != nullptr && ports->is_array()) {
    for (json::Value& port : ports->as_array()) {
      if (port.is_object()) set_default(port, "protocol", "TCP");
    }
  }
  // A limit without a request is also the request.
  const json::Value* limits = container.find_path({"resources", "limits"});
  if (limits == nullptr || !limits->is_object()) return;
  const json::Value copy = *limits;
  for (const json::Member& limit : copy.as_object()) {
    json::Value& requests = container["resources"]["requests"];
    if (!requests.is_object()) requests = json::Value::object();
    if (requests.find(limit.first) == nullptr) requests.set(limit.first, limit.second);
  }
}

bool is_label(const std::string& text) {
  if (text.empty() || text.size() > 63 || text.front() == '-' || text.back() == '-') return false;
  for (const char c : text) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  }
  return true;
}

void validate_containers(const json::Value& spec, const char* list, const std::string& path,
                         std::set<std::string>& names, Causes& out) {
  const json::Value* containers = spec.find(list);
  if (containers == nullptr || !containers->is_array()) return;
  std::size_t index = 0;
  for (const json::Value& container : containers->as_array()) {
    const std::string at = path + "." + list + "[" + std::to_string(index++) + "]";
    const std::string name = container.get_string("name");
    if (name.empty()) {
      out.push_back({"FieldValueRequired", "Required value", at + ".name"});
    } else if (!is_label(name)) {
      out.push_back({"FieldValueInvalid", "Invalid value: \"" + name + "\": a lowercase RFC 1123 label must consist of "
                     "lower case alphanumeric characters or '-', and must start and end with an alphanumeric character "
                     "(e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
                     at + ".name"});
    } else if (!names.insert(name).second) {
      out.push_back({"FieldValueDuplicate", "Duplicate value: \"" + name + "\"", at + ".name"});
    }
    if (container.get_string("image").empty()) out.push_back({"FieldValueRequired", "Required value", at + ".image"});
    const json::Value* ports = container.find("ports");
    if (ports == nullptr || !ports->is_array()) continue;
    std::size_t p = 0;
    for (const json::Value& port : ports->as_array()) {
      const std::int64_t number = port.get_int("containerPort");
      const std::string port_at = at + ".ports[" + std::to_string(p++) + "].containerPort";
      if (number == 0) out.push_back({"FieldValueRequired", "Required value", port_at});
      else if (number < 0 || number > 65535) {
        out.push_back({"FieldValueInvalid", "Invalid value: " + std::to_string(number) + ": must be between 1 and 65535, inclusive", port_at});
      }
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
  if (!spec.get_string("serviceAccountName").empty()) spec.set("serviceAccount", spec.get_string("serviceAccountName"));
  for (const char* list : {"initContainers", "containers"}) {
    json::Value* containers = spec.find(list);
    if (containers == nullptr || !containers->is_array()) continue;
    for (json::Value& container : containers->as_array()) default_container(container);
  }
  json::Value* volumes = spec.find("volumes");
  if (volumes == nullptr || !volumes->is_array()) return;
  for (json::Value& volume : volumes->as_array()) {
    for (const char* source : {"configMap", "secret"}) {
      if (json::Value* value = volume.find(source); value != nullptr && value->is_object()) set_default(*value, "defaultMode", 420);
    }
  }
}

void validate_pod_spec(const json::Value& spec, const std::string& path, Causes& out) {
  const json::Value* containers = spec.find("containers");
  if (containers == nullptr || !containers->is_array() || containers->as_array().empty()) {
    out.push_back({"FieldValueRequired", "Required value", path + ".containers"});
  }
  std::set<std::string> names;
  validate_containers(spec, "initContainers", path, names, out);
  validate_containers(spec, "containers", path, names, out);
  const std::string policy = spec.get_string("restartPolicy");
  if (policy != "Always" && policy != "OnFailure" && policy != "Never") {
    out.push_back({"FieldValueNotSupported", "Unsupported value: \"" + policy +
                   "\": supported values: \"Always\", \"OnFailure\", \"Never\"", path + ".restartPolicy"});
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
  std::string text;
  const json::Value* labels = selector == nullptr ? nullptr : selector->find("matchLabels");
  if (labels == nullptr) labels = selector;
  if (labels == nullptr || !labels->is_object()) return "<none>";
  for (const json::Member& label : labels->as_object()) {
    if (label.second.is_string()) text += (text.empty() ? "" : ",") + label.first + "=" + label.second.as_string();
  }
  return text.empty() ? "<none>" : text;
}

}  // namespace coxswain::registry
