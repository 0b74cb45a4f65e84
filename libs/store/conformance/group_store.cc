#include "libs/store/conformance/group_store.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "libs/common/base/check.h"
#include "libs/common/base/clock.h"
#include "libs/common/pki/pki.h"
#include "libs/store/engine/engine.h"
#include "libs/store/node/node.h"
#include "libs/store/peer/handshake.h"
#include "libs/store/peer/tls_transport.h"

namespace coxswain::store::testing {
namespace {

using raft::MemberId;
constexpr auto kPatience = std::chrono::seconds(60);

}  // namespace

// Whatever a member receives, it receives on the thread of its own line.
class Switchboard {
 public:
  using Delivery = std::function<void(Transport::Receiver&)>;

  class Line : public Transport {
   public:
    Line(std::shared_ptr<Switchboard> board, MemberId id) : board_(std::move(board)), id_(id) {}
    ~Line() override { stop(); }

    Result<void> start(Receiver& receiver) override {
      receiver_ = &receiver;
      board_->connect(id_, this);
      thread_ = std::thread([this] { run(); });
      return {};
    }
    void stop() override {
      board_->disconnect(id_);
      {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
      }
      arrived_.notify_all();
      if (thread_.joinable()) thread_.join();
    }
    void send(raft::Message message) override {
      const MemberId to = message.to;
      board_->deliver(id_, to, [message = std::move(message)](Receiver& receiver) mutable {
        receiver.receive(std::move(message));
      });
    }
    void send_state(raft::Message message, std::unique_ptr<EngineImage> image) override {
      const MemberId to = message.to;
      auto shared = std::make_shared<std::unique_ptr<EngineImage>>(std::move(image));
      board_->deliver(id_, to, [this, to, message = std::move(message), shared](Receiver& receiver) mutable {
        const bool arrived = copy(receiver, std::move(message), **shared);
        board_->deliver(to, id_, [to, arrived](Receiver& sender) { sender.state_sent(to, arrived); });
      });
    }
    void push(Delivery delivery) {
      const std::lock_guard lock(mutex_);
      if (queue_.size() >= 10'000) return;
      queue_.push_back(std::move(delivery));
      arrived_.notify_one();
    }

   private:
    static bool copy(Receiver& receiver, raft::Message message, EngineImage& image) {
      auto copy = receiver.start_copy();
      if (!copy.ok()) return false;
      for (;;) {
        const auto batch = image.next(64 << 10);
        if (!batch.ok()) return false;
        if (batch->empty()) break;
        if (!(*copy)->write(*batch).ok()) return false;
      }
      receiver.receive_state(std::move(message), *std::move(copy));
      return true;
    }
    void run() {
      for (;;) {
        Delivery next;
        {
          std::unique_lock lock(mutex_);
          arrived_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
          if (stopping_) return;
          next = std::move(queue_.front());
          queue_.pop_front();
        }
        next(*receiver_);
      }
    }

    const std::shared_ptr<Switchboard> board_;
    const MemberId id_;
    Receiver* receiver_ = nullptr;
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<Delivery> queue_;
    bool stopping_ = false;
    std::thread thread_;
  };

  explicit Switchboard(std::uint64_t seed) : random_(seeded_random(seed)) {}

  void connect(MemberId id, Line* line) {
    const std::lock_guard lock(mutex_);
    lines_[id] = line;
  }
  void disconnect(MemberId id) {
    const std::lock_guard lock(mutex_);
    lines_.erase(id);
  }
  void deliver(MemberId from, MemberId to, Delivery delivery) {
    const std::lock_guard lock(mutex_);
    const auto line = lines_.find(to);
    if (line == lines_.end() || cut_.count(from) > 0 || cut_.count(to) > 0) return;
    if (loss_ > 0 && random_->unit() < loss_) return;
    line->second->push(std::move(delivery));
  }
  void cut_off(MemberId id, bool on) {
    const std::lock_guard lock(mutex_);
    on ? (void)cut_.insert(id) : (void)cut_.erase(id);
  }
  void set_loss(double probability) {
    const std::lock_guard lock(mutex_);
    loss_ = probability;
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<Random> random_;
  std::map<MemberId, Line*> lines_;
  std::set<MemberId> cut_;
  double loss_ = 0;
};

namespace {

void wait_barrier(Store& store) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    auto future = promise->get_future();
    store.barrier([promise](Result<void> outcome) { promise->set_value(std::move(outcome)); });
    COX_CHECK(future.wait_until(deadline) == std::future_status::ready);
    if (future.get().ok()) return;
  }
}

// Sees what was acknowledged anywhere, wherever it watches.
class BarrierWatcher : public Watcher {
 public:
  BarrierWatcher(Store& at, std::unique_ptr<Watcher> watcher) : at_(at), watcher_(std::move(watcher)) {}
  Result<WatchBatch> poll(std::size_t max_events) override {
    wait_barrier(at_);
    return watcher_->poll(max_events);
  }
  void arm(std::function<void()> wake) override { watcher_->arm(std::move(wake)); }

 private:
  Store& at_;
  const std::unique_ptr<Watcher> watcher_;
};

class Group : public GroupStore {
 public:
  Group(std::string dir, GroupOptions options)
      : dir_(std::move(dir)), options_(options), board_(std::make_shared<Switchboard>(options.seed)) {
    nodes_.resize(static_cast<std::size_t>(options_.members));
    for (int i = 0; i < options_.members; ++i) restart(i);
    (void)leader();
  }
  ~Group() override {
    for (auto& node : nodes_) node.reset();
  }

