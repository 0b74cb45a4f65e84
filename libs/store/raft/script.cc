#include "libs/store/raft/script.h"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "libs/common/base/check.h"
#include "libs/common/base/strings.h"
#include "libs/store/raft/message_codec.h"
#include "libs/store/raft/raft.h"

namespace coxswain::store::raft {
namespace {

using Words = std::vector<std::string>;

constexpr std::array<const char*, 12> kKinds = {"Append",   "AppendReply",  "Vote",      "VoteReply",
                                                "PreVote",  "PreVoteReply", "Heartbeat", "HeartbeatReply",
                                                "Snapshot", "TimeoutNow",   "ReadIndex", "ReadIndexReply"};
constexpr std::array<const char*, 4> kRoles = {"follower", "precandidate", "candidate", "leader"};
constexpr std::array<const char*, 4> kOutcomes = {"accepted", "notleader", "busy", "notallowed"};

std::uint64_t number(const std::string& word) { return parse_uint64(word).value_or(0); }

// A disk that never fails: what the core would find after a restart.
struct Disk : LogReader {
  HardState hard_state;
  Index base = 0;
  Term base_term = 0;
  std::vector<Entry> log;
  Index applied = 0;
  Configuration configuration;
  std::vector<std::string> values;  // the state: what was applied, in order

  Index first_index() const override { return base + 1; }
  Index last_index() const override { return base + log.size(); }
  std::optional<Term> term(Index index) const override {
    if (index == base) return base_term;
    if (index < base || index > last_index()) return std::nullopt;
    return log[index - base - 1].term;
  }
  std::vector<Entry> entries(Index from, Index to, std::size_t max_bytes) const override {
    std::vector<Entry> out;
    if (from <= base) return out;
    for (std::size_t bytes = 0; from < to; ++from) {
      bytes += payload_bytes(log[from - base - 1]);
      if (bytes > max_bytes && !out.empty()) break;
      out.push_back(log[from - base - 1]);
    }
    return out;
  }
  std::vector<Index> changes() const override {
    std::vector<Index> out;
    for (const Entry& entry : log)
      if (entry.kind == EntryKind::kConfiguration) out.push_back(entry.index);
    return out;
  }
  std::optional<Snapshot> snapshot() const override {
    return Snapshot{applied, term(applied).value_or(0), configuration};
  }
  void store(const Ready& ready) {
    if (ready.snapshot.has_value()) {
      base = ready.snapshot->index;
      base_term = ready.snapshot->term;
      log.clear();
      applied = base;
      configuration = ready.snapshot->configuration;
    }
    if (ready.hard_state.has_value()) hard_state = *ready.hard_state;
    if (ready.entries.empty()) return;
    log.resize(ready.entries.front().index - base - 1);
    log.insert(log.end(), ready.entries.begin(), ready.entries.end());
  }
};

struct Member {
  Options options;
  Disk disk, saved;
  std::unique_ptr<Raft> raft;
  bool slow_disk = false;
  std::optional<Ready> writing;       // handed out, and not stored yet
  std::vector<std::string> incoming;  // the values of a snapshot that was delivered
  std::vector<ReadState> reads;
};

struct Envelope {
  Message message;
  std::vector<std::string> values;  // of a snapshot
};

class Play {
 public:
  std::string run(const Words& words);

 private:
  bool set_up(const Words& words);
  bool network(const Words& words);
  bool ask(const Words& words);
  Member& at(const std::string& id) { return members_[number(id)]; }
  void start(MemberId id);
  void pump(MemberId id);
  void finish(MemberId id, const Ready& ready);
  void post(const std::vector<Message>& messages);
  void deliver(const std::function<bool(const Message&)>& which);
  std::string expect(const Words& words);
  std::string expect_sent(const Words& words);
  std::string compare(const std::string& wanted, const std::string& got) {
    return wanted == got ? "" : "it is '" + got + "'";
  }
  std::string describe(const Message& m) const;

