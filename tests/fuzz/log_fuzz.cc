// What a member finds as its log: refused and left as it is, or the same log at the next start. The first
// byte says what the rest is: a segment as it lies on the disk; the same behind a good header; payloads, each
// with its length in front, of records that are whole.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "libs/common/base/check.h"
#include "libs/store/env/fault_env.h"
#include "libs/store/log/raft_log.h"
#include "libs/store/log/record.h"

namespace {

using namespace coxswain::store;  // NOLINT

constexpr const char* kSegment = "/log/00000000000000000001.wal";

std::string segment_of(std::uint8_t kind, std::string_view bytes) {
  if (kind % 3 == 0) return std::string(bytes);
  std::string out = make_segment_header(1);
  if (kind % 3 == 1) return out + std::string(bytes);
  std::uint64_t number = 1;
  while (!bytes.empty()) {
    const std::size_t size = static_cast<unsigned char>(bytes[0]);
    append_record(&out, number, number - 1, bytes.substr(1, size), "");
    bytes.remove_prefix(std::min(bytes.size(), size + 1));
    ++number;
  }
  return out + std::string(4096, '\0');
}

std::string contents(FaultEnv& env) {
  auto file = env.open(kSegment, false);
  return file.ok() ? (*file)->read_at(0, 64u << 20).value() : std::string();
}

struct Seen {
  raft::HardState hard_state;
  raft::Index first = 0, last = 0;
  bool operator==(const Seen&) const = default;
};

std::optional<Seen> open(FaultEnv& env) {
  const auto log = RaftLog::open({&env, "/log", 64u << 10, 1024}, {});
  if (!log.ok()) return std::nullopt;
  const Seen seen{(*log)->hard_state(), (*log)->first_index(), (*log)->last_index()};
  const auto all = (*log)->entries(seen.first, seen.last + 1, raft::kNoLimit);
  COX_CHECK(all.size() == seen.last + 1 - seen.first);
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  FaultEnv env(1);
  COX_CHECK(env.make_dir("/log").ok());
  const std::string segment = segment_of(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  {
    auto file = env.open(kSegment, true);
    COX_CHECK(file.ok() && (*file)->write_at(0, segment).ok() && (*file)->sync().ok() &&
              env.sync_dir("/log").ok());
  }
  const std::optional<Seen> seen = open(env);
  if (!seen.has_value()) {
    COX_CHECK(contents(env) == segment);
  } else {
    COX_CHECK(open(env) == seen);
  }
  return 0;
}
