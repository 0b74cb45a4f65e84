// The core's rules, each as a little play (script.h). Sections are those of Ongaro's thesis, "Consensus:
// Bridging Theory and Practice"; "figure 8" is the paper's.
#include "libs/store/raft/raft.h"

#include <catch2/catch.hpp>

#include "libs/store/raft/script.h"

using namespace coxswain::store::raft;  // NOLINT: a test

namespace {

struct Scene {
  const char* name;
  const char* script;
};

void play_all(const std::vector<Scene>& scenes) {
  for (const Scene& scene : scenes) {
    INFO(scene.name);
    CHECK(play(scene.script) == "");
  }
}

}  // namespace

TEST_CASE("elections") {
  play_all({
      {"§3.4, §9.6: a majority of pre-votes, then of votes, makes a leader", R"(
group 1,2,3
start
campaign 1
expect 1 precandidate
expect 1 term 0
expect sent 1->2 PreVote term=1
deliver PreVote
deliver PreVoteReply
expect 1 candidate
expect 1 term 1
deliver
expect 1 leader
expect 2 follower
expect 2 of 1
expect 3 of 1
)"},
      {"alone, the first time-out is enough", R"(
group 1
start
tick 1 20
expect 1 leader
expect 1 commit 1
)"},
      {"a vote that is split is held again long before a whole time-out has passed", R"(
group 1,2,3
start
cut 3
campaign 1
campaign 2
deliver
expect 1 candidate
expect 2 candidate
expect 1 term 1
tick 1 9                     # of at least 10
deliver
expect 1 leader
expect 2 of 1
)"},
      {"who has lost the connection with the leader does not wait for a time-out, nor refuse", R"(
group 1,2,3
start
campaign 1
deliver
stop 1
lost 2 1
lost 3 1
expect 2 of 1                # until its share of chance is over
tick 2 10                    # at most: without the hint it would be 20
expect sent 2->3 PreVote term=2
deliver
expect 2 leader
expect 3 of 2
)"},
      {"§9.6: a lost connection is no proof: who hears the leader refuses, and nothing is disturbed", R"(
group 1,2,3
start
campaign 1
deliver
lost 2 1
tick 2 10
expect sent 2->3 PreVote term=2
deliver
expect 3 of 1
expect 2 precandidate
tick 1                       # a heartbeat
deliver
expect 2 of 1
expect 2 term 1
expect 1 leader
lost 2 1                     # and one that comes in between takes the hint back
tick 1
deliver
tick 2 9
expect 2 follower
lost 2 3                     # nor does it matter who else is lost
tick 1
deliver
tick 2 9
expect 2 of 1
)"},
      {"§9.6: who was cut off does not disturb those who have a leader", R"(
group 1,2,3
start
campaign 1
deliver
cut 3
tick 3 100
expect 3 precandidate
expect 3 term 1
heal
tick 3 20
expect sent 3->1 PreVote term=2
deliver
expect 1 leader
expect 1 term 1
)"},
      {"§3.6.1: who lacks what may be committed is not elected", R"(
group 1,2,3
log 1 1,1
log 2 1,1,1
log 3 1,2
term 1 2
term 2 2
start
campaign 1
deliver PreVote
expect sent 2->1 PreVoteReply reject
expect sent 3->1 PreVoteReply reject
deliver
expect 1 follower
campaign 2                 # longer, but of an older term than 3's
deliver PreVote
expect sent 1->2 PreVoteReply term=3
expect sent 3->2 PreVoteReply reject
deliver
expect 2 leader            # 1's vote is enough
)"},
      {"§3.4: one vote a term, and it survives a restart", R"(
group 1,2,3
start
campaign 1
campaign 2
deliver PreVote
deliver PreVoteReply
deliver 1->3
expect sent 3->1 VoteReply term=1
drop 3->1
stop 3
start 3
deliver 2->3
expect sent 3->2 VoteReply reject
)"},
      {"§6.2: a leader without a quorum steps down", R"(
group 1,2,3
start
campaign 1
deliver
cut 1
tick 1 10
tick 1 10
expect 1 follower
expect 1 of 0
propose 1 lost
expect outcome notleader
)"},
      {"§3.3: a higher term ends a leadership", R"(
group 1,2,3
start
campaign 1
deliver
cut 1
tick 3 10                  # else it still believes in 1
campaign 2
drop 3->2
deliver
expect 2 leader
expect 2 term 2
expect 1 leader
heal
tick 1
deliver
expect 1 follower
expect 1 term 2
)"},
      {"§4.2.3: who went on to a higher term alone is followed there, not left behind", R"(
group 1,2,3
start
campaign 1
deliver
stop 3
term 3 9
start 3
tick 1
deliver
expect 1 follower
expect 1 term 9
campaign 1
deliver
expect 1 leader
expect 3 of 1
expect 3 term 10
)"},
      {"§3.10: leadership is handed over, without a time-out", R"(
group 1,2,3
start
campaign 1
deliver
transfer 1 3
expect outcome accepted
expect sent 1->3 TimeoutNow
propose 1 wait
expect outcome busy
deliver
expect 3 leader
expect 3 term 2
expect 1 of 3
)"},
      {"§3.10: first the heir gets what it lacks", R"(
group 1,2,3
start
campaign 1
deliver
cut 3
propose 1 a
deliver
heal
transfer 1 3
expect unsent 1->3 TimeoutNow
deliver
tick 1
deliver
expect 3 leader
expect 3 values a
)"},
      {"§3.10: a hand-over that fails is forgotten after a time-out; a learner gets none", R"(
group 1,2,3 4
start
campaign 1
deliver
transfer 1 4
expect outcome notallowed
cut 1->3
transfer 1 3
tick 1 10
deliver
propose 1 a
expect outcome accepted
deliver
expect 1 values a
)"},
  });
}

