// Where a container sees its pod's volumes: volumeMounts and volumeDevices.
#include "libs/api/validation/pod_parts.h"

namespace coxswain::api {
namespace {

std::set<std::string> all_of(const json::Value& container, const char* list, const char* member) {
  std::set<std::string> values;
  for (const json::Value& item : list_at(container, list)) values.insert(item.get_string(member));
  return values;
}

void validate_sub_path(const json::Value& mount, const std::string& at, const std::string& path, bool image,
                       FieldErrors& errors) {
  const std::string sub = mount.get_string("subPath");
  const std::string expression = mount.get_string("subPathExpr");
  if (image && !sub.empty()) errors.invalid(at + ".subPath", sub, "not allowed in image volume sources");
  if (image && !expression.empty())
    errors.invalid(at + ".subPathExpr", expression, "not allowed in image volume sources");
  if (!sub.empty()) validate_descending_path(sub, path + ".subPath", errors);
  if (expression.empty()) return;
  if (!sub.empty())
    errors.invalid(at + ".subPathExpr", expression, "subPathExpr and subPath are mutually exclusive");
  validate_descending_path(expression, path + ".subPathExpr", errors);
}

void validate_propagation(const json::Value& mount, const json::Value& container, const std::string& path,
                          FieldErrors& errors) {
  const json::Value* mode = mount.find("mountPropagation");
  if (mode != nullptr && mode->is_string()) {
    const std::string at = path + ".mountPropagation";
    if (mode->as_string().empty())
      errors.not_supported(at, "", {"Bidirectional", "HostToContainer", "None"});
    else
      errors.one_of(at, mode->as_string(), {"Bidirectional", "HostToContainer", "None"});
    const json::Value* privileged = container.find_path({"securityContext", "privileged"});
    if (mode->as_string() == "Bidirectional" &&
        (privileged == nullptr || !(*privileged == json::Value(true))))
      errors.forbidden(at, "Bidirectional mount propagation is available only to privileged containers");
  }
  const json::Value* recursive = mount.find("recursiveReadOnly");
  if (recursive == nullptr || !recursive->is_string() || recursive->as_string() == "Disabled") return;
  const std::string at = path + ".recursiveReadOnly";
  const std::string& value = recursive->as_string();
  if (value != "Enabled" && value != "IfPossible")
    return errors.not_supported(at, value, {"Disabled", "Enabled", "IfPossible"});
  if (!true_at(mount, "readOnly")) errors.forbidden(at, "may only be specified when readOnly is true");
  if (mode != nullptr && !(*mode == json::Value("None")))
    errors.forbidden(at, "may only be specified when mountPropagation is None or not specified");
}

void validate_devices(const json::Value& container, const std::string& path, const Volumes& volumes,
                      FieldErrors& errors) {
  const std::set<std::string> mounted = all_of(container, "volumeMounts", "name");
  const std::set<std::string> mount_places = all_of(container, "volumeMounts", "mountPath");
  std::set<std::string> names;
  std::set<std::string> places;
  std::size_t index = 0;
  for (const json::Value& device : list_at(container, "volumeDevices")) {
    const std::string at = indexed(path + ".volumeDevices", index++);
    const std::string name = device.get_string("name");
    const std::string place = device.get_string("devicePath");
    if (name.empty()) errors.required(at + ".name");
    if (!name.empty() && !names.insert(name).second) errors.invalid(at + ".name", name, "must be unique");
    const auto volume = volumes.find(name);
    if (volume == volumes.end())
      errors.not_found(at + ".name", name);
    else if (volume->second->find("persistentVolumeClaim") == nullptr &&
             volume->second->find("ephemeral") == nullptr) {
      errors.invalid(at + ".name", name,
                     "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
    }
    if (place.empty()) errors.required(at + ".devicePath");
    if (!place.empty() && !places.insert(place).second)
      errors.invalid(at + ".devicePath", place, "must be unique");
    if (mounted.count(name) != 0)
      errors.invalid(at + ".name", name, "must not already exist in volumeMounts");
    if (mount_places.count(place) != 0)
      errors.invalid(at + ".devicePath", place, "must not already exist as a path in volumeMounts");
  }
}

}  // namespace

void validate_mounts(const json::Value& container, const std::string& path, const PodScope& scope,
                     FieldErrors& errors) {
  const std::string list = path + ".volumeMounts";
  const std::set<std::string> devices = all_of(container, "volumeDevices", "name");
  const std::set<std::string> device_places = all_of(container, "volumeDevices", "devicePath");
  std::set<std::string> places;
  std::size_t index = 0;
  for (const json::Value& mount : list_at(container, "volumeMounts")) {
    const std::string at = indexed(list, index++);
    const std::string name = mount.get_string("name");
    const std::string place = mount.get_string("mountPath");
    const auto volume = scope.volumes.find(name);
    if (name.empty()) errors.required(at + ".name");
    if (volume == scope.volumes.end()) errors.not_found(at + ".name", name);
    if (place.empty()) errors.required(at + ".mountPath");
    if (!places.insert(place).second) errors.invalid(at + ".mountPath", place, "must be unique");
    if (devices.count(name) != 0)
      errors.invalid(at + ".name", name, "must not already exist in volumeDevices");
    if (device_places.count(place) != 0)
      errors.invalid(at + ".mountPath", place, "must not already exist as a path in volumeDevices");
    const bool image = volume != scope.volumes.end() && volume->second->find("image") != nullptr;
    validate_sub_path(mount, at, list, image, errors);
    validate_propagation(mount, container, list, errors);
  }
  validate_devices(container, path, scope.volumes, errors);
}

}  // namespace coxswain::api
