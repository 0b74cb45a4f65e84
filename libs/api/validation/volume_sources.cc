// What each kind of volume source must say.
#include <algorithm>

#include "libs/api/meta/quantity.h"
#include "libs/api/validation/pod_parts.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

constexpr const char* kFileMode = "must be a number between 0 and 0777 (octal), both inclusive";
constexpr const char* kPartition = "must be between 0 and 255, inclusive";

// Members that must not be empty, in order: the whole rule of many sources.
struct RequiredMembers {
  std::string_view kind;
  std::initializer_list<const char*> members;
};
const RequiredMembers kRequired[] = {
    {"gitRepo", {"repository"}},
    {"gcePersistentDisk", {"pdName"}},
    {"awsElasticBlockStore", {"volumeID"}},
    {"secret", {"secretName"}},
    {"configMap", {"name"}},
    {"nfs", {"server", "path"}},
    {"iscsi", {"targetPortal", "iqn"}},
    {"glusterfs", {"endpoints", "path"}},
    {"persistentVolumeClaim", {"claimName"}},
    {"rbd", {"monitors", "image"}},
    {"cinder", {"volumeID"}},
    {"cephfs", {"monitors"}},
    {"flexVolume", {"driver"}},
    {"azureFile", {"secretName", "shareName"}},
    {"vsphereVolume", {"volumePath"}},
    {"photonPersistentDisk", {"pdID"}},
    {"portworxVolume", {"volumeID"}},
    {"azureDisk", {"diskName", "diskURI"}},
    {"storageos", {"volumeName"}},
    {"scaleIO", {"gateway", "system", "volumeName"}},
    {"csi", {"driver"}},
    {"quobyte", {"volume"}},
};

bool is_set(const json::Value& source, const char* member) {
  const json::Value* value = source.find(member);
  if (value == nullptr) return false;
  return value->is_array() ? !value->as_array().empty() : !source.get_string(member).empty();
}

void validate_mode(const json::Value& object, const char* member, const std::string& path,
                   FieldErrors& errors) {
  const std::optional<std::int64_t> mode = int_at(object, member);
  if (mode && (*mode < 0 || *mode > 0777))
    errors.invalid(path + "." + member, static_cast<long>(*mode), kFileMode);
}

void validate_items(const json::Value& source, const std::string& path, FieldErrors& errors) {
  std::size_t index = 0;
  for (const json::Value& item : list_at(source, "items")) {
    const std::string at = indexed(path + ".items", index++);
    if (item.get_string("key").empty()) errors.required(at + ".key");
    if (item.get_string("path").empty()) errors.required(at + ".path");
    validate_non_reserved_path(item.get_string("path"), at + ".path", errors);
    validate_mode(item, "mode", at, errors);
  }
}

// One file of a downwardAPI volume: `path` is the list's, as upstream has it.
void validate_downward_file(const json::Value& file, const std::string& path, FieldErrors& errors) {
  if (file.get_string("path").empty()) errors.required(path + ".path");
  validate_non_reserved_path(file.get_string("path"), path + ".path", errors);
  const json::Value* field = object_at(file, "fieldRef");
  const json::Value* resource = object_at(file, "resourceFieldRef");
  if (field != nullptr) {
    validate_field_ref(*field, FieldRefUse::kVolume, path + ".fieldRef", errors);
    if (resource != nullptr)
      errors.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
  } else if (resource != nullptr) {
    validate_resource_field_ref(*resource, FieldRefUse::kVolume, path + ".resourceFieldRef", errors);
  } else {
    errors.required(path, "one of fieldRef and resourceFieldRef is required");
  }
  validate_mode(file, "mode", path, errors);
}

void validate_host_path(const json::Value& source, const std::string& path, FieldErrors& errors) {
  const std::string target = source.get_string("path");
  if (target.empty()) return errors.required(path + ".path");
  validate_no_backsteps(target, path + ".path", errors);
  const std::string type = source.get_string("type");
  if (!type.empty()) {
    errors.one_of(path + ".type", type,
                  {"", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
                   "Socket"});
  }
}

void validate_iscsi(const json::Value& source, const std::string& path, FieldErrors& errors) {
  const std::string iqn = source.get_string("iqn");
  const std::string kind = iqn.substr(0, 3);
  if (!iqn.empty() && kind != "iqn" && kind != "eui" && kind != "naa")
    errors.invalid(path + ".iqn", iqn, "must be valid format starting with iqn, eui, or naa");
  const std::int64_t lun = source.get_int("lun");
  if (lun < 0 || lun > 255) errors.invalid(path + ".lun", static_cast<long>(lun), kPartition);
  const bool chap = true_at(source, "chapAuthDiscovery") || true_at(source, "chapAuthSession");
  if (chap && source.find("secretRef") == nullptr) errors.required(path + ".secretRef");
}

