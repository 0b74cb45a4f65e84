#include "services/kubelet/volumes/volume_files.h"

#include <algorithm>
#include <set>

namespace coxswain::kubelet {
namespace {

constexpr int kDefaultMode = 0644;

Error missing(std::string message) { return make_error(ErrorCode::kNotFound, std::move(message)); }

// Either all keys under their own names or the listed ones.
Result<void> take(const std::map<std::string, std::string>& data, const std::vector<v1::KeyToPath>& items,
                  int mode, bool optional, const std::string& what, VolumeFiles& out) {
  if (items.empty()) {
    for (const auto& [key, value] : data) out[key] = {value, mode};
    return {};
  }
  for (const auto& item : items) {
    const auto it = data.find(item.key);
    if (it == data.end()) {
      if (optional) continue;
      return missing(what + " references non-existent key: " + item.key);
    }
    out[item.path] = {it->second, item.mode.value_or(mode)};
  }
  return {};
}

std::map<std::string, std::string> all_data(const v1::ConfigMap& map) {
  std::map<std::string, std::string> out = map.data;
  out.insert(map.binaryData.begin(), map.binaryData.end());
  return out;
}

class Collector {
 public:
  Collector(const v1::Pod& pod, const PodFacts& facts, const ObjectSource& objects)
      : pod_(pod), facts_(facts), objects_(objects) {}

  Result<void> config_map(const std::string& name, const std::vector<v1::KeyToPath>& items, int mode,
                          bool optional) {
    const auto map = objects_.config_map(pod_.metadata.namespace_, name);
    if (!map) return optional ? Result<void>() : missing("configmap \"" + name + "\" not found");
    return take(all_data(*map), items, mode, optional, "configmap", files);
  }
  Result<void> secret(const std::string& name, const std::vector<v1::KeyToPath>& items, int mode,
                      bool optional) {
    const auto secret = objects_.secret(pod_.metadata.namespace_, name);
    if (!secret) return optional ? Result<void>() : missing("secret \"" + name + "\" not found");
    return take(secret->data, items, mode, optional, "secret", files);
  }
  Result<void> downward(const std::vector<v1::DownwardAPIVolumeFile>& items, int mode) {
    for (const auto& item : items) {
      std::string value;
      if (item.fieldRef) {
        COX_ASSIGN_OR_RETURN(value, pod_field(pod_, item.fieldRef->fieldPath, facts_));
      } else if (item.resourceFieldRef) {
        COX_ASSIGN_OR_RETURN(value, resource(*item.resourceFieldRef));
      }
      files[item.path] = {std::move(value), item.mode.value_or(mode)};
    }
    return {};
  }
  VolumeFiles files;

 private:
  Result<std::string> resource(const v1::ResourceFieldSelector& ref) {
    for (const auto& c : pod_.spec.containers) {
      if (c.name != ref.containerName) continue;
      if (auto value = resource_field(c, ref.resource, ref.divisor, facts_.node)) return *value;
    }
    return missing("unsupported container resource: " + ref.resource);
  }
  const v1::Pod& pod_;
  const PodFacts& facts_;
  const ObjectSource& objects_;
};

Result<void> project(Collector& out, const v1::VolumeProjection& source, int mode) {
  if (source.configMap) {
    return out.config_map(source.configMap->name, source.configMap->items, mode,
                          source.configMap->optional.value_or(false));
  }
  if (source.secret) {
    return out.secret(source.secret->name, source.secret->items, mode,
                      source.secret->optional.value_or(false));
  }
  if (source.downwardAPI) return out.downward(source.downwardAPI->items, mode);
  return make_error(
      ErrorCode::kUnimplemented,
      "projected volumes of this kubelet support configMap, secret and downwardAPI sources only");
}

}  // namespace

bool has_files(const v1::Volume& v) { return v.configMap || v.secret || v.downwardAPI || v.projected; }

bool keeps_secrets(const v1::Volume& v) { return v.secret || v.projected; }

Result<VolumeFiles> volume_files(const v1::Pod& pod, const v1::Volume& volume, const PodFacts& facts,
                                 const ObjectSource& objects) {
  Collector out(pod, facts, objects);
  if (const auto& v = volume.configMap) {
    COX_RETURN_IF_ERROR(out.config_map(v->name, v->items, v->defaultMode.value_or(kDefaultMode),
                                       v->optional.value_or(false)));
  } else if (const auto& v = volume.secret) {
    COX_RETURN_IF_ERROR(out.secret(v->secretName, v->items, v->defaultMode.value_or(kDefaultMode),
                                   v->optional.value_or(false)));
  } else if (const auto& v = volume.downwardAPI) {
    COX_RETURN_IF_ERROR(out.downward(v->items, v->defaultMode.value_or(kDefaultMode)));
  } else if (const auto& v = volume.projected) {
    for (const auto& source : v->sources) {
      COX_RETURN_IF_ERROR(project(out, source, v->defaultMode.value_or(kDefaultMode)));
    }
  }
  return std::move(out.files);
}

PodReferences references_of(const v1::Pod& pod) {
  std::set<std::string> maps, secrets;
  for (const auto& v : pod.spec.volumes) {
    if (v.configMap) maps.insert(v.configMap->name);
    if (v.secret) secrets.insert(v.secret->secretName);
    if (!v.projected) continue;
    for (const auto& source : v.projected->sources) {
      if (source.configMap) maps.insert(source.configMap->name);
      if (source.secret) secrets.insert(source.secret->name);
    }
  }
  const auto look = [&](const v1::Container& c) {
    for (const auto& from : c.envFrom) {
      if (from.configMapRef) maps.insert(from.configMapRef->name);
      if (from.secretRef) secrets.insert(from.secretRef->name);
    }
    for (const auto& e : c.env) {
      if (e.valueFrom && e.valueFrom->configMapKeyRef) maps.insert(e.valueFrom->configMapKeyRef->name);
      if (e.valueFrom && e.valueFrom->secretKeyRef) secrets.insert(e.valueFrom->secretKeyRef->name);
    }
  };
  for (const auto& c : pod.spec.initContainers) look(c);
  for (const auto& c : pod.spec.containers) look(c);
  for (const auto& s : pod.spec.imagePullSecrets) secrets.insert(s.name);
  return {{maps.begin(), maps.end()}, {secrets.begin(), secrets.end()}};
}

}  // namespace coxswain::kubelet
