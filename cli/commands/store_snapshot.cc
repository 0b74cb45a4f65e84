// coxctl store snapshot: save (over HTTP, checked while it comes), verify and restore (offline).
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>

#include "cli/commands/store.h"
#include "cli/store_members.h"
#include "libs/common/base/clock.h"
#include "libs/store/backup/restore.h"
#include "libs/store/env/env.h"

namespace coxswain::cli {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kReadBytes = 1u << 20;

// One line on a terminal, rewritten a few times a second; nothing elsewhere.
class Progress {
 public:
  explicit Progress(std::string verb) : verb_(std::move(verb)), shown_(isatty(STDERR_FILENO) == 1) {}
  ~Progress() { clear(); }
  void clear() {
    if (std::exchange(last_ms_, 0) != 0) std::fputs("\r\033[K", stderr);
  }
  void at(std::uint64_t bytes, std::uint64_t keys) {
    const std::int64_t now_ms = system_clock().now_ms();
    if (!shown_ || now_ms - last_ms_ < 200) return;
    last_ms_ = now_ms;
    std::fprintf(stderr, "\r\033[K%s: %s, %llu keys", verb_.c_str(),
                 human_bytes(static_cast<std::int64_t>(bytes)).c_str(),
                 static_cast<unsigned long long>(keys));
    std::fflush(stderr);
  }

 private:
  const std::string verb_;
  const bool shown_;
  std::int64_t last_ms_ = 0;
};

std::string describe(const store::SnapshotSummary& summary) {
  return "revision " + std::to_string(summary.header.revision) + ", " + std::to_string(summary.entries) +
         " keys, " + human_bytes(static_cast<std::int64_t>(summary.bytes)) + ", taken " +
         format_rfc3339(summary.header.created_unix_ms) + " from member " +
         std::to_string(summary.header.member) + " of cluster " +
         (summary.header.cluster_id.empty() ? "<none>" : summary.header.cluster_id) +
         "\nsha256:" + summary.state_hash;
}

json::Value document_of(const store::SnapshotSummary& summary) {
  const store::SnapshotHeader& header = summary.header;
  return json::Value::object({{"formatVersion", header.version},
                              {"clusterId", header.cluster_id},
                              {"member", std::to_string(header.member)},
                              {"revision", header.revision},
                              {"compactedRevision", header.compacted},
                              {"index", header.index},
                              {"term", header.term},
                              {"created", format_rfc3339(header.created_unix_ms)},
                              {"createdBy", header.created_by},
                              {"keys", summary.entries},
                              {"bytes", summary.bytes},
                              {"hash", "sha256:" + summary.state_hash}});
}

// All of a file, in pieces.
Result<void> read_pieces(const std::string& path, const std::function<Result<void>(std::string_view)>& take) {
  std::ifstream file(path, std::ios::binary);
  if (!file || fs::is_directory(path))
    return make_error(ErrorCode::kNotFound, "cannot read " + path + ": is the path right?");
  std::string piece(kReadBytes, '\0');
  while (file) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (file.bad()) return make_error(ErrorCode::kIo, "cannot read " + path + ": the disk failed");
    COX_RETURN_IF_ERROR(take(std::string_view(piece).substr(0, static_cast<std::size_t>(file.gcount()))));
  }
  return {};
}

// FILE.part until all of it is there, checked and durable.
class PartFile {
 public:
  static Result<std::unique_ptr<PartFile>> create(const std::string& path) {
    std::error_code ignored;
    if (fs::exists(path, ignored))
      return make_error(ErrorCode::kAlreadyExists, path + " exists; choose another name, or remove it first");
    auto part = std::make_unique<PartFile>(path);
    COX_ASSIGN_OR_RETURN(part->lock_, store::posix_env().lock(part->name()));
    COX_ASSIGN_OR_RETURN(part->file_, store::posix_env().open(part->name(), true));
    COX_RETURN_IF_ERROR(part->file_->truncate(0));
    return part;
  }
  explicit PartFile(std::string path) : path_(std::move(path)) {}
  ~PartFile() {
    if (file_ != nullptr) (void)store::posix_env().remove(name());
  }
  Result<void> append(std::string_view bytes) {
    COX_RETURN_IF_ERROR(file_->write_at(size_, bytes));
    size_ += bytes.size();
    return {};
  }
  Result<void> finish() {
    COX_RETURN_IF_ERROR(file_->sync());
    COX_RETURN_IF_ERROR(store::posix_env().rename(name(), path_));
    file_.reset();
    const std::string parent = fs::path(path_).parent_path().string();
    return store::posix_env().sync_dir(parent.empty() ? "." : parent);
  }

 private:
  std::string name() const { return path_ + ".part"; }
  const std::string path_;
  std::unique_ptr<store::FileLock> lock_;
  std::unique_ptr<store::File> file_;
  std::uint64_t size_ = 0;
};

api::Status status_of(const http::ClientResponse& response) {
  const Result<json::Value> parsed = json::parse(response.body);
  api::Status status = parsed.ok() && parsed->is_object() ? api::Status::from_json(*parsed) : api::Status();
  status.code = response.status;
  if (!parsed.ok()) status.message = "the server answered " + std::to_string(response.status);
  return status;
}

