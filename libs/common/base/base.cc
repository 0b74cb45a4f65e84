#include <cstdio>
#include <cstdlib>

#include "libs/common/base/check.h"
#include "libs/common/base/result.h"

namespace coxswain {

namespace internal {
void check_failed(const char* file, int line, const char* expression) {
  std::fprintf(stderr, "%s:%d: invariant does not hold: %s\n", file, line, expression);
  std::fflush(stderr);
  std::abort();
}
}  // namespace internal

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid argument";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kAlreadyExists:
      return "already exists";
    case ErrorCode::kConflict:
      return "conflict";
    case ErrorCode::kOutOfRange:
      return "out of range";
    case ErrorCode::kCompacted:
      return "compacted";
    case ErrorCode::kResourceExhausted:
      return "resource exhausted";
    case ErrorCode::kPermissionDenied:
      return "permission denied";
    case ErrorCode::kUnauthenticated:
      return "unauthenticated";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kDeadlineExceeded:
      return "deadline exceeded";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kIo:
      return "i/o error";
    case ErrorCode::kCorruption:
      return "corruption";
    case ErrorCode::kUnimplemented:
      return "unimplemented";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "unknown";
}

}  // namespace coxswain
