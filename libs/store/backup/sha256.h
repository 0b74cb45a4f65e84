// SHA-256 of bytes that come in pieces.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace coxswain::store {

class Sha256 {
 public:
  static constexpr std::size_t kBytes = 32;

  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::string_view bytes);
  std::string finish();  // kBytes, not hexadecimal; once, last

 private:
  struct Context;
  const std::unique_ptr<Context> context_;
};

}  // namespace coxswain::store
