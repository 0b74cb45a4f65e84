// One connection to one of several etcd endpoints, and another one when it breaks. Everything happens inside
// step(), on the thread that calls it; nothing here is thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "libs/store/etcd/grpc.h"
#include "libs/store/etcd/link.h"

namespace coxswain::store::etcd {

class Client {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    virtual void connected() = 0;
    // Or never was. All calls have ended before. The next endpoint is tried, later when all have failed.
    virtual void disconnected(const Error& why) = 0;
  };
  using Answer = Result<std::string, CallEnd>;
  using Done = std::function<void(Answer)>;
  using OnMessage = std::function<void(std::string)>;

  // `options`, `credentials` (null: plain) and `events` outlive this.
  Client(const EtcdStoreOptions& options, Credentials* credentials, Events& events);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Waits for the network, for bytes on `wake_fd`, or until `most_ms` have passed, and does what is due.
  void step(int wake_fd, std::int64_t most_ms);

  bool connected() const { return connected_; }
  // While connected. `done` runs once, from step().
  void call(std::string_view path, std::string_view message, Done done);
  // A call whose messages keep coming; the answer of `done` is empty.
  StreamId stream(std::string_view path, std::string_view message, OnMessage on_message, Done done);
  void cancel(StreamId stream);      // neither of its functions runs again
  void drop(Error why);              // ends the connection at the end of this step
  void shut(const Error& why);       // now, and for good: step() is not called any more
  void settled() { failures_ = 0; }  // this endpoint does what it should

 private:
  struct Call {
    OnMessage on_message;  // set: a stream
    Done done;
    std::int64_t since_ms = 0;
  };

  StreamId begin(std::string_view path, std::string_view message, Call call);
  void open();
  void advance();
  void pump(std::int64_t now_ms);
  Result<bool> read_some(std::int64_t now_ms);  // true: there is more
  Result<void> flush();
  void dispatch(GrpcEvent event);
  void check_times(std::int64_t now_ms);
  std::int64_t next_time(std::int64_t now_ms) const;
  std::optional<std::int64_t> oldest_call_ms() const;
  void close(const Error& why);

  const EtcdStoreOptions& options_;
  Credentials* const credentials_;
  Events& events_;
  std::size_t endpoint_ = 0;
  int failures_ = 0;  // since settled()
  std::int64_t retry_at_ms_ = 0;

  std::unique_ptr<Link> link_;
  std::unique_ptr<GrpcSession> session_;
  bool connected_ = false;
  bool readable_ = false;  // more than one step reads
  std::int64_t opened_ms_ = 0;
  std::int64_t heard_ms_ = 0;
  bool pinged_ = false;
  std::string out_;
  std::map<StreamId, Call> calls_;
  std::optional<Error> dropping_;
};

}  // namespace coxswain::store::etcd
