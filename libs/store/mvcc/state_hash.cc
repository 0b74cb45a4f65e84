#include "libs/store/mvcc/state_hash.h"

#include <bit>
#include <cstdio>
#include <cstring>

#include "libs/store/raft/mutants.h"

namespace coxswain::store {
namespace {

// Odd numbers without a pattern: the fractional parts of square roots of primes.
constexpr std::uint64_t kA = 0x6a09e667f3bcc909, kB = 0xbb67ae8584caa73b, kC = 0x3c6ef372fe94f82b,
                        kD = 0xa54ff53a5f1d36f1, kE = 0x510e527fade682d1, kF = 0x9b05688c2b3e6c1f;

// 64 x 64 bits, both halves of the product: every bit of the result depends on every bit of both.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t read64(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word;
}

// Two chains side by side, 32 bytes a step.
class Hasher {
 public:
  void add(std::string_view bytes) {
    std::uint64_t a = a_ ^ bytes.size() * kE, b = b_ + bytes.size() * kF;
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 32; at += 32, left -= 32) {
      a = fold(read64(at) ^ kA, read64(at + 8) ^ a);
      b = fold(read64(at + 16) ^ kB, read64(at + 24) ^ b);
    }
    if (left > 0) {
      char rest[32] = {};
      std::memcpy(rest, at, left);
      a = fold(read64(rest) ^ kA, read64(rest + 8) ^ a);
      b = fold(read64(rest + 16) ^ kB, read64(rest + 24) ^ b);
    }
    a_ = a;
    b_ = b;
  }
  void add(std::int64_t first, std::int64_t second) {
    a_ = fold(static_cast<std::uint64_t>(first) ^ kC, a_ ^ kD);
    b_ = fold(static_cast<std::uint64_t>(second) ^ kD, b_ ^ kC);
  }
  StateHash done() const { return {fold(a_ ^ kE, b_ ^ kF), fold(a_ + kC, b_ + kA)}; }

 private:
  std::uint64_t a_ = kC;
  std::uint64_t b_ = kD;
};

}  // namespace

StateHash hash_bytes(std::string_view bytes) {
  Hasher hasher;
  hasher.add(bytes);
  return hasher.done();
}

StateHash hash_entry(const Entry& entry) {
  Hasher hasher;
  hasher.add(entry.key);
  if (!raft::planted(raft::Mutant::kHashMissesValues)) hasher.add(entry.value);
  hasher.add(entry.create_revision, entry.mod_revision);
  hasher.add(entry.version, 0);
  return hasher.done();
}

std::string to_string(const StateHash& h) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(h.high),
                static_cast<unsigned long long>(h.low));
  return text;
}

}  // namespace coxswain::store
