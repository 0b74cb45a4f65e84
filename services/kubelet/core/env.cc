#include "services/kubelet/core/env.h"

#include <algorithm>
#include <cctype>

namespace coxswain::kubelet {
namespace {

void set(Environment& env, const std::string& name, std::string value) {
  for (auto& [key, old] : env) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  env.emplace_back(name, std::move(value));
}

std::string variable_name(const std::string& service) {
  std::string out;
  for (const char c : service)
    out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

void add_service(Environment& env, const v1::Service& service) {
  const std::string& ip = service.spec.clusterIP;
  if (ip.empty() || ip == "None" || service.spec.ports.empty()) return;
  const std::string prefix = variable_name(service.metadata.name);
  const auto& first = service.spec.ports.front();
  set(env, prefix + "_SERVICE_HOST", ip);
  set(env, prefix + "_SERVICE_PORT", std::to_string(first.port));
  for (const auto& port : service.spec.ports) {
    if (!port.name.empty())
      set(env, prefix + "_SERVICE_PORT_" + variable_name(port.name), std::to_string(port.port));
  }
  const auto url = [&](const v1::ServicePort& port) {
    std::string protocol = port.protocol.empty() ? "tcp" : port.protocol;
    std::transform(protocol.begin(), protocol.end(), protocol.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return std::pair(protocol, protocol + "://" + ip + ":" + std::to_string(port.port));
  };
  set(env, prefix + "_PORT", url(first).second);
  for (const auto& port : service.spec.ports) {
    const auto [protocol, text] = url(port);
    const std::string base = prefix + "_PORT_" + std::to_string(port.port) + "_" + variable_name(protocol);
    set(env, base, text);
    set(env, base + "_PROTO", protocol);
    set(env, base + "_PORT", std::to_string(port.port));
    set(env, base + "_ADDR", ip);
  }
}

Error config_error(std::string message) { return make_error(ErrorCode::kNotFound, std::move(message)); }

class Builder {
 public:
  Builder(const v1::Pod& pod, const v1::Container& container, const PodFacts& facts,
          const ObjectSource& objects)
      : pod_(pod), container_(container), facts_(facts), objects_(objects), ns_(pod.metadata.namespace_) {}

  Result<Environment> run() {
    services();
    for (const auto& source : container_.envFrom) COX_RETURN_IF_ERROR(from(source));
    for (const auto& variable : container_.env) {
      if (!variable.valueFrom) {
        set(env_, variable.name, expand(variable.value, env_));
        continue;
      }
      COX_RETURN_IF_ERROR(from_reference(variable.name, *variable.valueFrom));
    }
    return std::move(env_);
  }

 private:
  // The API's own service is offered to every pod; the others only with enableServiceLinks.
  void services() {
    if (!objects_.services) return;
    const bool links = pod_.spec.enableServiceLinks.value_or(true);
    auto all = objects_.services();
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a->metadata.name < b->metadata.name; });
    for (const auto& s : all) {
      const bool master = s->metadata.namespace_ == "default" && s->metadata.name == "kubernetes";
      if (master && ns_ != "default") add_service(env_, *s);
    }
    for (const auto& s : all) {
      const bool master = s->metadata.namespace_ == "default" && s->metadata.name == "kubernetes";
      if (s->metadata.namespace_ == ns_ && (links || master)) add_service(env_, *s);
    }
  }

  Result<void> from(const v1::EnvFromSource& source) {
    if (source.configMapRef) {
      const auto map = objects_.config_map(ns_, source.configMapRef->name);
      if (!map && !source.configMapRef->optional.value_or(false)) {
        return config_error("configmap \"" + source.configMapRef->name + "\" not found");
      }
      if (map)
        for (const auto& [key, value] : map->data) set(env_, source.prefix + key, value);
    }
    if (source.secretRef) {
      const auto secret = objects_.secret(ns_, source.secretRef->name);
      if (!secret && !source.secretRef->optional.value_or(false)) {
        return config_error("secret \"" + source.secretRef->name + "\" not found");
      }
      if (secret)
        for (const auto& [key, value] : secret->data) set(env_, source.prefix + key, value);
    }
    return {};
  }

  template <typename Object, typename Ref>
  Result<void> from_key(const std::string& variable, const std::string& kind, const Object& object,
                        const Ref& ref) {
    const bool optional = ref.optional.value_or(false);
    if (!object) {
      if (optional) return {};
      return config_error(kind + " \"" + ref.name + "\" not found");
    }
    const auto it = object->data.find(ref.key);
    if (it != object->data.end()) {
      set(env_, variable, it->second);
      return {};
    }
    if (optional) return {};
    return config_error("couldn't find key " + ref.key + " in " +
                        (kind == "secret" ? "Secret " : "ConfigMap ") + ns_ + "/" + ref.name);
  }

  Result<void> from_reference(const std::string& name, const v1::EnvVarSource& source) {
    if (source.fieldRef) {
      COX_ASSIGN_OR_RETURN(std::string value, pod_field(pod_, source.fieldRef->fieldPath, facts_));
      set(env_, name, std::move(value));
    } else if (source.resourceFieldRef) {
      const auto& ref = *source.resourceFieldRef;
      const v1::Container* other = &container_;
      for (const auto& c : pod_.spec.containers) {
        if (!ref.containerName.empty() && c.name == ref.containerName) other = &c;
      }
      const auto value = resource_field(*other, ref.resource, ref.divisor, facts_.node);
      if (!value) return config_error("unsupported container resource: " + ref.resource);
      set(env_, name, *value);
    } else if (source.configMapKeyRef) {
      return from_key(name, "configmap", objects_.config_map(ns_, source.configMapKeyRef->name),
                      *source.configMapKeyRef);
    } else if (source.secretKeyRef) {
      return from_key(name, "secret", objects_.secret(ns_, source.secretKeyRef->name), *source.secretKeyRef);
    } else {
      return config_error("env " + name + " has a valueFrom that this kubelet does not support");
    }
    return {};
  }

  const v1::Pod& pod_;
  const v1::Container& container_;
  const PodFacts& facts_;
  const ObjectSource& objects_;
  const std::string& ns_;
  Environment env_;
};

// metadata.labels['key'] -> key
std::string subscript(const std::string& path, const std::string& base) {
  if (path.size() < base.size() + 4 || path.compare(0, base.size() + 2, base + "['") != 0) return {};
  if (path.compare(path.size() - 2, 2, "']") != 0) return {};
  return path.substr(base.size() + 2, path.size() - base.size() - 4);
}

std::string format_map(const std::map<std::string, std::string>& map) {
  std::string out;
  for (const auto& [key, value] : map) {
    if (!out.empty()) out += '\n';
    out += key + "=\"";
    for (const char c : value) {
      if (c == '\n') {
        out += "\\n";
        continue;
      }
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out;
}

}  // namespace

Result<std::string> pod_field(const v1::Pod& pod, const std::string& path, const PodFacts& facts) {
  if (path == "metadata.name") return pod.metadata.name;
  if (path == "metadata.namespace") return pod.metadata.namespace_;
  if (path == "metadata.uid") return pod.metadata.uid;
  if (path == "metadata.labels") return format_map(pod.metadata.labels);
  if (path == "metadata.annotations") return format_map(pod.metadata.annotations);
  if (path == "spec.nodeName") return facts.node_name;
  if (path == "spec.serviceAccountName") return pod.spec.serviceAccountName;
  if (path == "status.hostIP" || path == "status.hostIPs") return facts.host_ip;
  if (path == "status.podIP" || path == "status.podIPs") return facts.pod_ip;
  const auto in = [](const std::map<std::string, std::string>& map, const std::string& key) {
    const auto it = map.find(key);
    return it == map.end() ? std::string() : it->second;
  };
  if (const auto key = subscript(path, "metadata.labels"); !key.empty()) return in(pod.metadata.labels, key);
  if (const auto key = subscript(path, "metadata.annotations"); !key.empty())
    return in(pod.metadata.annotations, key);
  return make_error(ErrorCode::kInvalidArgument, "unsupported fieldPath: " + path);
}

std::string expand(const std::string& text, const Environment& environment) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 >= text.size()) {
      out += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const auto close = text[i + 1] == '(' ? text.find(')', i + 2) : std::string::npos;
    if (close == std::string::npos) {
      out += '$';
      continue;
    }
    const std::string name = text.substr(i + 2, close - i - 2);
    const auto it =
        std::find_if(environment.begin(), environment.end(), [&](const auto& e) { return e.first == name; });
    out += it == environment.end() ? text.substr(i, close - i + 1) : it->second;
    i = close;
  }
  return out;
}

Result<Environment> make_environment(const v1::Pod& pod, const v1::Container& container,
                                     const PodFacts& facts, const ObjectSource& objects) {
  return Builder(pod, container, facts, objects).run();
}

}  // namespace coxswain::kubelet
