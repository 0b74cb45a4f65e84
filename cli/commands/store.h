// `coxctl store ...`: what an operator does with the built-in store, over /store/v1 (docs/store-api.md), and
// with snapshots of it, offline.
#pragma once

#include <cstdint>
#include <string>

#include "cli/options.h"

namespace coxswain::cli {

struct StoreOptions {
  std::string output;  // "", json, yaml
  std::string name;    // of a member to add
  std::string peer_address;
  std::uint64_t member = 0;   // its id; 0: none named
  std::int64_t revision = 0;  // 0: now
  std::string file;           // a snapshot
  bool local = false;         // of what the asked member has, without a quorum
  std::string data_dir;       // of the api-server, as its flag has it
  std::uint64_t member_id = 1;
  std::string initial_cluster;
  std::string cluster_id;
  std::int64_t bump_revision = 1'000'000'000;
};

int run_store_status(const GlobalOptions& global, const StoreOptions& options);
int run_member_list(const GlobalOptions& global, const StoreOptions& options);
int run_member_add(const GlobalOptions& global, const StoreOptions& options);
int run_member_promote(const GlobalOptions& global, const StoreOptions& options);
int run_member_replace(const GlobalOptions& global, const StoreOptions& options);
int run_member_remove(const GlobalOptions& global, const StoreOptions& options);
int run_transfer_leader(const GlobalOptions& global, const StoreOptions& options);
int run_store_compact(const GlobalOptions& global, const StoreOptions& options);
int run_store_hash(const GlobalOptions& global, const StoreOptions& options);

// store_snapshot.cc; restore and verify ask no server.
int run_snapshot_save(const GlobalOptions& global, const StoreOptions& options);
int run_snapshot_verify(const StoreOptions& options);
int run_snapshot_restore(const StoreOptions& options);

// As fail(), with what to do next about a store.
int fail_store(const api::Status& status);

}  // namespace coxswain::cli