TEST_CASE("replication") {
  play_all({
      {"§3.5: what a majority has is committed, and applied everywhere", R"(
group 1,2,3
start
campaign 1
deliver
cut 3
propose 1 a
deliver
expect 1 commit 2
expect 1 values a
expect 2 values a          # the next append says so
heal
tick 1
deliver
expect 3 values a
)"},
      {"§3.5: entries that conflict with the leader's are replaced", R"(
group 1,2,3
log 1 1,1,1,4,4,5,5,6,6,6
log 2 1,1,1,4,4,5,5,6,6
log 3 1,1,1,2,2,2,3,3,3,3,3
start
campaign 1
deliver
expect 1 leader
expect 3 log 1,1,1,4,4,5,5,6,6,6,7
expect 2 log 1,1,1,4,4,5,5,6,6,6,7
)"},
      {"§3.5: the back-off takes a step a term, not a step an entry", R"(
group 1,2
log 1 1,1,5,5,5,5
log 2 1,1,2,2,2,2,2,2,2
start
campaign 1
deliver PreVote
deliver PreVoteReply
deliver Vote
deliver VoteReply
expect sent 1->2 Append index=6 logterm=5
deliver Append
expect sent 2->1 AppendReply reject index=6 logterm=2
deliver AppendReply
expect sent 1->2 Append index=2 logterm=1 entries=5
deliver
expect 2 log 1,1,5,5,5,5,6
)"},
      {"§3.6.2, figure 8: an entry of an older term is not committed by counting", R"(
group 1,2,3
log 1 1,2
log 2 1,2
log 3 1
start
campaign 1
deliver PreVote
deliver PreVoteReply
deliver Vote
deliver VoteReply
cut 3
expect 1 leader
drop 1->2                  # the leader's own entry does not arrive
tick 1
deliver Heartbeat
deliver HeartbeatReply     # an empty append tells that 2 has entry 2, and nothing of term 3
expect 1 commit 0
deliver
expect 1 commit 3          # with one of its own, all
)"},
      {"§10.2.1: the leader's messages overtake its disk; its own copy counts when it is stored", R"(
group 1,2
start
campaign 1
deliver
disk 1 slow
propose 1 a
expect sent 1->2 Append entries=1
deliver
expect 2 log 1,1
expect 1 commit 1
disk 1 fast
expect 1 commit 2
)"},
      {"§10.2.1: a majority without the leader is one, too", R"(
group 1,2,3
start
campaign 1
deliver
disk 1 slow
propose 1 a
deliver
expect 1 commit 2
expect 1 values
)"},
      {"§3.8: a follower answers when it has stored, not before", R"(
group 1,2
start
campaign 1
deliver
disk 2 slow
propose 1 a
deliver
expect unsent 2->1 AppendReply
expect 1 commit 1
disk 2 fast
deliver
expect 1 commit 2
)"},
      {"a delayed append cuts nothing off", R"(
group 1,2,3
start
campaign 1
deliver
cut 3
propose 1 a
propose 1 b
deliver 1->2
deliver
propose 1 c
deliver
expect 2 values a,b,c
)"},
  });
}