  std::map<MemberId, Member> members_;
  std::deque<Envelope> network_;
  std::vector<Envelope> delayed_;
  std::set<std::pair<MemberId, MemberId>> cut_;
  Outcome outcome_ = Outcome::kAccepted;
};

void Play::start(MemberId id) {
  Member& member = members_[id];
  member.options.id = id;
  Start start;
  start.hard_state = member.disk.hard_state;
  start.applied = member.disk.applied;
  start.configuration = member.disk.configuration;
  member.raft = std::make_unique<Raft>(member.options, member.disk, start);
  member.writing.reset();
  member.reads.clear();
  pump(id);
}

// Through the codec, as between processes.
void Play::post(const std::vector<Message>& messages) {
  for (const Message& m : messages) {
    if (cut_.count({m.from, m.to}) > 0) continue;
    Result<Message> copy = decode_message(encode_message(m));
    COX_CHECK(copy.ok());
    Envelope envelope{std::move(*copy), {}};
    if (m.kind == MessageKind::kSnapshot) envelope.values = members_[m.from].disk.values;
    network_.push_back(std::move(envelope));
  }
}

void Play::pump(MemberId id) {
  Member& member = members_[id];
  while (member.raft != nullptr && (member.writing.has_value() || member.raft->has_ready())) {
    if (!member.writing.has_value()) {
      member.writing = member.raft->ready();
      post(member.writing->messages);
    }
    if (member.slow_disk) return;
    const Ready ready = std::move(*member.writing);
    member.writing.reset();
    finish(id, ready);
  }
}

void Play::finish(MemberId id, const Ready& ready) {
  Member& member = members_[id];
  member.disk.store(ready);
  if (ready.snapshot.has_value()) member.disk.values = member.incoming;
  post(ready.after_persist);
  for (const Entry& entry : ready.committed) {
    COX_CHECK(entry.index == member.disk.applied + 1);
    member.disk.applied = entry.index;
    if (entry.kind == EntryKind::kConfiguration) {
      member.disk.configuration = *decode_configuration(*entry.data);
    } else if (entry.data != nullptr) {
      member.disk.values.push_back(*entry.data);
    }
  }
  member.reads.insert(member.reads.end(), ready.reads.begin(), ready.reads.end());
  member.raft->advance(ready);
}

void Play::deliver(const std::function<bool(const Message&)>& which) {
  for (int steps = 0; steps < 10'000; ++steps) {
    const auto it =
        std::find_if(network_.begin(), network_.end(), [&](const Envelope& e) { return which(e.message); });
    if (it == network_.end()) return;
    Envelope envelope = std::move(*it);
    network_.erase(it);
    const MemberId to = envelope.message.to;
    if (members_.count(to) == 0 || members_[to].raft == nullptr) continue;
    if (envelope.message.kind == MessageKind::kSnapshot) members_[to].incoming = envelope.values;
    members_[to].raft->step(std::move(envelope.message));
    pump(to);
  }
  COX_CHECK(!"it never ends");
}

// "2->1 AppendReply reject index=3 hint=2": what is not nothing.
std::string Play::describe(const Message& m) const {
  std::string out = std::to_string(m.from) + "->" + std::to_string(m.to) + " " +
                    kKinds[static_cast<std::size_t>(m.kind)] + " term=" + std::to_string(m.term);
  if (m.reject) out += " reject";
  const auto add = [&](const char* name, std::uint64_t value) {
    if (value != 0) out += std::string(" ") + name + "=" + std::to_string(value);
  };
  add("index", m.index);
  add("logterm", m.log_term);
  add("commit", m.commit);
  add("hint", m.hint);
  add("entries", m.entries.size());
  if (m.snapshot.has_value()) add("snapshot", m.snapshot->index);
  return out;
}

std::vector<MemberId> ids(const std::string& list) {
  std::vector<MemberId> out;
  for (const std::string& id : split(list, ',')) out.push_back(number(id));
  return out;
}

std::string text(const std::vector<MemberId>& list) {
  std::vector<std::string> out;
  for (const MemberId id : list) out.push_back(std::to_string(id));
  return join(out, ",");
}

std::string text(const Configuration& c) {
  std::string out = text(c.voters);
  if (c.joint()) out += "&" + text(c.outgoing);
  if (!c.learners.empty()) out += "+" + text(c.learners);
  return out;
}

// What is on its way has all these words: "expect sent 2->1 VoteReply reject".
std::string Play::expect_sent(const Words& words) {
  std::string seen;
  for (const Envelope& envelope : network_) {
    const std::string line = describe(envelope.message);
    seen += "\n    " + line;
    const std::vector<std::string> parts = split(line, ' ');
    const bool same = std::all_of(words.begin() + 2, words.end(), [&](const std::string& word) {
      return std::find(parts.begin(), parts.end(), word) != parts.end();
    });
    if (words[1] == "sent" && same) return "";
    if (words[1] == "unsent" && same) return "but " + line;
  }
  return words[1] == "unsent" ? "" : "not among:" + seen;
}

std::string Play::expect(const Words& words) {
  if (words[1] == "outcome") return compare(words[2], kOutcomes[static_cast<std::size_t>(outcome_)]);
  if (words[1] == "sent" || words[1] == "unsent") return expect_sent(words);
  const Member& member = at(words[1]);
  const Raft& raft = *member.raft;
  const std::string& what = words[2];
  const std::string wanted = words.size() > 3 ? words[3] : "";
  if (std::find(kRoles.begin(), kRoles.end(), what) != kRoles.end())
    return compare(what, kRoles[static_cast<std::size_t>(raft.role())]);
  if (what == "term") return compare(wanted, std::to_string(raft.term()));
  if (what == "of") return compare(wanted, std::to_string(raft.leader()));  // whom it follows; 0: nobody
  if (what == "commit") return compare(wanted, std::to_string(raft.committed()));
  if (what == "keeps") return compare(wanted, std::to_string(raft.needed_by_others()));
  if (what == "values") return compare(wanted, join(member.disk.values, ","));
  if (what == "members") return compare(wanted, text(raft.configuration()));
  std::vector<std::string> list;
  if (what == "log") {  // the terms of all entries that there are
    for (Index i = raft.log().first(); i <= raft.last_index(); ++i)
      list.push_back(std::to_string(*raft.log().term(i)));
  } else if (what == "reads") {  // CONTEXT@INDEX,...
    for (const ReadState& read : member.reads)
      list.push_back(std::to_string(read.context) + "@" + std::to_string(read.index));
  } else {
    return "what is '" + what + "'?";
  }
  return compare(wanted, join(list, ","));
}

// Who there is, and what they have on disk.
bool Play::set_up(const Words& words) {
  const std::string& command = words[0];
  if (command == "group") {  // group 1,2,3 [LEARNERS]: they start with this configuration
    Configuration configuration;
    configuration.voters = ids(words[1]);
    if (words.size() > 2) configuration.learners = ids(words[2]);
    for (const MemberId id : configuration.members()) members_[id].disk.configuration = configuration;
  } else if (command == "log") {  // log 1 1,1,2 [COMMIT]: before the start, entries of these terms
    Disk& disk = at(words[1]).disk;
    for (const std::uint64_t term : ids(words[2])) {
      disk.log.push_back({term, disk.log.size() + 1, EntryKind::kData, nullptr});
      disk.hard_state.term = std::max(disk.hard_state.term, term);
    }
    if (words.size() > 3) disk.hard_state.commit = number(words[3]);
  } else if (command == "term") {  // term 1 9: and the term it had reached
    at(words[1]).disk.hard_state.term = number(words[2]);
  } else if (command == "start") {  // everybody, or one (again)
    if (words.size() > 1) return start(number(words[1])), true;
    for (auto& [id, member] : members_) start(id);
  } else if (command == "stop") {
    at(words[1]).raft.reset();
  } else if (command == "join") {  // join 4: a new member that knows nobody
    start(number(words[1]));
  } else if (command == "compact") {  // compact ID INDEX: the log up to there is gone, the state stays
    Disk& disk = at(words[1]).disk;
    const Index index = number(words[2]);
    disk.base_term = disk.term(index).value_or(0);
    disk.log.erase(disk.log.begin(), disk.log.begin() + static_cast<std::ptrdiff_t>(index - disk.base));
    disk.base = index;
  } else if (command == "disk") {  // disk ID slow: nothing is stored until `disk ID fast`
    at(words[1]).slow_disk = words[2] == "slow";
    pump(number(words[1]));
  } else if (command ==
             "save") {  // the state as it is now is the one that a `forget` goes back to; not the log
    at(words[1]).saved = at(words[1]).disk;
  } else if (command == "forget") {
    Member& member = at(words[1]);
    member.disk.applied = member.saved.applied;
    member.disk.hard_state.commit = member.saved.hard_state.commit;
    member.disk.configuration = member.saved.configuration;
    member.disk.values = member.saved.values;
  } else {
    return false;
  }
  return true;
}

// Messages are on their way until they are delivered or dropped.
bool Play::network(const Words& words) {
  const std::string& command = words[0];
  const auto which = [&](const Message& m) {  // all, or FROM->TO, or a kind
    return words.size() == 1 || words[1] == kKinds[static_cast<std::size_t>(m.kind)] ||
           words[1] == std::to_string(m.from) + "->" + std::to_string(m.to);
  };
  if (command == "deliver") {
    deliver(which);
  } else if (command == "drop") {
    std::erase_if(network_, [&](const Envelope& e) { return which(e.message); });
  } else if (command == "copy") {  // the network keeps a copy, and delivers it after `delayed`
    std::copy_if(network_.begin(), network_.end(), std::back_inserter(delayed_),
                 [&](const Envelope& e) { return which(e.message); });
  } else if (command == "delayed") {
    network_.insert(network_.end(), delayed_.begin(), delayed_.end());
    delayed_.clear();
  } else if (command == "cut") {  // cut 1->2, or cut 1: both ways to everybody
    const std::size_t arrow = words[1].find("->");
    const MemberId from = number(words[1].substr(0, arrow));
    if (arrow != std::string::npos) cut_.insert({from, number(words[1].substr(arrow + 2))});
    for (const auto& [id, member] : members_)
      if (arrow == std::string::npos) cut_.insert({{from, id}, {id, from}});
    std::erase_if(network_, [&](const Envelope& e) {
      return cut_.count({e.message.from, e.message.to}) > 0;
    });
  } else if (command == "heal") {
    cut_.clear();
  } else {
    return false;
  }
  return true;
}

// What a member is asked to do.
bool Play::ask(const Words& words) {
  const std::string& command = words[0];
  static const std::set<std::string> commands = {"campaign", "tick", "propose", "change",
                                                 "transfer", "read", "lost",    "arrived"};
  if (commands.count(command) == 0) return false;
  const MemberId id = number(words[1]);
  Raft& raft = *at(words[1]).raft;
  if (command == "campaign") {
    raft.campaign();
  } else if (command == "tick") {  // tick ID [TIMES]
    for (std::uint64_t n = words.size() > 2 ? number(words[2]) : 1; n > 0; --n) {
      raft.tick();
      pump(id);
    }
  } else if (command == "propose") {  // propose ID VALUE
    outcome_ = raft.propose({std::make_shared<const std::string>(words[2])});
  } else if (command == "change") {  // change ID +4 -3 ~2: a voter, gone, a learner
    std::vector<Change> changes;
    for (std::size_t i = 2; i < words.size(); ++i) {
      const char sign = words[i].front();
      const auto kind = sign == '+'   ? Change::Kind::kAddVoter
                        : sign == '-' ? Change::Kind::kRemove
                                      : Change::Kind::kAddLearner;
      changes.push_back({kind, number(words[i].substr(1))});
    }
    const Result<Configuration> target = plan_change(raft.configuration(), changes);
    outcome_ = target.ok() ? raft.propose_configuration(*target) : Outcome::kNotAllowed;
  } else if (command == "transfer") {  // transfer FROM TO
    outcome_ = raft.transfer_leadership(number(words[2]));
  } else if (command == "lost") {  // lost ID OTHER: its connection with the other one broke
    raft.report_unreachable(number(words[2]));
  } else if (command == "arrived") {  // arrived ID OTHER [no]: the state that was sent to the other one
    raft.report_snapshot(number(words[2]), words.size() == 3);
  } else {  // read ID CONTEXT
    outcome_ = raft.read_index(number(words[2]));
  }
  pump(id);
  return true;
}

std::string Play::run(const Words& words) {
  if (words[0] == "expect") return expect(words);
  return set_up(words) || network(words) || ask(words) ? "" : "what is '" + words[0] + "'?";
}

}  // namespace

std::string play(std::string_view script) {
  Play play;
  int at = 0;
  for (const std::string& line : split(script, '\n')) {
    ++at;
    Words words;
    for (const std::string& word : split(line.substr(0, line.find('#')), ' '))
      if (!word.empty()) words.push_back(word);
    if (words.empty()) continue;
    const std::string problem = play.run(words);
    if (!problem.empty()) return "line " + std::to_string(at) + ": " + join(words, " ") + ": " + problem;
  }
  return "";
}

}  // namespace coxswain::store::raft
