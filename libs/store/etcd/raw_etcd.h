// etcd itself, for tests: what others do to it. Each call waits.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "libs/store/etcd/client.h"
#include "libs/store/etcd/etcd_store.h"

namespace coxswain::store::testing {

class RawEtcd : private etcd::Client::Events {
 public:
  explicit RawEtcd(EtcdStoreOptions options)
      : options_(std::move(options)),
        credentials_(options_.ca_path.empty() ? nullptr : etcd::load_credentials(options_).value()),
        client_(options_, credentials_.get(), *this) {}

  etcd::Client::Answer call(std::string_view path, const std::string& request) {
    while (!client_.connected()) client_.step(wake_.fd(), 10);
    std::optional<etcd::Client::Answer> answer;
    client_.call(path, request, [&answer](etcd::Client::Answer got) { answer.emplace(std::move(got)); });
    while (!answer.has_value()) client_.step(wake_.fd(), 10);
    return *std::move(answer);
  }
  Revision put(const std::string& key, const std::string& value) {
    return etcd::decode_header_of(call(etcd::kPutPath, etcd::encode_put(key, value)).value())->revision;
  }
  etcd::RangeResponse range(const etcd::KeyRange& range) {
    return etcd::decode_range(call(etcd::kRangePath, etcd::encode_range(range)).value()).value();
  }
  bool compact(Revision revision) { return call(etcd::kCompactPath, etcd::encode_compaction(revision)).ok(); }

 private:
  void connected() override {}
  void disconnected(const Error&) override {}

  const EtcdStoreOptions options_;
  const std::unique_ptr<etcd::Credentials> credentials_;
  const etcd::Wake wake_;
  etcd::Client client_;
};

}  // namespace coxswain::store::testing
