// Which commands have been applied, so that one that is in the log twice (it was sent again, through another
// leader) happens once. A part of the replicated state. Pure.
//
// Every member numbers its commands 1, 2, 3, ...; a process that is started again begins anew with a greater
// incarnation. With each command it says below which number it waits for nothing any more: nothing of that
// can be applied later.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "libs/common/base/result.h"

namespace coxswain::store {

struct Origin {
  std::uint64_t member = 0;
  std::uint64_t incarnation = 0;
  std::uint64_t sequence = 0;  // from 1
  std::uint64_t settled = 0;   // nobody waits for anything below
  bool operator==(const Origin&) const = default;
};

class Sessions {
 public:
  // True: it is to be applied, now. False: it was, or is not to be any more.
  bool admit(const Origin& origin);
  // Whether a command that was sent has been applied.
  bool applied(std::uint64_t member, std::uint64_t incarnation, std::uint64_t sequence) const;
  std::uint64_t incarnation(std::uint64_t member) const;  // 0: never heard of

  bool empty() const { return sessions_.empty(); }
  std::string encode() const;
  static Result<Sessions> decode(std::string_view bytes);  // kCorruption
  bool operator==(const Sessions&) const = default;

 private:
  struct Session {
    std::uint64_t incarnation = 0;
    std::uint64_t low = 1;         // everything below is applied or given up...
    std::set<std::uint64_t> done;  // ...and these are applied
    bool operator==(const Session&) const = default;
  };
  std::map<std::uint64_t, Session> sessions_;  // by member
};

}  // namespace coxswain::store
