// How new what a request reads must be, and the wait for that. Several api-servers may share one store, each
// reading what its own member of it has applied: without a wait a client could be told the past.
#pragma once

#include "libs/registry/core.h"

namespace coxswain::registry {

struct Freshness {
  enum class Need {
    kAny,       // whatever is here
    kRevision,  // at least `revision`
    kLatest,    // everything that was acknowledged, by anybody, before the request came
  };
  Need need = Need::kLatest;
  store::Revision revision = 0;
  bool operator==(const Freshness&) const = default;
};

// Writes need the latest state too: what they refuse or find unchanged is decided by what is read. Options
// that the verb will refuse need nothing. Pure.
Freshness freshness_of(const RequestInfo& info, const http::Request& request);

// Calls `go_on` as soon as what is here is fresh enough: at once, on this thread, when it is, else on the
// connection's thread. Answers instead when that cannot be: 503 when the store cannot tell, 504 when a
// revision does not come within 3 s (Kubernetes' bound). Does nothing when the client has gone meanwhile.
void when_fresh(const CallPtr& call, void (*go_on)(const CallPtr&));

}  // namespace coxswain::registry
