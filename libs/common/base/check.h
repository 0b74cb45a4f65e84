// COX_CHECK guards invariants and stays on in release builds: a process that is wrong about its own
// state must stop rather than write.
#pragma once

namespace coxswain::internal {
[[noreturn]] void check_failed(const char* file, int line, const char* expression);
}

#define COX_CHECK(expression)                         \
  (__builtin_expect(static_cast<bool>(expression), 1) \
       ? static_cast<void>(0)                         \
       : ::coxswain::internal::check_failed(__FILE__, __LINE__, #expression))
