// Time and randomness are injected: pure code takes values, control loops take a Clock& and a Random&.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace coxswain {

// Thread-safe. Two clocks in one seam: `now_ms` for ordering and time-outs (never goes back),
// `unix_ms` for what users see.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t now_ms() const = 0;   // monotonic milliseconds, arbitrary start
  virtual std::int64_t unix_ms() const = 0;  // wall clock, milliseconds since 1970-01-01 UTC
};

Clock& system_clock();

// A clock that tests move by hand.
class ManualClock : public Clock {
 public:
  explicit ManualClock(std::int64_t unix_ms = 1'700'000'000'000) : unix_ms_(unix_ms) {}
  std::int64_t now_ms() const override { return now_ms_; }
  std::int64_t unix_ms() const override { return unix_ms_; }
  void advance_ms(std::int64_t ms) {
    now_ms_ += ms;
    unix_ms_ += ms;
  }

 private:
  std::int64_t now_ms_ = 0;
  std::int64_t unix_ms_;
};

class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;          // uniform over 64 bits
  std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound); bound > 0
  double unit();                             // uniform in [0, 1)
};

// Seeded, reproducible; not thread-safe.
std::unique_ptr<Random> seeded_random(std::uint64_t seed);
// From the operating system's CSPRNG; thread-safe.
Random& system_random();

// RFC 4122 version 4 from `random`, e.g. "0f8fad5b-d9cb-469f-a165-70867728950e".
std::string make_uuid(Random& random);
// Suffix for generateName, `length` characters of Kubernetes' safe alphabet (no vowels, no 0 1 3).
std::string make_name_suffix(Random& random, int length = 5);

// RFC 3339, "2026-11-20T22:33:28Z" (metav1.Time) and "...28.123456Z" (metav1.MicroTime).
std::string format_rfc3339(std::int64_t unix_ms);
std::string format_rfc3339_micro(std::int64_t unix_ms);
// Returns false when `text` is not RFC 3339; accepts fractions and offsets.
bool parse_rfc3339(const std::string& text, std::int64_t* unix_ms);

}  // namespace coxswain