TEST_CASE("snapshots") {
  play_all({
      {"§5: who needs what is gone gets a state", R"(
group 1,2,3
start
campaign 1
deliver
cut 3
propose 1 a
propose 1 b
deliver
compact 1 3
heal
tick 1
deliver
expect 3 values a,b
expect 3 commit 3
propose 1 c
deliver
expect 3 values a,b,c
)"},
  });
}

// Member 1 leads, and has just sent 3 the state of entry 2.
constexpr const char* kStateOnItsWay = R"(
group 1,2,3
start
campaign 1
deliver
cut 3
propose 1 a
deliver
expect 1 keeps 2             # everything may go
compact 1 2
heal
tick 1
deliver 1->3
deliver 3->1
deliver 1->3
deliver 3->1
expect sent 1->3 Snapshot snapshot=2
)";

TEST_CASE("an old state does not roll back a newer one") {
  CHECK(play(std::string(kStateOnItsWay) + R"(
copy Snapshot
deliver Snapshot
deliver
propose 1 b
deliver
expect 3 values a,b
delayed
expect sent 1->3 Snapshot snapshot=2
deliver
expect 3 values a,b
expect 3 commit 3
)") == "");
}

TEST_CASE("the log behind a state is kept for its new owner while that one, silent, loads it") {
  const std::string sent = kStateOnItsWay + std::string(R"(
propose 1 b
propose 1 c
cut 3
deliver
expect 1 commit 4
expect 1 keeps 2
)");
  const auto silence = [](int rounds) {
    std::string out;
    for (int i = 0; i < rounds; ++i) out += "tick 1 5\ndeliver\ntick 1 5\ndeliver\n";
    return out + "expect 1 leader\n";
  };
  // It comes to itself, goes on from the log, and is like any other then: gone as soon as it is silent.
  const std::string loaded = "heal\ntick 1\ndeliver\nexpect 3 values a,b,c\nexpect 1 keeps 4\n" +
                             std::string("cut 3\npropose 1 d\ndeliver\n");
  CHECK(play(sent + "arrived 1 3\n" + silence(3) + "expect 1 keeps 2\n") == "");
  CHECK(play(sent + "arrived 1 3 no\n" + silence(3) + "expect 1 keeps 2\n") == "");  // the rest of it follows
  CHECK(play(sent + "arrived 1 3\n" + silence(kMostSilentRounds + 2) + "expect 1 keeps 4\n") == "");
  CHECK(play(sent + "arrived 1 3 no\n" + loaded + silence(3) + "expect 1 keeps 5\n") == "");
}

TEST_CASE("reads") {
  play_all({
      {"§6.4: a read waits for a quorum that confirms the leader after it came", R"(
group 1,2,3
start
campaign 1
deliver
propose 1 a
deliver
read 1 7
expect 1 reads
expect sent 1->2 Heartbeat
deliver Heartbeat
deliver HeartbeatReply
expect 1 reads 7@2
)"},
      {"§6.4: a follower asks the leader", R"(
group 1,2,3
start
campaign 1
deliver
propose 1 a
deliver
read 3 9
expect sent 3->1 ReadIndex
deliver
expect 3 reads 9@2
)"},
      {"§6.4: a leader that was replaced answers none", R"(
group 1,2,3
start
campaign 1
deliver
cut 1
tick 3 10
campaign 2
drop 3->2
deliver
expect 2 leader
read 1 7
deliver
expect 1 reads
)"},
      {"§6.4: nor does one before an entry of its own is committed", R"(
group 1,2,3
start
campaign 1
deliver PreVote
deliver PreVoteReply
deliver Vote
deliver VoteReply
expect 1 leader
read 1 7
deliver Heartbeat
deliver HeartbeatReply
expect 1 reads
deliver
expect 1 reads 7@1
)"},
      {"without a leader there is none", R"(
group 1,2,3
start
read 2 7
expect outcome notleader
)"},
  });
}

TEST_CASE("members") {
  play_all({
      {"§4.2.1: a learner gets entries and has no vote", R"(
group 1,2,3
start
campaign 1
deliver
join 4
change 1 ~4
deliver
expect 1 members 1,2,3+4
propose 1 a
deliver
tick 1
deliver
expect 4 values a
tick 4 100
expect 4 follower
)"},
      {"one vote at a time needs no joint configuration; it is in effect when it is applied", R"(
group 1,2,3
start
campaign 1
deliver
join 4
change 1 +4
expect 1 members 1,2,3
deliver
tick 1
deliver
expect 1 members 1,2,3,4
expect 4 members 1,2,3,4
)"},
      {"§4.3: more go through a joint one, which is left by itself", R"(
group 1,2,3
start
campaign 1
deliver
join 4
join 5
change 1 +4 +5 -2 -3
expect outcome accepted
deliver AppendReply
deliver 1->2
deliver 2->1
expect 1 members 1,4,5&1,2,3
deliver
tick 1
deliver
expect 1 members 1,4,5
expect 4 members 1,4,5
)"},
      {"at most one in flight", R"(
group 1,2,3
start
campaign 1
deliver
change 1 -3
change 1 -2
expect outcome notallowed
deliver
expect 1 members 1,2
change 1 -2
expect outcome accepted
)"},
      {"§4.2.2: a leader that is removed says so, and goes", R"(
group 1,2,3
start
campaign 1
deliver
change 1 -1
deliver
expect 1 follower
expect 2 members 2,3
tick 3 10
campaign 2
drop 3->2
deliver
expect 2 leader
)"},
      {"§4.2.1: a new voter learns from who asks for its vote that it is one", R"(
group 1
start
campaign 1
join 9
change 1 ~9
deliver
tick 1
deliver
save 9
change 1 +9                # 1 was alone: committed at once
deliver
disk 1 slow
propose 1 a                # 9 has it, 1 has not
deliver
expect 1 commit 3
stop 1
stop 9
forget 9                   # what was committed need not be durable
disk 1 fast
start 1
start 9
expect 1 log 1,1,1
expect 1 members 1,9
expect 9 log 1,1,1,1
expect 9 members 1+9
campaign 1                 # 9's vote is needed, and 9 has the longer log
deliver
expect 1 follower
expect 9 members 1,9
campaign 9
deliver
expect 9 leader
expect 1 values a
)"},
      {"nobody may be left, and no member named twice", R"(
group 1,2
start
campaign 1
deliver
change 1 -1 -2
expect outcome notallowed
change 1 +3 -3
expect outcome notallowed
change 1 +2
expect outcome notallowed
)"},
  });
}

TEST_CASE("a quorum of two configurations is one of each") {
  const Configuration joint{{1, 2, 3}, {3, 4, 5}, {}, {}};
  const auto granted = [&](std::set<MemberId> by) {
    return count_votes(joint, [&](MemberId id) -> std::optional<bool> {
      return by.count(id) > 0 ? std::optional<bool>(true) : std::nullopt;
    });
  };
  CHECK(granted({1, 2}) == Vote::kPending);
  CHECK(granted({1, 2, 3}) == Vote::kPending);
  CHECK(granted({1, 3, 4}) == Vote::kWon);
  CHECK(granted({1, 2, 4, 5}) == Vote::kWon);
  const std::map<MemberId, std::uint64_t> reached = {{1, 9}, {2, 8}, {3, 5}, {4, 4}, {5, 3}};
  CHECK(quorum_value(joint, [&](MemberId id) { return reached.at(id); }) == 4);
  CHECK(quorum_value(leave_joint(joint), [&](MemberId id) { return reached.at(id); }) == 8);
}
