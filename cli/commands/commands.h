// The commands; each in its own file. Every one returns the exit code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/discovery.h"
#include "cli/options.h"

namespace coxswain::cli {

struct GetOptions {
  std::vector<std::string> targets;
  std::string output;  // "", wide, yaml, json, name, jsonpath=...
  std::string label_selector;
  std::string field_selector;
  bool watch = false;
  bool no_headers = false;
  bool show_labels = false;
};
int run_get(const GlobalOptions& global, const GetOptions& options);

struct DescribeOptions {
  std::vector<std::string> targets;
  std::string label_selector;
};
int run_describe(const GlobalOptions& global, const DescribeOptions& options);

struct ApplyOptions {
  std::vector<std::string> files;  // paths, folders, "-"
  bool dry_run = false;
};
int run_apply(const GlobalOptions& global, const ApplyOptions& options);

struct DeleteCommandOptions {
  std::vector<std::string> targets;
  std::vector<std::string> files;
  std::string label_selector;
  bool all = false;
  bool force = false;
  bool wait = true;
  bool ignore_not_found = false;
  std::int64_t grace_period = -1;
  std::string cascade = "background";
  std::int64_t timeout_s = 300;
};
int run_delete(const GlobalOptions& global, const DeleteCommandOptions& options);

struct LogsOptions {
  std::string pod;
  std::string container;
  bool follow = false;
  bool previous = false;
  bool timestamps = false;
  std::int64_t tail = -1;
  std::string since;
};
int run_logs(const GlobalOptions& global, const LogsOptions& options);

struct ScaleOptions {
  std::vector<std::string> targets;
  std::int64_t replicas = -1;
  std::int64_t current_replicas = -1;
};
int run_scale(const GlobalOptions& global, const ScaleOptions& options);

int run_version(const GlobalOptions& global, bool client_only);
int run_api_resources(const GlobalOptions& global);

// Objects of all documents in the files; folders are read in name order (*.yaml, *.yml, *.json).
Result<std::vector<json::Value>> read_objects(const std::vector<std::string>& files);
// Where `object` lives: its kind and namespace. The error is for the user.
struct ObjectPlace {
  const ResourceKind* kind = nullptr;
  std::string ns;
  std::string name;
  std::string label() const { return kind->qualified_singular() + "/" + name; }
};
Result<ObjectPlace> place_of(const Discovery& discovery, const json::Value& object,
                             const std::string& default_ns);

}  // namespace coxswain::cli
