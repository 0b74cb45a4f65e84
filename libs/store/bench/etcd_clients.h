// The same work on Debian's etcd, asked over its own API: gRPC without TLS, over a few connections.
#pragma once

#include <vector>

#include "libs/store/bench/clients.h"
#include "libs/store/conformance/etcd_server.h"

namespace coxswain::store::bench {

// Of a running etcd: the member that leads.
int etcd_leader(const testing::EtcdServer& etcd, int members);

// Throughput; the clients share eight connections with a thread each. Its processor_seconds are those of the
// clients.
Done etcd_put(const testing::EtcdServer& etcd, int member, const Work& work);
Done etcd_read_fresh(const testing::EtcdServer& etcd, int member, const Work& work);
void etcd_fill(const testing::EtcdServer& etcd, int member, const Work& work);  // every key once

std::vector<double> etcd_put_one_by_one(const testing::EtcdServer& etcd, const Work& work);

}  // namespace coxswain::store::bench
