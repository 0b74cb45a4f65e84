#include "libs/store/bench/clients.h"

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>
#include <thread>

#include "libs/common/base/check.h"
#include "libs/store/bench/machine.h"
#include "libs/store/bench/table.h"

namespace coxswain::store::bench {
namespace {

Txn put_of(const Work& work, std::uint64_t n) {
  // A number that is prime to any count of keys visits them all, in no order.
  const std::uint64_t key = work.keys > 0 ? n * 2'654'435'761u % work.keys : n;
  std::string value = work.value ? work.value(key, n) : value_of(work.value_bytes, n);
  Txn txn;
  txn.ops.push_back({Op::Type::kPut, key_of(work.prefix, key), std::move(value), kNoSplice});
  return txn;
}

// Keeps `clients` questions going until it is told to stop, then waits for the last answers.
class Loop {
 public:
  using Answered = std::function<void()>;
  using Ask = std::function<void(std::uint64_t n, Answered answered)>;
  Loop(int clients, std::uint64_t most, Ask ask) : most_(most), running_(clients), ask_(std::move(ask)) {
    for (int i = 0; i < clients; ++i) next();
  }
  std::uint64_t answered() const { return answered_; }
  void stop() { stopping_ = true; }
  void wait() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return running_ == 0; });
  }

 private:
  void next() {
    const std::uint64_t n = asked_.fetch_add(1);
    if (!stopping_ && n < most_)
      return ask_(n, [this] {
        answered_.fetch_add(1);
        next();
      });
    const std::lock_guard lock(mutex_);
    if (--running_ == 0) idle_.notify_all();
  }

  const std::uint64_t most_;
  std::atomic<std::uint64_t> asked_{0};
  std::atomic<std::uint64_t> answered_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable idle_;
  int running_;
  const Ask ask_;
};

void sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

Done measure(const Work& work, Loop::Ask ask) {
  Loop loop(work.clients, static_cast<std::uint64_t>(-1), std::move(ask));
  sleep(work.seconds / 5);
  Done done{-static_cast<double>(loop.answered()), -now_seconds(), -processor_seconds()};
  sleep(work.seconds);
  done.operations += static_cast<double>(loop.answered());
  done.seconds += now_seconds();
  done.processor_seconds += processor_seconds();
  loop.stop();
  loop.wait();
  return done;
}

Loop::Ask putting(Store& store, const Work& work) {
  return [&store, &work](std::uint64_t n, Loop::Answered answered) {
    store.txn(put_of(work, n), [answered = std::move(answered)](const Result<TxnResult>& result) {
      if (!result.ok()) std::fprintf(stderr, "%s\n", result.error().message.c_str());
      COX_CHECK(result.ok() && result->succeeded);
      answered();
    });
  };
}

}  // namespace

std::string key_of(const std::string& prefix, std::uint64_t n) {
  std::string digits = std::to_string(n);
  digits.insert(0, digits.size() < 8 ? 8 - digits.size() : 0, '0');
  return prefix + digits;
}

std::string Done::processor_note() const {
  return show(processor_seconds / operations * 1e6) + " us of processor each";
}

Done put(Store& store, const Work& work) { return measure(work, putting(store, work)); }

Done read_fresh(Store& store, const Work& work) {
  return measure(work, [&](std::uint64_t n, Loop::Answered answered) {
    store.barrier([&store, &work, n, answered = std::move(answered)](const Result<void>& fresh) {
      COX_CHECK(fresh.ok() && store.get(key_of(work.prefix, n % work.keys)).ok());
      answered();
    });
  });
}

void fill(Store& store, const Work& work, std::size_t n) {
  Loop(work.clients, n, putting(store, work)).wait();
}

std::vector<double> put_one_by_one(Store& store, const Work& work) {
  std::vector<double> took;
  const double until = now_seconds() + work.seconds;
  for (std::uint64_t n = 0; now_seconds() < until; ++n) {
    Txn txn = put_of(work, n);
    const double began = now_seconds();
    COX_CHECK(store.txn_wait(std::move(txn)).ok());
    took.push_back((now_seconds() - began) * 1e6);
  }
  return took;
}

}  // namespace coxswain::store::bench
