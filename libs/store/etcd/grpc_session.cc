// HTTP/2 by nghttp2, gRPC's use of it by hand.
#include <nghttp2/nghttp2.h>

#include <array>
#include <cstring>
#include <map>

#include "libs/common/base/check.h"
#include "libs/common/base/strings.h"
#include "libs/store/etcd/grpc.h"

namespace coxswain::store::etcd {
namespace {

constexpr std::uint32_t kStreamWindow = 4u << 20;
constexpr std::int32_t kConnectionWindow = 16 << 20;

struct Stream {
  explicit Stream(std::size_t max_message_bytes) : reader(max_message_bytes) {}
  std::string out;  // framed
  std::size_t sent = 0;
  bool stays_open = false;
  MessageReader reader;
  int http_status = 0;
  std::optional<int> code;
  std::string message;
  std::optional<CallEnd> refused;  // by us
};

class Session : public GrpcSession {
 public:
  explicit Session(GrpcOptions options) : options_(std::move(options)) {
    nghttp2_session_callbacks* callbacks = nullptr;
    COX_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    COX_CHECK(nghttp2_session_client_new(&session_, callbacks, this) == 0);
    nghttp2_session_callbacks_del(callbacks);
    const std::array<nghttp2_settings_entry, 2> settings = {
        {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow}}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  }
  ~Session() override { nghttp2_session_del(session_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Result<StreamId> call(std::string_view path, std::string_view message, bool stays_open) override {
    auto stream = std::make_unique<Stream>(options_.max_message_bytes);
    stream->stays_open = stays_open;
    stream->out.reserve(message.size() + 5);
    stream->out.push_back(0);
    for (int shift = 24; shift >= 0; shift -= 8)
      stream->out.push_back(static_cast<char>(message.size() >> shift));
    stream->out.append(message);
    const auto header = [](std::string_view name, std::string_view value) {
      const auto bytes = [](std::string_view text) {
        return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
      };
      return nghttp2_nv{bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
    };
    const std::array<nghttp2_nv, 8> headers = {
        header(":method", "POST"), header(":scheme", options_.tls ? "https" : "http"), header(":path", path),
        header(":authority", options_.authority), header("content-type", "application/grpc"),
        header("te", "trailers"), header("user-agent", "coxswain"),
        // A member that knows no leader says so at once instead of letting us wait.
        header("hasleader", "true")};
    nghttp2_data_provider provider{};
    provider.source.ptr = stream.get();
    provider.read_callback = read_body;
    const std::int32_t id =
        nghttp2_session_check_request_allowed(session_) == 0
            ? -1
            : nghttp2_submit_request(session_, nullptr, headers.data(), headers.size(), &provider, nullptr);
    if (id < 0) return make_error(ErrorCode::kUnavailable, "the connection takes no more calls");
    streams_[id] = std::move(stream);
    return id;
  }

  void cancel(StreamId stream) override {
    if (streams_.count(stream) > 0)
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
  }
  void ping() override { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }

  Result<std::vector<GrpcEvent>> receive(std::string_view bytes) override {
    events_.clear();
    const auto taken =
        nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    if (taken < 0 || static_cast<std::size_t>(taken) != bytes.size())
      return make_error(ErrorCode::kUnavailable,
                        "it does not speak HTTP/2 as etcd's client port does; check address and TLS");
    if (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0)
      return make_error(ErrorCode::kUnavailable, "it ended the connection");
    if (buffered_ > 2 * options_.max_message_bytes)
      return make_error(ErrorCode::kUnavailable, "it sends more at once than can be kept");
    return std::move(events_);
  }

  std::string_view output() override {
    const std::uint8_t* data = nullptr;
    const auto size = nghttp2_session_mem_send(session_, &data);
    if (size <= 0) return {};
    return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(size)};
  }

 private:
  static Session* self(void* user) { return static_cast<Session*>(user); }
  Stream* find(StreamId id) const {
    const auto it = streams_.find(id);
    return it == streams_.end() ? nullptr : it->second.get();
  }

  static ssize_t read_body(nghttp2_session*, std::int32_t, std::uint8_t* buffer, std::size_t size,
                           std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto* stream = static_cast<Stream*>(source->ptr);
    const std::size_t left = stream->out.size() - stream->sent;
    if (left == 0 && stream->stays_open) return NGHTTP2_ERR_DEFERRED;
    const std::size_t n = std::min(size, left);
    std::memcpy(buffer, stream->out.data() + stream->sent, n);
    stream->sent += n;
    if (n == left && !stream->stays_open) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(n);
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                       void* user) {
    Stream* stream = self(user)->find(frame->hd.stream_id);
    if (stream == nullptr) return 0;
    const std::string_view key(reinterpret_cast<const char*>(name), name_size);
    const std::string_view text(reinterpret_cast<const char*>(value), value_size);
    const auto number = [&] { return static_cast<int>(parse_int64(text).value_or(2) & 0xffff); };
    if (key == ":status") stream->http_status = number();
    if (key == "grpc-status") stream->code = number();
    if (key == "grpc-message") stream->message = decode_grpc_message(text);
    return 0;
  }

  static int on_data(nghttp2_session*, std::uint8_t, StreamId id, const std::uint8_t* data, std::size_t size,
                     void* user) {
    Session* me = self(user);
    Stream* stream = me->find(id);
    if (stream == nullptr || stream->refused.has_value()) return 0;
    const std::size_t before = stream->reader.buffered();
    Result<void> read = stream->reader.append({reinterpret_cast<const char*>(data), size});
    while (auto message = stream->reader.next())
      me->events_.push_back({GrpcEvent::Type::kMessage, id, *std::move(message), {}});
    // What follows a whole message may be the head of one that is too long.
    if (read.ok()) read = stream->reader.append({});
    me->buffered_ += stream->reader.buffered() - before;
    if (!read.ok()) {
      stream->refused = CallEnd{kGrpcResourceExhausted, read.error().message, false};
      nghttp2_submit_rst_stream(me->session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    }
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_GOAWAY) return 0;
    const nghttp2_goaway& away = frame->goaway;
    std::string said(reinterpret_cast<const char*>(away.opaque_data), away.opaque_data_len);
    self(user)->events_.push_back({GrpcEvent::Type::kGoAway, 0, decode_grpc_message(said), {}});
    return 0;
  }

  static int on_close(nghttp2_session*, StreamId id, std::uint32_t error, void* user) {
    Session* me = self(user);
    const auto it = me->streams_.find(id);
    if (it == me->streams_.end()) return 0;
    me->events_.push_back({GrpcEvent::Type::kClosed, id, "", end_of(*it->second, error)});
    me->buffered_ -= it->second->reader.buffered();
    me->streams_.erase(it);
    return 0;
  }

  static CallEnd end_of(const Stream& stream, std::uint32_t error) {
    if (stream.refused.has_value()) return *stream.refused;
    if (error == NGHTTP2_REFUSED_STREAM) return {kGrpcUnavailable, "the call was not taken", true};
    if (stream.code.has_value()) return {*stream.code, stream.message, false};
    if (stream.http_status != 0 && stream.http_status != 200)
      return {kGrpcUnavailable,
              "HTTP status " + std::to_string(stream.http_status) + "; is this etcd's client port?", false};
    return {kGrpcUnavailable, std::string("the call broke: ") + nghttp2_http2_strerror(error), false};
  }

  const GrpcOptions options_;
  nghttp2_session* session_ = nullptr;
  std::map<StreamId, std::unique_ptr<Stream>> streams_;
  std::vector<GrpcEvent> events_;
  std::size_t buffered_ = 0;  // of messages that are not whole yet
};

}  // namespace

std::unique_ptr<GrpcSession> open_grpc_session(GrpcOptions options) {
  return std::make_unique<Session>(std::move(options));
}

}  // namespace coxswain::store::etcd
