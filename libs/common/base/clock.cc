#include "libs/common/base/clock.h"

#include <sys/random.h>

#include <chrono>
#include <cstdio>
#include <ctime>

#include "libs/common/base/check.h"

namespace coxswain {
namespace {

class SystemClock final : public Clock {
 public:
  std::int64_t now_ms() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  std::int64_t unix_ms() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

// SplitMix64 (Steele, Lea, Flood 2014): small, full period, good enough for simulation and jitter.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

class SystemRandom final : public Random {
 public:
  std::uint64_t next() override {
    thread_local std::uint64_t pool[32];
    thread_local int left = 0;
    if (left == 0) {
      COX_CHECK(getrandom(pool, sizeof(pool), 0) == sizeof(pool));
      left = 32;
    }
    return pool[--left];
  }
};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

std::uint64_t Random::below(std::uint64_t bound) {
  COX_CHECK(bound > 0);
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  std::uint64_t value = next();
  while (value >= limit) value = next();
  return value % bound;
}

double Random::unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

std::unique_ptr<Random> seeded_random(std::uint64_t seed) { return std::make_unique<SeededRandom>(seed); }

Random& system_random() {
  static SystemRandom random;
  return random;
}

std::string make_uuid(Random& random) {
  const std::uint64_t high = (random.next() & ~0xf000ULL) | 0x4000ULL;
  const std::uint64_t low = (random.next() & ~(3ULL << 62)) | (2ULL << 62);
  char text[37];
  std::snprintf(text, sizeof(text), "%08x-%04x-%04x-%04x-%012llx", static_cast<unsigned>(high >> 32),
                static_cast<unsigned>((high >> 16) & 0xffff), static_cast<unsigned>(high & 0xffff),
                static_cast<unsigned>(low >> 48), static_cast<unsigned long long>(low & 0xffffffffffffULL));
  return text;
}

std::string make_name_suffix(Random& random, int length) {
  static constexpr char kAlphabet[] = "bcdfghjklmnpqrstvwxz2456789";
  std::string suffix;
  for (int i = 0; i < length; ++i) suffix += kAlphabet[random.below(sizeof(kAlphabet) - 1)];
  return suffix;
}

std::string format_rfc3339(std::int64_t unix_ms) {
  const std::time_t seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
  return text;
}

std::string format_rfc3339_micro(std::int64_t unix_ms) {
  std::string text = format_rfc3339(unix_ms);
  text.pop_back();
  char fraction[16];
  std::snprintf(fraction, sizeof(fraction), ".%06dZ", static_cast<int>(unix_ms % 1000) * 1000);
  return text + fraction;
}

bool parse_rfc3339(const std::string& text, std::int64_t* unix_ms) {
  std::tm tm{};
  int consumed = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                  &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &consumed) != 6 ||
      consumed != 19) {
    return false;
  }
  if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
      tm.tm_min > 59 || tm.tm_sec > 60) {
    return false;
  }
  std::size_t at = 19;
  std::int64_t fraction_ms = 0;
  if (at < text.size() && text[at] == '.') {
    int scale = 100;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) {
      fraction_ms += (text[at] - '0') * scale;
    }
  }
  std::int64_t offset_s = 0;
  const std::string zone = text.substr(at);
  if (zone != "Z" && zone != "z") {
    int hours = 0, minutes = 0;
    if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':' ||
        std::sscanf(zone.c_str() + 1, "%2d:%2d", &hours, &minutes) != 2) {
      return false;
    }
    offset_s = (hours * 60 + minutes) * 60 * (zone[0] == '-' ? -1 : 1);
  }
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  *unix_ms = (static_cast<std::int64_t>(timegm(&tm)) - offset_s) * 1000 + fraction_ms;
  return true;
}

}  // namespace coxswain