// ---- restore ----

Result<void> make_durable_dir(const std::string& dir) {
  COX_RETURN_IF_ERROR(store::posix_env().make_dir(dir));
  return store::posix_env().sync_dir((fs::absolute(dir) / "..").string());
}

// What to start now.
void say_restored(const StoreOptions& options, const store::Restored& restored) {
  std::printf(
      "restored %s/store: %llu keys of revision %lld, at revision %lld from now on\n\n",
      options.data_dir.c_str(), static_cast<unsigned long long>(restored.snapshot.entries - restored.dropped),
      static_cast<long long>(restored.snapshot.header.revision), static_cast<long long>(restored.revision));
  std::error_code ignored;
  if (!fs::exists(fs::path(options.data_dir) / "pki/ca.key", ignored))
    std::printf("Bring back pki/ too, or clients and nodes will not know the cluster again. ");
  if (restored.cluster_id.empty()) {
    std::printf("Start it: api-server --data-dir %s\n", options.data_dir.c_str());
    return;
  }
  std::printf(
      "Start it when all members are restored, with its other flags:\n\n  api-server --data-dir %s "
      "--member-id "
      "%llu --initial-cluster %s --cluster-id %s\n",
      options.data_dir.c_str(), static_cast<unsigned long long>(options.member_id),
      options.initial_cluster.c_str(), restored.cluster_id.c_str());
}

}  // namespace

int run_snapshot_save(const GlobalOptions& global, const StoreOptions& options) {
  const auto session = connect(global);
  if (!session.ok()) return fail(session.error());
  const auto part = PartFile::create(options.file);
  if (!part.ok()) return fail(part.error());
  store::SnapshotDecoder decoder({});
  Progress progress("saving");
  Result<void> outcome;
  http::ClientRequest request;
  request.target = options.local ? "/store/v1/snapshot?local=true" : "/store/v1/snapshot";
  request.timeout_ms = 0;
  const auto response = session->api->transport()->stream(
      request, [](int, const http::Headers&) {},
      [&](std::string_view bytes) {
        outcome = decoder.feed(bytes);
        if (outcome.ok()) outcome = (*part)->append(bytes);
        progress.at(decoder.bytes(), decoder.entries());
        return outcome.ok();
      });
  progress.clear();
  if (!outcome.ok()) return fail(outcome.error());
  if (!response.ok()) {
    return fail(make_error(response.error().code, "the snapshot was not saved: " + response.error().message +
                                                      "; try again, or another member"));
  }
  if (response->status != 200) return fail_store(status_of(*response));
  const auto summary = decoder.finish();
  if (!summary.ok()) return fail(summary.error());
  if (const Result<void> done = (*part)->finish(); !done.ok()) return fail(done.error());
  std::printf("saved %s: %s\n", options.file.c_str(), describe(*summary).c_str());
  return 0;
}

int run_snapshot_verify(const StoreOptions& options) {
  store::SnapshotDecoder decoder({});
  Progress progress("reading");
  const Result<void> read = read_pieces(options.file, [&](std::string_view bytes) {
    progress.at(decoder.bytes(), decoder.entries());
    return decoder.feed(bytes);
  });
  progress.clear();
  if (!read.ok()) return fail(make_error(read.error().code, options.file + ": " + read.error().message));
  const auto summary = decoder.finish();
  if (!summary.ok())
    return fail(make_error(summary.error().code, options.file + ": " + summary.error().message));
  if (options.output == "json") {
    std::printf("%s\n", json::write_pretty(document_of(*summary)).c_str());
  } else {
    std::printf("%s is whole: %s\n", options.file.c_str(), describe(*summary).c_str());
  }
  return 0;
}

int run_snapshot_restore(const StoreOptions& options) {
  store::RestoreOptions restore;
  restore.dir = (fs::path(options.data_dir) / "store").string();
  restore.bump_revision = options.bump_revision;
  restore.member_id = options.member_id;
  restore.cluster_id = options.cluster_id;
  if (!options.initial_cluster.empty()) {
    auto members = store::parse_initial_cluster(options.initial_cluster);
    if (!members.ok()) return fail(members.error());
    restore.members = *std::move(members);
  }
  if (const Result<void> made = make_durable_dir(options.data_dir); !made.ok()) return fail(made.error());
  const auto opened = store::Restore::open(restore);
  if (!opened.ok()) return fail(opened.error());
  Progress progress("restoring");
  std::uint64_t bytes = 0;
  const Result<void> read = read_pieces(options.file, [&](std::string_view piece) {
    bytes += piece.size();
    progress.at(bytes, 0);
    return (*opened)->feed(piece);
  });
  progress.clear();
  if (!read.ok()) return fail(make_error(read.error().code, options.file + ": " + read.error().message));
  const auto restored = (*opened)->finish();
  if (!restored.ok())
    return fail(make_error(restored.error().code, options.file + ": " + restored.error().message));
  say_restored(options, *restored);
  return 0;
}

}  // namespace coxswain::cli
