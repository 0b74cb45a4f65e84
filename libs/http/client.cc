#include "libs/http/client.h"

#include <curl/curl.h>

#include <mutex>
#include <vector>

#include "libs/common/base/strings.h"

namespace coxswain::http {
namespace {

constexpr std::size_t kMaxIdleHandles = 16;
constexpr std::size_t kMaxErrorBody = 1024 * 1024;

void init_curl_once() {
  static const bool done = [] {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return true;
  }();
  static_cast<void>(done);
}

// One call: what curl's callbacks fill in.
struct Call {
  ClientResponse response;
  std::size_t max_body_bytes = 0;
  const Client::OnHeaders* on_headers = nullptr;
  const Client::OnData* on_data = nullptr;
  bool headers_told = false;
  bool ended_by_reader = false;
  bool too_large = false;

  bool streams() const { return on_data != nullptr && response.status >= 200 && response.status < 300; }
  void tell_headers() {
    if (headers_told) return;
    headers_told = true;
    if (on_headers != nullptr && *on_headers) (*on_headers)(response.status, response.headers);
  }
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& call = *static_cast<Call*>(user);
  const std::string_view line = trim({data, size * count});
  if (line.starts_with("HTTP/")) {  // a new answer: 100 Continue goes before the real one
    call.response.headers.clear();
    call.response.status = 0;
    const std::size_t space = line.find(' ');
    if (space != std::string_view::npos) {
      call.response.status = static_cast<int>(parse_int64(line.substr(space + 1, 3)).value_or(0));
    }
  } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
    call.response.headers.emplace_back(std::string(line.substr(0, colon)),
                                       std::string(trim(line.substr(colon + 1))));
  } else if (line.empty() && call.response.status >= 200) {
    call.tell_headers();
  }
  return size * count;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& call = *static_cast<Call*>(user);
  const std::string_view bytes(data, size * count);
  if (call.streams()) {
    if ((*call.on_data)(bytes)) return bytes.size();
    call.ended_by_reader = true;
    return 0;
  }
  const std::size_t limit = call.on_data != nullptr ? kMaxErrorBody : call.max_body_bytes;
  if (call.response.body.size() + bytes.size() > limit) {
    call.too_large = true;
    return 0;
  }
  call.response.body.append(bytes);
  return bytes.size();
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<std::stop_token*>(user)->stop_requested() ? 1 : 0;
}

void set_blob(CURL* handle, CURLoption option, const std::string& pem) {
  curl_blob blob{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_COPY};
  curl_easy_setopt(handle, option, &blob);
}

class ClientImpl final : public Client {
 public:
  explicit ClientImpl(const ClientOptions& options) : options_(options) {}
  ~ClientImpl() override {
    for (CURL* handle : idle_) curl_easy_cleanup(handle);
  }

  Result<ClientResponse> send(const ClientRequest& request, std::stop_token stop) override {
    Call call;
    call.max_body_bytes = request.max_body_bytes;
    return perform(request, call, stop);
  }

  Result<ClientResponse> stream(const ClientRequest& request, OnHeaders on_headers, OnData on_data,
                                std::stop_token stop) override {
    Call call;
    call.on_headers = &on_headers;
    call.on_data = &on_data;
    return perform(request, call, stop);
  }

 private:
  // A handle keeps its connection alive; each is used by one call at a time.
  CURL* take() {
    {
      std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        CURL* handle = idle_.back();
        idle_.pop_back();
        return handle;
      }
    }
    CURL* handle = curl_easy_init();
    if (handle != nullptr) configure(handle);
    return handle;
  }

  void give_back(CURL* handle, bool healthy) {
    if (healthy) {
      std::lock_guard lock(mutex_);
      if (idle_.size() < kMaxIdleHandles) {
        idle_.push_back(handle);
        return;
      }
    }
    curl_easy_cleanup(handle);
  }

