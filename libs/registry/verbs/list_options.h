// The options of list, watch and deletecollection, read and checked once. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "libs/api/meta/status.h"
#include "libs/http/server.h"
#include "libs/store/store.h"

namespace coxswain::registry {

struct ListOptions {
  store::Revision revision = 0;  // 0: "" or "0"
  bool revision_set = false;     // a resourceVersion was given ("0" included)
  bool exact = false;            // resourceVersionMatch=Exact
  std::size_t limit = 0;
  std::string continue_after;  // key to go on behind
  bool continued = false;
  store::Revision continue_revision = 0;  // 0: inconsistent continuation, read at the latest
};
api::ApiResult<ListOptions> parse_list_options(const http::Request& request, bool is_watch);

std::string make_continue_token(store::Revision revision, std::string_view after_key);

}  // namespace coxswain::registry
