// spec.volumes: names, and exactly one source each. The sources are in volume_sources.cc.
#include "libs/api/validation/pod_parts.h"

namespace coxswain::api {
namespace {

// In the order in which Kubernetes looks: the second source it meets is the one too many.
struct Source {
  const char* name;  // the member
  const char* path;  // where a second source is reported
};
constexpr Source kSources[] = {{"emptyDir", "emptyDir"},
                               {"hostPath", "hostPath"},
                               {"gitRepo", "gitRepo"},
                               {"gcePersistentDisk", "gcePersistentDisk"},
                               {"awsElasticBlockStore", "awsElasticBlockStore"},
                               {"secret", "secret"},
                               {"nfs", "nfs"},
                               {"iscsi", "iscsi"},
                               {"glusterfs", "glusterfs"},
                               {"flocker", "flocker"},
                               {"persistentVolumeClaim", "persistentVolumeClaim"},
                               {"rbd", "rbd"},
                               {"cinder", "cinder"},
                               {"cephfs", "cephFS"},
                               {"quobyte", "quobyte"},
                               {"downwardAPI", "downwarAPI"},  // sic
                               {"fc", "fc"},
                               {"flexVolume", "flexVolume"},
                               {"configMap", "configMap"},
                               {"azureFile", "azureFile"},
                               {"vsphereVolume", "vsphereVolume"},
                               {"photonPersistentDisk", "photonPersistentDisk"},
                               {"portworxVolume", "portworxVolume"},
                               {"azureDisk", "azureDisk"},
                               {"storageos", "storageos"},
                               {"projected", "projected"},
                               {"scaleIO", "scaleIO"},
                               {"csi", "csi"},
                               {"ephemeral", "ephemeral"},
                               {"image", "image"}};

void validate_sources(const json::Value& volume, const std::string& path, FieldErrors& errors) {
  int sources = 0;
  for (const Source& source : kSources) {
    const json::Value* value = object_at(volume, source.name);
    if (value == nullptr) continue;
    if (++sources > 1)
      errors.forbidden(path + "." + source.path, "may not specify more than 1 volume type");
    else
      validate_volume_source(source.name, *value, path + "." + source.name, errors);
  }
  if (sources == 0) errors.required(path, "must specify a volume type");
}

void validate_ephemeral_claim(const json::Value& volume, const std::string& path, const std::string& pod_name,
                              FieldErrors& errors) {
  const std::string name = volume.get_string("name");
  if (volume.find("ephemeral") == nullptr || pod_name.empty() || name.empty()) return;
  const std::string claim = pod_name + "-" + name;
  for (const std::string& error : check_dns1123_subdomain(claim))
    errors.invalid(path + ".name", name, "PVC name \"" + claim + "\": " + error);
}

}  // namespace

Volumes validate_volumes(const json::Value& spec, const std::string& path, const std::string& pod_name,
                         FieldErrors& errors) {
  Volumes good;
  std::set<std::string> created_claims;
  for (const json::Value& volume : list_at(spec, "volumes")) {
    if (volume.find("ephemeral") != nullptr && !pod_name.empty())
      created_claims.insert(pod_name + "-" + volume.get_string("name"));
  }
  std::size_t index = 0;
  for (const json::Value& volume : list_at(spec, "volumes")) {
    const std::string at = indexed(path + ".volumes", index++);
    const std::string name = volume.get_string("name");
    const std::size_t before = errors.count();
    validate_sources(volume, at, errors);
    validate_ephemeral_claim(volume, at, pod_name, errors);
    if (name.empty())
      errors.required(at + ".name");
    else
      errors.invalid_each(at + ".name", name, check_dns1123_label(name));
    if (good.count(name) != 0) errors.duplicate(at + ".name", name);
    if (errors.count() == before) good.emplace(name, &volume);
    const std::string claim = volume.get_string_path({"persistentVolumeClaim", "claimName"});
    if (!claim.empty() && created_claims.count(claim) != 0) {
      errors.invalid(at + ".persistentVolumeClaim.claimName", claim,
                     "must not reference a PVC that gets created for an ephemeral volume");
    }
  }
  return good;
}

}  // namespace coxswain::api
