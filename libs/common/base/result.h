// Result<T, E>: a value or an error. Functions that can fail return one; nothing throws across a
// library boundary (exceptions of third-party code are caught where it is called).
//
//   Result<int> parse(std::string_view);
//   COX_ASSIGN_OR_RETURN(const int n, parse(text));     // returns the error to the caller
//   COX_RETURN_IF_ERROR(store.close());                 // Result<void>
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "libs/common/base/check.h"

namespace coxswain {

// What went wrong, in a form that code may branch on. API errors that clients see are
// api::Status (libs/api/meta/status.h); this is the vocabulary below that layer.
enum class ErrorCode {
  kInvalidArgument,    // the caller's input is wrong; retrying does not help
  kNotFound,           // no such thing
  kAlreadyExists,      // it exists already
  kConflict,           // a precondition did not hold
  kOutOfRange,         // e.g. a revision in the future
  kCompacted,          // the revision asked for is gone
  kResourceExhausted,  // a bound was hit: queue full, disk full, too large
  kPermissionDenied,   // not allowed by the operating system or the peer
  kUnauthenticated,    // no or bad credentials
  kUnavailable,        // cannot be reached or not ready now; retry later
  kDeadlineExceeded,   // took too long; the outcome may be unknown
  kCancelled,          // the caller gave up
  kIo,                 // a disk or socket failed
  kCorruption,         // stored data is damaged
  kUnimplemented,      // not built
  kInternal,           // a bug
};

const char* to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // one line, lower case start, says what to do when that is known
};

inline Error make_error(ErrorCode code, std::string message) { return {code, std::move(message)}; }

template <typename T, typename E = Error>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  using error_type = E;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    COX_CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    COX_CHECK(ok());
    return std::get<0>(state_);
  }
  T&& value() && {
    COX_CHECK(ok());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T value_or(T fallback) const& { return ok() ? std::get<0>(state_) : std::move(fallback); }

  const E& error() const& {
    COX_CHECK(!ok());
    return std::get<1>(state_);
  }
  E&& error() && {
    COX_CHECK(!ok());
    return std::get<1>(std::move(state_));
  }

 private:
  std::variant<T, E> state_;
};

template <typename E>
class [[nodiscard]] Result<void, E> {
 public:
  using value_type = void;
  using error_type = E;

  Result() = default;
  Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  void value() const { COX_CHECK(ok()); }
  const E& error() const& {
    COX_CHECK(!ok());
    return std::get<1>(state_);
  }
  E&& error() && {
    COX_CHECK(!ok());
    return std::get<1>(std::move(state_));
  }

 private:
  std::variant<std::monostate, E> state_;
};

}  // namespace coxswain

#define COX_CONCAT_INNER(a, b) a##b
#define COX_CONCAT(a, b) COX_CONCAT_INNER(a, b)

#define COX_RETURN_IF_ERROR(expression)                     \
  do {                                                      \
    if (auto cox_result = (expression); !cox_result.ok()) { \
      return std::move(cox_result).error();                 \
    }                                                       \
  } while (false)

#define COX_ASSIGN_OR_RETURN(declaration, expression) \
  COX_ASSIGN_OR_RETURN_IMPL(COX_CONCAT(cox_result_, __LINE__), declaration, expression)

#define COX_ASSIGN_OR_RETURN_IMPL(name, declaration, expression) \
  auto name = (expression);                                      \
  if (!name.ok()) return std::move(name).error();                \
  declaration = std::move(name).value()
