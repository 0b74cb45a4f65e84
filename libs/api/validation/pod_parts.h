// The pieces that pod specs are checked with; internal to this folder. Users see validation.h.
//
// Field paths, error types and words are those of Kubernetes' pkg/apis/core/validation, odd paths (the list
// instead of the element) included: clients match on them. Documents are defaulted and schema-checked.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "libs/api/validation/validation.h"

namespace coxswain::api {

// Volumes without errors, by name; the values live in the pod's spec.
using Volumes = std::map<std::string, const json::Value*>;

// What the checks of one container need to know of its pod.
struct PodScope {
  Volumes volumes;
  std::set<std::string> claims;  // names of spec.resourceClaims
  std::optional<std::int64_t> grace_period_seconds;
  std::string restart_policy;
  bool host_users = true;
  bool is_pod = false;  // not a template
};

// --- members -------------------------------------------------------------------------------------
// The member when it is an integer / an object; else nothing.
std::optional<std::int64_t> int_at(const json::Value& object, std::string_view key);
const json::Value* object_at(const json::Value& object, std::string_view key);
bool true_at(const json::Value& object, std::string_view key);

// --- volumes.cc, volume_sources.cc ---------------------------------------------------------------
// `pod_name` empty: a template.
Volumes validate_volumes(const json::Value& spec, const std::string& path, const std::string& pod_name,
                         FieldErrors& errors);
void validate_volume_source(std::string_view kind, const json::Value& source, const std::string& path,
                            FieldErrors& errors);
void validate_projected(const json::Value& source, const std::string& path, FieldErrors& errors);

// --- references.cc -------------------------------------------------------------------------------
enum class FieldRefUse : std::uint8_t { kEnvironment, kVolume };
void validate_field_ref(const json::Value& reference, FieldRefUse use, const std::string& path,
                        FieldErrors& errors);
void validate_resource_field_ref(const json::Value& reference, FieldRefUse use, const std::string& path,
                                 FieldErrors& errors);
void validate_no_backsteps(const std::string& target, const std::string& path, FieldErrors& errors);
void validate_descending_path(const std::string& target, const std::string& path, FieldErrors& errors);
void validate_non_reserved_path(const std::string& target, const std::string& path, FieldErrors& errors);

// --- container.cc, mounts.cc, handlers.cc, resources.cc --------------------------------------------
void validate_container(const json::Value& container, const std::string& path, const PodScope& scope,
                        FieldErrors& errors);
void validate_mounts(const json::Value& container, const std::string& path, const PodScope& scope,
                     FieldErrors& errors);
// lifecycle and the three probes.
void validate_handlers(const json::Value& container, const std::string& path, const PodScope& scope,
                       FieldErrors& errors);
// ResourceRequirements; also of `overhead`.
void validate_resources(const json::Value& resources, const std::string& path,
                        const std::set<std::string>& claims, FieldErrors& errors);
// Quantities by resource name that must not be negative (and whole for extended resources).
void validate_quantity(const std::string& resource, const json::Value& value, const std::string& path,
                       FieldErrors& errors);

// --- security_context.cc ---------------------------------------------------------------------------
void validate_container_security(const json::Value& container, const std::string& path, bool host_users,
                                 FieldErrors& errors);
void validate_pod_security(const json::Value& spec, const std::string& path, FieldErrors& errors);

// --- affinity.cc, tolerations.cc -------------------------------------------------------------------
void validate_affinity(const json::Value& spec, const std::string& path, FieldErrors& errors);
void validate_topology_spread(const json::Value& spec, const std::string& path, FieldErrors& errors);
void validate_tolerations(const json::Value& spec, const std::string& path, FieldErrors& errors);
void validate_taint_effect(const std::string& effect, bool allow_empty, const std::string& path,
                           FieldErrors& errors);

// --- dns.cc ------------------------------------------------------------------------------------------
void validate_pod_dns(const json::Value& spec, const std::string& path, FieldErrors& errors);

}  // namespace coxswain::api
