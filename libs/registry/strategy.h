// What a kind adds to the generic resource pipeline. One file per kind in libs/registry/kinds; the
// table in kinds/kinds.cc is the only place that lists them. A kind without a strategy gets the
// generic behaviour: static defaults and checks of the schema table, names, metadata.
//
// A Strategy is a struct of optional pure functions over documents (json::Value): no clock, no I/O,
// no locks, no logs, no store. They run on io and worker threads at the same time.
//
// Order of a write (libs/registry/verbs):
//   create: decode -> schema defaults -> default_object -> [metadata filled] -> prepare_create ->
//           allocate -> schema checks -> metadata checks -> validate_create -> commit
//   update, patch: decode -> schema defaults -> default_object -> [immutable metadata restored,
//           status restored] -> prepare_update -> allocate -> schema checks -> metadata checks ->
//           validate_update -> [generation] -> commit
//   status: decode -> schema defaults -> default_object -> [all but status, labels, annotations,
//           finalizers restored from the stored object] -> prepare_status_update -> schema checks ->
//           validate_status_update -> commit
//   delete: grace_period_seconds, on_terminating, may_be_removed
// Steps in [brackets] are the pipeline's: a strategy need not care about uid, creationTimestamp,
// resourceVersion, deletionTimestamp, generation or managedFields, nor about keeping `.status` apart
// from the rest when the kind has a status subresource.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/api/meta/status.h"
#include "libs/api/schema/schema.h"
#include "libs/common/json/json.h"

namespace coxswain::registry {

using Causes = std::vector<api::StatusCause>;

// Cluster-wide facts that some kinds need; constant after start.
struct ClusterSettings {
  std::string service_cluster_ip_range = "10.96.0.0/16";
  std::int32_t node_port_first = 30000;
  std::int32_t node_port_last = 32767;
};

struct UserInfo {
  std::string name;
  std::vector<std::string> groups;
};

struct Context {
  std::int64_t now_unix_ms = 0;                  // one instant for the whole request
  const UserInfo* user = nullptr;                // never null in a request
  const ClusterSettings* settings = nullptr;     // never null in a request
  std::vector<std::string>* warnings = nullptr;  // become `Warning: 299` headers; may be null
};

// How metadata.name must look (generateName likewise, without its last character rule).
enum class NameRule : std::uint8_t {
  kDnsSubdomain,  // RFC 1123 subdomain, 253: most kinds
  kDnsLabel,      // RFC 1123 label, 63: Namespace
  kDns1035Label,  // RFC 1035 label, 63: Service
  kPathSegment,   // anything but ".", "..", "/", "%": events, RBAC
};

// Answers "is this claim taken?" while allocating; backed by the store.
using ClaimTaken = std::function<bool(const std::string& claim)>;

using FieldValues = std::vector<std::pair<std::string, std::string>>;

struct Strategy {
  // --- declarative -----------------------------------------------------------------------------
  NameRule name_rule = NameRule::kDnsSubdomain;
  bool has_generation = false;             // metadata.generation: 1, then +1 when spec changes
  bool generation_of_annotations = false;  // annotations count as spec for it (Deployment)
  bool allow_create_on_update = false;     // PUT of an absent name creates it (Lease, Node no: see K8s)
  bool allow_unconditional_update = true;  // PUT without resourceVersion
  std::int64_t ttl_seconds = 0;            // >0: the object expires by itself (events)

  // --- create ----------------------------------------------------------------------------------
  // Defaults that the schema's static ones cannot express (imagePullPolicy from the tag...). Must be
  // idempotent: also runs on updates and on status writes.
  void (*default_object)(json::Value& object) = nullptr;
  // Fields that users may not set are reset here (status where Kubernetes drops it), and built-in
  // admission happens here (default service account, tolerations).
  void (*prepare_create)(const Context&, json::Value& object) = nullptr;
  // Appends causes; the schema's checks (types, required, enumerations) have been done already.
  void (*validate_create)(const Context&, const json::Value& object, Causes& out) = nullptr;

  // --- update ----------------------------------------------------------------------------------
  void (*prepare_update)(const Context&, const json::Value& old, json::Value& object) = nullptr;
  // When null, validate_create is used for the new object.
  void (*validate_update)(const Context&, const json::Value& old, const json::Value& object,
                          Causes& out) = nullptr;

  // --- status subresource ----------------------------------------------------------------------
  void (*prepare_status_update)(const Context&, const json::Value& old, json::Value& object) = nullptr;
  void (*validate_status_update)(const Context&, const json::Value& old, const json::Value& object,
                                 Causes& out) = nullptr;

  // --- claims: cluster-unique things an object owns (cluster IPs, node ports) -------------------
  // The claims of a complete object, e.g. "clusterip/10.96.0.10", "nodeport/TCP/30080". The pipeline
  // takes new ones and drops old ones in the transaction of the object itself, so that a crash or a
  // race can neither leak nor double-allocate.
  void (*claims)(const json::Value& object, std::vector<std::string>& out) = nullptr;
  // Fills what is unset (old == nullptr: create). Called again, with a fresh view, when another
  // writer took the same claim first. Errors are causes (422).
  void (*allocate)(const Context&, const json::Value* old, json::Value& object, const ClaimTaken& taken,
                   Causes& out) = nullptr;

  // --- delete ----------------------------------------------------------------------------------
  // Why the object may never be deleted (403); null: it may.
  const char* (*forbids_deletion)(const json::Value& object) = nullptr;
  // Seconds to keep the object, marked with deletionTimestamp, for a graceful end; 0: remove now.
  // `requested` is DeleteOptions.gracePeriodSeconds. null: always 0. (Pods: spec value; 0 when not
  // bound or already finished.)
  std::int64_t (*grace_period_seconds)(const json::Value& object,
                                       std::optional<std::int64_t> requested) = nullptr;
  // Runs when deletionTimestamp is set for the first time (Namespace: status.phase Terminating).
  void (*on_terminating)(const Context&, json::Value& object) = nullptr;
  // Besides metadata.finalizers being empty: may the object go? (Namespace: spec.finalizers empty.)
  bool (*may_be_removed)(const json::Value& object) = nullptr;

  // --- reading ---------------------------------------------------------------------------------
  // Values for field selectors besides metadata.name/namespace. null: each name in
  // Resource::field_selectors is read as a JSON path (booleans "true"/"false", absent "").
  void (*selectable_fields)(const json::Value& object, FieldValues& out) = nullptr;
  // One cell for a column whose json_path is empty. `column` is PrinterColumn::name.
  json::Value (*table_cell)(const json::Value& object, std::string_view column,
                            std::int64_t now_unix_ms) = nullptr;
  // Kinds whose stored form is another version's (events.k8s.io <-> core events). Values in and out
  // carry apiVersion/kind. The other functions see the served form, selectors the stored one.
  json::Value (*to_storage)(json::Value object) = nullptr;
  json::Value (*from_storage)(json::Value object) = nullptr;
};

// kinds/kinds.cc: the strategy of a kind, or the generic one. Never null; static lifetime.
const Strategy& find_strategy(std::string_view group, std::string_view kind);

}  // namespace coxswain::registry
