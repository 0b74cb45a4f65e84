// Plays scripts against whole groups of Raft cores, one message at a time (raft_test). What each command
// means is in script.cc, beside the code that does it.
#pragma once

#include <string>
#include <string_view>

namespace coxswain::store::raft {

// "" or the first line that did not hold: "line 7: expect 2 leader: it is a follower".
std::string play(std::string_view script);

}  // namespace coxswain::store::raft
