// One member: many clients, and one.
#include <filesystem>

#include "libs/store/bench/etcd_clients.h"
#include "libs/store/bench/machine.h"
#include "libs/store/bench/sections.h"
#include "libs/store/bench/table.h"
#include "libs/store/open.h"

namespace coxswain::store::bench {
namespace {

constexpr std::size_t kHeaders = 64;  // of a record of the log: about what a put of 1 KiB adds to it

struct Numbers {
  Done many;
  std::vector<double> single;
};

Numbers ours(const Settings& settings, const Work& work) {
  LocalStoreOptions options;
  options.dir = settings.dir + "/one";
  const auto store = open_local_store(options).value();
  Numbers numbers;
  numbers.single = put_one_by_one(*store, work);  // first: what many write is merged for a while after that
  numbers.many = put(*store, work);
  return numbers;
}

Numbers of_etcd(const Work& work) {
  const testing::EtcdServer etcd;
  Numbers numbers;
  const int leader = etcd_leader(etcd, 1);
  numbers.single = etcd_put_one_by_one(etcd, work);
  numbers.many = etcd_put(etcd, leader, work);
  return numbers;
}

}  // namespace

void run_one_member(const Settings& settings) {
  const Work work{256, settings.seconds(), "bench/", settings.quick ? 1000u : 100'000u, 1024};
  std::filesystem::create_directory(settings.dir);
  const int raw_writes = settings.quick ? 100 : 5000;
  const double raw_before = raw_write_us(settings.dir, 1024 + kHeaders, raw_writes);
  Numbers numbers = ours(settings, work);
  const double raw_after = raw_write_us(settings.dir, 1024 + kHeaders, raw_writes);
  Numbers peer;
  if (settings.etcd) peer = of_etcd(work);
  const auto if_measured = [&](double value) {
    return settings.etcd ? std::optional<double>(value) : std::nullopt;
  };
  Row many{"puts of 1 KiB, 256 clients, one member, fsync on",
           numbers.many.per_second(),
           "/s",
           numbers.many.processor_note(),
           if_measured(peer.many.per_second()),
           9137,
           at_least(80'000)};
  print(many);
  const double raw = (raw_before + raw_after) / 2;
  const double p99 = percentile(&numbers.single, 0.99);
  Row single{"one client's put of 1 KiB, one member, p50",
             percentile(&numbers.single, 0.5),
             "us",
             "p99 " + show(p99) + "; raw write and fdatasync p50 " + show(raw_before) + " before, " +
                 show(raw_after) + " after",
             if_measured(percentile(&peer.single, 0.5)),
             700,
             at_most(1.2 * raw + 50)};
  print(single);
}

}  // namespace coxswain::store::bench
