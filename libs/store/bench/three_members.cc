// A group of three: writes through the leader, fresh reads through the leader and through a follower.
#include <cstdio>

#include "libs/store/bench/etcd_clients.h"
#include "libs/store/bench/group.h"
#include "libs/store/bench/sections.h"
#include "libs/store/bench/table.h"

namespace coxswain::store::bench {
namespace {

constexpr int kMembers = 3;

struct Numbers {
  Done puts;
  Done leader_reads;
  Done follower_reads;
};

Numbers ours(const Settings& settings, const Work& writing, const Work& reading) {
  Group group(settings.dir);
  Numbers numbers;
  fill(group.leader(), reading, reading.keys);
  numbers.leader_reads = read_fresh(group.leader(), reading);
  numbers.follower_reads = read_fresh(group.follower(), reading);
  numbers.puts = put(group.leader(), writing);
  if (!group.same_leader()) std::fprintf(stderr, "the leader changed meanwhile: measure again\n");
  return numbers;
}

Numbers of_etcd(const Work& writing, const Work& reading) {
  testing::EtcdOptions options;
  options.members = kMembers;
  const testing::EtcdServer etcd(options);
  const int leader = etcd_leader(etcd, kMembers);
  Numbers numbers;
  etcd_fill(etcd, leader, reading);
  numbers.leader_reads = etcd_read_fresh(etcd, leader, reading);
  numbers.follower_reads = etcd_read_fresh(etcd, (leader + 1) % kMembers, reading);
  numbers.puts = etcd_put(etcd, leader, writing);
  return numbers;
}

}  // namespace

void run_group(const Settings& settings) {
  const Work writing{256, settings.seconds(), "bench/", settings.quick ? 1000u : 100'000u, 1024};
  const Work reading{32, settings.seconds(), "read/", settings.quick ? 100u : 10'000u, 1024};
  const Numbers numbers = ours(settings, writing, reading);
  Numbers peer;
  if (settings.etcd) peer = of_etcd(writing, reading);
  const auto row = [&](const char* work, const Done& done, const Done& of_etcd, double quoted, Goal goal) {
    print({work, done.per_second(), "/s", done.processor_note(),
           settings.etcd ? std::optional<double>(of_etcd.per_second()) : std::nullopt, quoted, goal});
  };
  row("puts of 1 KiB, 256 clients, three members, one disk, fsync on", numbers.puts, peer.puts, 4800,
      at_least(25'000));
  row("linearizable reads, 32 clients, on the leader of three", numbers.leader_reads, peer.leader_reads, 9773,
      at_least(200'000));
  row("linearizable reads, 32 clients, on a follower", numbers.follower_reads, peer.follower_reads, 9773,
      at_least(100'000));
}

}  // namespace coxswain::store::bench