  void cut_off(int member, bool on) override { board_->cut_off(id_of(member), on); }
  void set_loss(double probability) override { board_->set_loss(probability); }
  void stop(int member) override {
    tls_.erase(member);
    nodes_[static_cast<std::size_t>(member)].reset();
  }
  std::uint64_t applied(int member) override {
    return nodes_[static_cast<std::size_t>(member)]->group().applied;
  }
  std::uint64_t log_first(int member) override {
    return nodes_[static_cast<std::size_t>(member)]->group().log_first;
  }
  Store& member(int i) override { return *nodes_[static_cast<std::size_t>(i)]; }

  void restart(int member) override {
    const std::string dir = dir_ + "/" + std::to_string(member);
    std::filesystem::create_directories(dir);
    NodeOptions node;
    MemberOptions& options = node.member;
    options.raft.id = id_of(member);
    options.raft.seed = options_.seed * 100 + id_of(member) + 1000 * ++starts_;
    for (int i = 0; i < options_.members; ++i) options.initial.voters.push_back(id_of(i));
    options.limits = options_.limits;
    options.clock = &system_clock();
    options.engine = open_rocksdb_engine(dir + "/state").value();
    options.env = options_.logs.empty() ? &posix_env() : options_.logs[static_cast<std::size_t>(member)];
    COX_CHECK(options.env->make_dir(dir + "/raft").ok());
    options.log_dir = dir + "/raft";
    options.log_segment_bytes = options_.log_segment_bytes;
    options.checkpoint_log_bytes = options_.checkpoint_log_bytes;
    if (options_.tls) {
      node.transport = open_tls(member);
    } else {
      node.transport = std::make_unique<Switchboard::Line>(board_, id_of(member));
    }
    node.tick_ms = options_.tick_ms;
    auto opened = std::make_unique<Node>(std::move(node));
    COX_CHECK(opened->start().ok());
    nodes_[static_cast<std::size_t>(member)] = std::move(opened);
  }

  int leader() override {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      for (int i = 0; i < options_.members; ++i) {
        if (followers_of(i) * 2 > options_.members) return i;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    COX_CHECK(false);
  }

  void txn(Txn txn, TxnDone done) override { somebody().txn(std::move(txn), std::move(done)); }
  Result<EntryPtr> get(std::string_view key, Revision revision) const override {
    return anybody().get(key, revision);
  }
  Result<RangeResult> range(const RangeRequest& request) const override { return anybody().range(request); }
  std::int64_t count(std::string_view prefix) const override { return anybody().count(prefix); }
  Result<std::unique_ptr<Watcher>> watch(std::string_view prefix, Revision after) override {
    Store& at = anybody();
    COX_ASSIGN_OR_RETURN(auto watcher, at.watch(prefix, after));
    return std::unique_ptr<Watcher>(std::make_unique<BarrierWatcher>(at, std::move(watcher)));
  }
  Result<void> compact(Revision revision) override { return anybody().compact(revision); }
  void barrier(BarrierDone done) override { anybody().barrier(std::move(done)); }
  Revision revision() const override { return anybody().revision(); }
  Stats stats() const override {
    Stats sum = anybody().stats();
    sum.watchers = 0;
    for (const auto& node : nodes_)
      if (node != nullptr) sum.watchers += node->stats().watchers;
    return sum;
  }

 private:
  std::unique_ptr<Transport> open_tls(int member) {
    std::signal(SIGPIPE, SIG_IGN);
    const std::int64_t now_ms = system_clock().unix_ms();
    const pki::KeyPair ca = pki::ensure_ca(dir_, now_ms).value();
    pki::CertificateRequest request;
    request.common_name = member_name(id_of(member));
    request.organizations = {kMembersOrganization};
    request.server = request.client = true;
    const pki::KeyPair pair =
        pki::ensure_certificate(dir_, "member-" + std::to_string(member), ca, request, now_ms).value();
    PeerOptions options;
    options.id = id_of(member);
    options.cluster = "test";
    options.tls = {ca.certificate_path, pair.certificate_path, pair.key_path};
    options.port = addresses_[id_of(member)].port;  // the same as before
    options.on_refusal = [](const std::string& why) { std::fprintf(stderr, "%s\n", why.c_str()); };
    auto transport = TlsTransport::open(std::move(options)).value();
    addresses_[id_of(member)] = {"127.0.0.1", transport->port()};
    tls_[member] = transport.get();
    for (const auto& [other, at] : tls_) at->set_peers(addresses_);
    return transport;
  }
  static MemberId id_of(int member) { return static_cast<MemberId>(member) + 1; }
  int followers_of(int i) const {
    const auto& node = nodes_[static_cast<std::size_t>(i)];
    if (node == nullptr || node->group().role != raft::Role::kLeader) return 0;
    const raft::Term term = node->group().term;
    int followers = 0;
    for (const auto& other : nodes_) {
      if (other == nullptr) continue;
      const Node::Group seen = other->group();
      followers += seen.leader == id_of(i) && seen.term == term;
    }
    return followers;
  }
  Store& somebody() const {
    for (;;) {
      if (Node* node = nodes_[turn_++ % nodes_.size()].get(); node != nullptr) return *node;
    }
  }
  // Who sees what was acknowledged anywhere.
  Store& anybody() const {
    Store& at = somebody();
    wait_barrier(at);
    return at;
  }

  const std::string dir_;
  const GroupOptions options_;
  const std::shared_ptr<Switchboard> board_;
  std::vector<std::unique_ptr<Node>> nodes_;
  mutable std::atomic<std::size_t> turn_{0};
  std::uint64_t starts_ = 0;
  std::map<MemberId, PeerAddress> addresses_;
  std::map<int, TlsTransport*> tls_;  // the nodes own them
};

}  // namespace

std::unique_ptr<GroupStore> open_group(const std::string& dir, GroupOptions options) {
  return std::make_unique<Group>(dir, options);
}

}  // namespace coxswain::store::testing
