#include "libs/registry/freshness.h"

#include "libs/common/base/strings.h"
#include "libs/registry/verbs/list_options.h"

namespace coxswain::registry {
namespace {

// A revision that is not here yet is looked for again and again: whoever asks has seen it elsewhere, so it
// is a matter of milliseconds, or it is made up.
constexpr std::int64_t kLookEveryMs = 20;
constexpr int kLooks = 3'000 / kLookEveryMs;

constexpr Freshness kAny{Freshness::Need::kAny, 0};
constexpr Freshness kLatest{Freshness::Need::kLatest, 0};

// A page of a list is of the revision of its first page, which another server may have read.
Freshness of_continuation(const http::Request& request) {
  const api::ApiResult<ListOptions> options = parse_list_options(request, false);
  if (!options.ok()) return kAny;
  if (!options->continued || options->continue_revision == 0) return kLatest;
  return {Freshness::Need::kRevision, options->continue_revision};
}

// One request that waits. Shared by the thread that asks and the one that is told.
struct Wait {
  CallPtr call;
  void (*go_on)(const CallPtr&);
  store::Revision revision = 0;  // 0: the barrier is enough
  Result<void> passed;
  std::atomic<bool> met{false};  // one of the two threads has been here: the other one goes on
  int looks_left = kLooks;
};

void look_for_revision(const std::shared_ptr<Wait>& wait) {
  const CallPtr& call = wait->call;
  const store::Revision current = call->core.store.revision();
  if (current >= wait->revision) return wait->go_on(call);
  if (call->exchange->closed()) return;
  if (--wait->looks_left < 0) {
    return respond_status(call, api::resource_version_too_large(wait->revision, current));
  }
  call->exchange->post(kLookEveryMs, [wait] { look_for_revision(wait); });
}

void after_barrier(const std::shared_ptr<Wait>& wait) {
  if (wait->passed.ok()) return look_for_revision(wait);
  respond_status(wait->call, api::service_unavailable(wait->passed.error().message, 1));
}

}  // namespace

Freshness freshness_of(const RequestInfo& info, const http::Request& request) {
  if (info.resource == "selfsubjectreviews") return kAny;  // about the request itself
  if (info.verb != "get" && info.verb != "list" && info.verb != "watch") return kLatest;
  if (info.verb == "list" && !request.query_value("continue").empty()) return of_continuation(request);
  const std::string_view text = request.query_value("resourceVersion");
  if (text.empty()) return kLatest;
  const std::optional<std::int64_t> revision = parse_int64(text);
  if (!revision || *revision <= 0) return kAny;
  return {Freshness::Need::kRevision, *revision};
}

void when_fresh(const CallPtr& call, void (*go_on)(const CallPtr&)) {
  const Freshness wanted = freshness_of(call->info, call->request());
  store::Store& store = call->core.store;
  if (wanted.need == Freshness::Need::kAny) return go_on(call);
  if (wanted.need == Freshness::Need::kRevision && store.revision() >= wanted.revision) return go_on(call);
  auto wait = std::make_shared<Wait>();
  wait->call = call;
  wait->go_on = go_on;
  wait->revision = wanted.revision;
  store.barrier([wait](Result<void> passed) {
    wait->passed = std::move(passed);
    if (!wait->met.exchange(true)) return;  // called back at once: the asking thread goes on
    wait->call->exchange->post(0, [wait] {
      if (!wait->call->exchange->closed()) after_barrier(wait);
    });
  });
  if (wait->met.exchange(true)) after_barrier(wait);
}

}  // namespace coxswain::registry