void validate_fc(const json::Value& source, const std::string& path, FieldErrors& errors) {
  const json::Array& names = list_at(source, "targetWWNs");
  const json::Array& ids = list_at(source, "wwids");
  if (names.empty() && ids.empty())
    errors.required(path + ".targetWWNs", "must specify either targetWWNs or wwids, but not both");
  if (!names.empty() && !ids.empty()) {
    errors.invalid(path + ".targetWWNs", json::Value(names),
                   "targetWWNs and wwids can not be specified simultaneously");
  }
  if (names.empty()) return;
  const std::optional<std::int64_t> lun = int_at(source, "lun");
  if (!lun)
    errors.required(path + ".lun", "lun is required if targetWWNs is specified");
  else if (*lun < 0 || *lun > 255)
    errors.invalid(path + ".lun", static_cast<long>(*lun), kPartition);
}

void validate_csi(const json::Value& source, const std::string& path, FieldErrors& errors) {
  const std::string driver = source.get_string("driver");
  if (!driver.empty()) {
    if (driver.size() > 63) errors.too_long(path + ".driver", 63);
    errors.invalid_each(path + ".driver", driver, check_dns1123_subdomain(to_lower(driver)));
  }
  const json::Value* secret = object_at(source, "nodePublishSecretRef");
  if (secret == nullptr) return;
  const std::string at = path + ".nodePublishSecretRef.name";
  const std::string name = secret->get_string("name");
  if (name.empty())
    errors.required(at);
  else
    errors.invalid_each(at, name, check_dns1123_subdomain(name));
}

void validate_empty_dir(const json::Value& source, const std::string& path, FieldErrors& errors) {
  const json::Value* limit = source.find("sizeLimit");
  if (limit == nullptr) return;
  const auto quantity = Quantity::parse(limit->is_string() ? limit->as_string() : json::write(*limit));
  if (!quantity.ok() || quantity->sign() < 0)
    errors.forbidden(path + ".sizeLimit", "SizeLimit field must be a valid resource quantity");
}

// A path that two sources of a projected volume would both write.
void claim_path(const std::string& target, const std::string& value, std::set<std::string>& taken,
                const std::string& path, FieldErrors& errors) {
  if (!target.empty() && !taken.insert(target).second)
    errors.invalid(path, value, "conflicting duplicate paths");
}

void validate_token(const json::Value& token, const std::string& at, const std::string& path,
                    FieldErrors& errors) {
  const std::int64_t seconds = token.get_int("expirationSeconds", 3600);
  if (seconds < 600) {
    errors.invalid(at + ".expirationSeconds", static_cast<long>(seconds),
                   "may not specify a duration less than 10 minutes");
  }
  if (seconds > (std::int64_t{1} << 32)) {
    errors.invalid(at + ".expirationSeconds", static_cast<long>(seconds),
                   "may not specify a duration larger than 2^32 seconds");
  }
  if (token.get_string("path").empty())
    errors.required(path + ".path");
  else
    validate_non_reserved_path(token.get_string("path"), path + ".path", errors);
}

void validate_trust_bundle(const json::Value& bundle, const std::string& at, const std::string& path,
                           std::set<std::string>& taken, FieldErrors& errors) {
  const bool by_name = bundle.find("name") != nullptr;
  const bool by_signer = bundle.find("signerName") != nullptr;
  if (by_name && by_signer)
    errors.invalid(at, bundle, "only one of name and signerName may be used");
  else if (by_name && bundle.get_string("name").empty())
    errors.required(at + ".name", "must be a valid object name");
  else if (by_signer && bundle.get_string("signerName").empty())
    errors.required(at + ".signerName", "must be a valid signer name");
  else if (!by_name && !by_signer)
    errors.required(at, "either name or signerName must be specified");
  if (by_name && !by_signer && bundle.find("labelSelector") != nullptr) {
    errors.invalid(at + ".labelSelector", *bundle.find("labelSelector"),
                   "labelSelector must be unset if name is specified");
  }
  const std::string target = bundle.get_string("path");
  if (target.empty()) errors.required(at + ".path");
  validate_non_reserved_path(target, at + ".path", errors);
  claim_path(target, target, taken, path, errors);
}

using SourceCheck = void (*)(const json::Value&, const std::string&, FieldErrors&);

