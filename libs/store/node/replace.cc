#include "libs/store/node/replace.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "libs/common/base/clock.h"
#include "libs/store/node/identity.h"

namespace coxswain::store {
namespace {

namespace fs = std::filesystem;

bool has_store(Env& env, const std::string& dir) {
  const auto names = env.list(dir);
  return names.ok() &&
         std::any_of(names->begin(), names->end(), [](const std::string& name) { return name != "LOCK"; });
}

// The flags of the first of a row of members that replaced each other.
std::uint64_t flags_of(Env& env, const ReplacedMember& member) {
  const auto found = load_identity(env, member.dir);
  if (found.ok() && found->has_value() && (*found)->instead_of != 0) return (*found)->instead_of;
  return member.old;
}

std::string free_name(const std::string& wanted) {
  std::error_code ignored;
  std::string name = wanted;
  for (int i = 2; fs::exists(name, ignored); ++i) name = wanted + "-" + std::to_string(i);
  return name;
}

Result<void> check_replaced(const std::optional<Identity>& found, const ReplacedMember& member) {
  const auto refuse = [&](const std::string& why) {
    return make_error(ErrorCode::kInvalidArgument, member.dir + " " + why);
  };
  if (!found.has_value()) return refuse("is not the directory of a member; is --data-dir right?");
  if (found->cluster != member.cluster) {
    return refuse("belongs to cluster " + found->cluster + ", and the server to " + member.cluster +
                  "; is --data-dir right?");
  }
  const std::string whose = std::to_string(found->member);
  if (found->member == member.old) return {};
  if (found->instead_of != 0) {
    return refuse("is of member " + whose + ", in the place of member " + std::to_string(found->instead_of) +
                  "; start its api-server, or replace member " + whose);
  }
  return refuse("is the directory of member " + whose + "; is --data-dir right?");
}

}  // namespace

Result<std::unique_ptr<FileLock>> lock_replaced(Env& env, const ReplacedMember& member) {
  if (!has_store(env, member.dir)) return std::unique_ptr<FileLock>();
  const auto found = load_identity(env, member.dir);
  // A file that is damaged is a reason to be here.
  if (found.ok() || found.error().code != ErrorCode::kCorruption) {
    COX_RETURN_IF_ERROR(found);
    COX_RETURN_IF_ERROR(check_replaced(*found, member));
  }
  return env.lock(member.dir + "/LOCK");
}

Result<std::string> replace_directory(Env& env, const ReplacedMember& member, std::uint64_t fresh) {
  const std::string made = member.dir + ".replacing";
  std::error_code failed;
  fs::remove_all(made, failed);  // of an attempt that did not get far
  if (failed) return make_error(ErrorCode::kIo, made + " cannot be removed: " + failed.message());
  COX_RETURN_IF_ERROR(env.make_dir(made));
  Identity identity;
  identity.member = fresh;
  identity.cluster = member.cluster;
  identity.data_id = system_random().next() | 1;
  identity.instead_of = flags_of(env, member);
  COX_RETURN_IF_ERROR(save_identity(env, made, identity));
  std::string kept;
  if (has_store(env, member.dir)) {
    kept = free_name(member.dir + ".replaced-" + std::to_string(member.old));
    COX_RETURN_IF_ERROR(env.rename(member.dir, kept));
  } else {
    fs::remove_all(member.dir, failed);
  }
  COX_RETURN_IF_ERROR(env.rename(made, member.dir));
  COX_RETURN_IF_ERROR(env.sync_dir(fs::path(member.dir).parent_path().string()));
  return kept;
}

}  // namespace coxswain::store
