// The query of /containerLogs and the cutting of log text. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "libs/common/base/result.h"
#include "libs/http/server.h"
#include "services/kubelet/runtime/runtime.h"

namespace coxswain::kubelet {

struct LogQuery {
  LogOptions options;
  bool previous = false;
  std::int64_t limit_bytes = -1;  // < 0: none
};

Result<LogQuery> parse_log_query(const http::Request& request, std::int64_t now_unix_ms);

}  // namespace coxswain::kubelet