void validate_mapped(const json::Value& source, const std::string& path, FieldErrors& errors) {
  validate_mode(source, "defaultMode", path, errors);
  validate_items(source, path, errors);
}
void validate_downward(const json::Value& source, const std::string& path, FieldErrors& errors) {
  validate_mode(source, "defaultMode", path, errors);
  for (const json::Value& file : list_at(source, "items")) validate_downward_file(file, path, errors);
}
void validate_git(const json::Value& source, const std::string& path, FieldErrors& errors) {
  validate_descending_path(source.get_string("directory"), path + ".directory", errors);
}
void validate_nfs(const json::Value& source, const std::string& path, FieldErrors& errors) {
  const std::string target = source.get_string("path");
  if (target.empty() || target.front() != '/')
    errors.invalid(path + ".path", target, "must be an absolute path");
}
void validate_disk(const json::Value& source, const std::string& path, FieldErrors& errors) {
  const std::int64_t partition = source.get_int("partition");
  if (partition < 0 || partition > 255)
    errors.invalid(path + ".partition", static_cast<long>(partition), kPartition);
}
void validate_flocker(const json::Value& source, const std::string& path, FieldErrors& errors) {
  const std::string name = source.get_string("datasetName");
  const bool by_uuid = !source.get_string("datasetUUID").empty();
  if (name.empty() && !by_uuid) errors.required(path, "one of datasetName and datasetUUID is required");
  if (!name.empty() && by_uuid)
    errors.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously");
  if (name.find('/') != std::string::npos)
    errors.invalid(path + ".datasetName", name, "must not contain '/'");
}
void validate_quobyte(const json::Value& source, const std::string& path, FieldErrors& errors) {
  if (source.get_string("registry").empty()) {
    errors.required(path + ".registry", "must be a host:port pair or multiple pairs separated by commas");
  } else if (source.get_string("tenant").size() >= 65) {
    errors.required(path + ".tenant", "must be a UUID and may not exceed a length of 64 characters");
  }
}
void validate_ephemeral(const json::Value& source, const std::string& path, FieldErrors& errors) {
  const json::Value* claim = object_at(source, "volumeClaimTemplate");
  if (claim == nullptr) return errors.required(path + ".volumeClaimTemplate");
  const json::Value* spec = object_at(*claim, "spec");
  if (spec == nullptr || list_at(*spec, "accessModes").empty())
    errors.required(path + ".volumeClaimTemplate.spec.accessModes", "at least 1 access mode is required");
}

struct Check {
  std::string_view kind;
  SourceCheck check;
};
constexpr Check kChecks[] = {{"emptyDir", validate_empty_dir},
                             {"hostPath", validate_host_path},
                             {"gitRepo", validate_git},
                             {"gcePersistentDisk", validate_disk},
                             {"awsElasticBlockStore", validate_disk},
                             {"secret", validate_mapped},
                             {"configMap", validate_mapped},
                             {"nfs", validate_nfs},
                             {"iscsi", validate_iscsi},
                             {"flocker", validate_flocker},
                             {"quobyte", validate_quobyte},
                             {"downwardAPI", validate_downward},
                             {"fc", validate_fc},
                             {"projected", validate_projected},
                             {"csi", validate_csi},
                             {"ephemeral", validate_ephemeral}};

}  // namespace

void validate_volume_source(std::string_view kind, const json::Value& source, const std::string& path,
                            FieldErrors& errors) {
  for (const RequiredMembers& row : kRequired) {
    if (row.kind != kind) continue;
    for (const char* member : row.members) {
      if (!is_set(source, member)) errors.required(path + "." + member);
    }
  }
  for (const Check& row : kChecks) {
    if (row.kind == kind) row.check(source, path, errors);
  }
}

void validate_projected(const json::Value& projected, const std::string& path, FieldErrors& errors) {
  validate_mode(projected, "defaultMode", path, errors);
  std::set<std::string> taken;
  std::size_t index = 0;
  for (const json::Value& source : list_at(projected, "sources")) {
    const std::string at = indexed(path + ".sources", index++);
    int kinds = 0;
    for (const char* kind : {"secret", "configMap"}) {
      const json::Value* mapped = object_at(source, kind);
      if (mapped == nullptr) continue;
      ++kinds;
      const std::string name = mapped->get_string("name");
      if (name.empty()) errors.required(at + "." + kind + ".name");
      validate_items(*mapped, at + "." + kind, errors);
      for (const json::Value& item : list_at(*mapped, "items"))
        claim_path(item.get_string("path"), name, taken, path, errors);
    }
    if (const json::Value* down = object_at(source, "downwardAPI")) {
      ++kinds;
      for (const json::Value& file : list_at(*down, "items")) {
        validate_downward_file(file, at + ".downwardAPI", errors);
        claim_path(file.get_string("path"), file.get_string("path"), taken, path, errors);
      }
    }
    if (const json::Value* token = object_at(source, "serviceAccountToken")) {
      ++kinds;
      validate_token(*token, at + ".serviceAccountToken", path, errors);
    }
    if (const json::Value* bundle = object_at(source, "clusterTrustBundle")) {
      ++kinds;
      validate_trust_bundle(*bundle, at + ".clusterTrustBundle", path, taken, errors);
    }
    if (kinds > 1) errors.forbidden(at, "may not specify more than 1 volume type per source");
  }
}

}  // namespace coxswain::api