  void configure(CURL* handle) const {
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(handle, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);  // a watch notices that its server's machine is gone
    curl_easy_setopt(handle, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(handle, CURLOPT_TCP_KEEPINTVL, 10L);
    curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 65536L);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout_ms));
    curl_easy_setopt(handle, CURLOPT_USERAGENT, options_.user_agent.c_str());
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    if (!options_.unix_socket.empty())
      curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, options_.unix_socket.c_str());
    if (options_.insecure_skip_verify) {
      curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 0L);
      curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    // libcurl has the system's CAs built in beside the one it is given: only ours counts.
    if (!options_.ca_pem.empty() || !options_.ca_pem_path.empty()) {
      curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);
      curl_easy_setopt(handle, CURLOPT_CAINFO, nullptr);
    }
    if (!options_.ca_pem.empty())
      set_blob(handle, CURLOPT_CAINFO_BLOB, options_.ca_pem);
    else if (!options_.ca_pem_path.empty())
      curl_easy_setopt(handle, CURLOPT_CAINFO, options_.ca_pem_path.c_str());
    if (!options_.certificate_pem.empty())
      set_blob(handle, CURLOPT_SSLCERT_BLOB, options_.certificate_pem);
    else if (!options_.certificate_pem_path.empty())
      curl_easy_setopt(handle, CURLOPT_SSLCERT, options_.certificate_pem_path.c_str());
    if (!options_.key_pem.empty())
      set_blob(handle, CURLOPT_SSLKEY_BLOB, options_.key_pem);
    else if (!options_.key_pem_path.empty())
      curl_easy_setopt(handle, CURLOPT_SSLKEY, options_.key_pem_path.c_str());
  }

  void set_body(CURL* handle, const ClientRequest& request) const {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 0L);
    curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);
    if (request.method == "HEAD") {
      curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT" ||
               request.method == "PATCH") {
      curl_easy_setopt(handle, CURLOPT_POST, 1L);
      curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.data());
    }
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST,
                     request.method == "HEAD" ? nullptr : request.method.c_str());
  }

  Result<ClientResponse> perform(const ClientRequest& request, Call& call, std::stop_token stop) {
    if (stop.stop_requested()) return make_error(ErrorCode::kCancelled, "cancelled");
    CURL* handle = take();
    if (handle == nullptr) return make_error(ErrorCode::kResourceExhausted, "out of memory for a connection");
    const std::string url = options_.base_url + request.target;
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    set_body(handle, request);
    curl_slist* headers = curl_slist_append(nullptr, "Expect:");  // no pause for 100-continue
    for (const auto& [name, value] : request.headers)
      headers = curl_slist_append(headers, (name + ": " + value).c_str());
    if (!options_.bearer_token.empty())
      headers = curl_slist_append(headers, ("Authorization: Bearer " + options_.bearer_token).c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &call);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &call);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &stop);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms));
    char message[CURL_ERROR_SIZE] = {};
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, message);
    const CURLcode code = run(handle, stop);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, nullptr);
    curl_slist_free_all(headers);
    give_back(handle, code == CURLE_OK);
    if (code == CURLE_OK || call.ended_by_reader) {
      if (code == CURLE_OK) call.tell_headers();
      return std::move(call.response);
    }
    return error_of(code, call, stop, message);
  }

  // The multi interface, because only it can be woken: a cancelled call returns at once.
  CURLcode run(CURL* handle, const std::stop_token& stop) const {
    if (!stop.stop_possible()) return curl_easy_perform(handle);
    ThreadMulti& mine = multi_for_thread();
    // A call from inside another's callback: curl forbids to enter the same multi again.
    if (mine.busy) return curl_easy_perform(handle);
    mine.busy = true;
    CURLM* multi = mine.multi;
    curl_multi_add_handle(multi, handle);
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    {
      std::stop_callback wake(stop, [multi] { curl_multi_wakeup(multi); });
      int running = 1;
      while (running > 0 && !stop.stop_requested()) {
        if (curl_multi_perform(multi, &running) != CURLM_OK) break;
        if (running > 0 && !stop.stop_requested()) curl_multi_poll(multi, nullptr, 0, 60'000, nullptr);
      }
      int left = 0;
      while (const CURLMsg* done = curl_multi_info_read(multi, &left)) {
        if (done->msg == CURLMSG_DONE && done->easy_handle == handle) result = done->data.result;
      }
    }
    curl_multi_remove_handle(multi, handle);
    mine.busy = false;
    return result;
  }

  // Connections made through a multi live in it, so each thread keeps its own.
  struct ThreadMulti {
    CURLM* multi = curl_multi_init();
    bool busy = false;
    ~ThreadMulti() { curl_multi_cleanup(multi); }
  };
  static ThreadMulti& multi_for_thread() {
    thread_local ThreadMulti mine;
    return mine;
  }

  Error error_of(CURLcode code, const Call& call, const std::stop_token& stop, const char* message) const {
    const std::string where = options_.unix_socket.empty() ? options_.base_url : options_.unix_socket;
    const std::string detail = message[0] != '\0' ? message : curl_easy_strerror(code);
    if (stop.stop_requested()) return make_error(ErrorCode::kCancelled, "cancelled");
    if (call.too_large)
      return make_error(ErrorCode::kResourceExhausted, "the answer of " + where + " is too large");
    switch (code) {
      case CURLE_OPERATION_TIMEDOUT:
        return make_error(ErrorCode::kDeadlineExceeded, "no answer from " + where + " in time: " + detail);
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_CERTPROBLEM:
      case CURLE_SSL_CACERT_BADFILE:
        return make_error(ErrorCode::kUnauthenticated,
                          "cannot trust or be trusted by " + where + ": " + detail);
      case CURLE_COULDNT_RESOLVE_HOST:
      case CURLE_COULDNT_CONNECT:
      case CURLE_SSL_CONNECT_ERROR:
        return make_error(ErrorCode::kUnavailable, "cannot reach " + where + ": " + detail);
      default:
        return make_error(ErrorCode::kIo, "lost the connection to " + where + ": " + detail);
    }
  }

  const ClientOptions options_;
  std::mutex mutex_;
  std::vector<CURL*> idle_;  // guarded by mutex_
};

}  // namespace

Result<std::unique_ptr<Client>> make_client(const ClientOptions& options) {
  init_curl_once();
  if (options.base_url.empty()) return make_error(ErrorCode::kInvalidArgument, "no server address");
  return std::unique_ptr<Client>(std::make_unique<ClientImpl>(options));
}

}  // namespace coxswain::http
