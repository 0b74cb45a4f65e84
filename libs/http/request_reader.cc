#include "libs/http/request_reader.h"

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "libs/common/base/strings.h"
#include "libs/http/gzip.h"

namespace coxswain::http {

namespace beast = boost::beast;

struct RequestReader::Parser {
  beast::http::request_parser<beast::http::string_body> impl;
};

RequestReader::RequestReader(const ReaderLimits& limits) : limits_(limits) { next(); }
RequestReader::~RequestReader() = default;

void RequestReader::next() {
  parser_.reset();  // made anew with the first byte: an idle connection holds no parser
  continue_sent_ = false;
  framing_checked_ = false;
  header_bytes_ = 0;
  if (buffer_.empty()) buffer_.shrink_to_fit();
}

bool RequestReader::idle() const { return parser_ == nullptr && buffer_.empty(); }
bool RequestReader::in_body() const { return parser_ != nullptr && parser_->impl.is_header_done(); }

RequestReader::State RequestReader::fail(int status, std::string message) {
  error_status_ = status;
  error_message_ = std::move(message);
  keep_alive_ = false;
  return State::kError;
}

RequestReader::State RequestReader::feed(std::string_view bytes) {
  buffer_.append(bytes);
  return step();
}

RequestReader::State RequestReader::step() {
  if (parser_ == nullptr) {
    if (buffer_.empty()) return State::kNeedMore;
    parser_ = std::make_unique<Parser>();
    parser_->impl.header_limit(static_cast<std::uint32_t>(limits_.max_header_bytes) * 2);  // ours is exact
    parser_->impl.body_limit(limits_.max_body_bytes);
  }
  // Beast takes one piece (the header, a chunk) at a time: what it took is cut off once, at the end,
  // or a body in one-byte chunks would cost the square of its size.
  std::size_t taken = 0;
  const State state = parse_from(taken);
  buffer_.erase(0, taken);
  if (state != State::kNeedMore) return state;
  auto& parser = parser_->impl;
  if (parser.is_done()) return finish();
  if (parser.is_header_done() && !continue_sent_) {
    const auto expect = parser.get()["Expect"];
    if (!expect.empty() && parser.get().version() == 11) {
      continue_sent_ = true;
      return State::kContinue;
    }
  }
  return State::kNeedMore;
}

// kNeedMore also when the request is complete.
RequestReader::State RequestReader::parse_from(std::size_t& taken) {
  auto& parser = parser_->impl;
  while (!parser.is_done() && taken < buffer_.size()) {
    beast::error_code error;
    const std::size_t used =
        parser.put(boost::asio::buffer(buffer_.data() + taken, buffer_.size() - taken), error);
    taken += used;
    const bool wants_more = error == beast::http::error::need_more;
    if (!framing_checked_) header_bytes_ += used;
    const std::size_t header_bytes =
        wants_more ? buffer_.size() - taken + (framing_checked_ ? 0 : header_bytes_) : header_bytes_;
    if (header_bytes > limits_.max_header_bytes) return fail(431, "request header too large");
    if (wants_more) break;
    if (error == beast::http::error::header_limit) return fail(431, "request header too large");
    if (error == beast::http::error::body_limit) {
      return fail(
          413, "request body too large: the limit is " + std::to_string(limits_.max_body_bytes) + " bytes");
    }
    if (error) return fail(400, "malformed HTTP request: " + error.message());
    if (parser.is_header_done() && !framing_checked_) {
      framing_checked_ = true;
      if (const State bad = check_framing(); bad == State::kError) return bad;
    }
    if (used == 0) break;
  }
  return State::kNeedMore;
}

// What Beast lets pass and RFC 9112 does not (3.2, 6.1, 6.3): read differently by a proxy in front of
// us, such a message would smuggle a second request past it.
RequestReader::State RequestReader::check_framing() {
  const auto& message = parser_->impl.get();
  const bool old = message.version() < 11;
  const std::size_t hosts = message.count(beast::http::field::host);
  if (hosts > 1 || (hosts == 0 && !old)) return fail(400, "a request needs exactly one Host header");
  const auto expect = message[beast::http::field::expect];
  if (!expect.empty() && !iequals(std::string_view(expect.data(), expect.size()), "100-continue"))
    return fail(417, "unknown expectation");
  const std::size_t codings = message.count(beast::http::field::transfer_encoding);
  if (codings == 0) return State::kNeedMore;
  if (old) return fail(400, "Transfer-Encoding in an HTTP/1.0 request");
  const auto coding = message[beast::http::field::transfer_encoding];
  if (codings > 1 || !iequals(std::string_view(coding.data(), coding.size()), "chunked")) {
    return fail(501, "unsupported Transfer-Encoding: only chunked is");
  }
  return State::kNeedMore;
}

RequestReader::State RequestReader::finish() {
  auto message = parser_->impl.release();
  keep_alive_ = message.keep_alive();
  http_1_0_ = message.version() == 10;
  if (message.version() != 11 && message.version() != 10) return fail(505, "HTTP version not supported");
  request_ = Request();
  request_.method = std::string(message.method_string());
  if (!parse_target(std::string_view(message.target().data(), message.target().size()), request_.path,
                    request_.query)) {
    return fail(400, "malformed request target");
  }
  for (const auto& field : message) {
    request_.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  request_.body = std::move(message.body());
  const std::string_view encoding = find_header(request_.headers, "Content-Encoding");
  if (iequals(encoding, "gzip")) {
    auto inflated = gunzip(request_.body, limits_.max_body_bytes);
    if (!inflated.ok()) {
      const bool too_large = inflated.error().code == ErrorCode::kResourceExhausted;
      return fail(too_large ? 413 : 400, inflated.error().message);
    }
    request_.body = std::move(*inflated);
  } else if (!encoding.empty() && !iequals(encoding, "identity")) {
    return fail(415, "unsupported Content-Encoding: gzip and identity are supported");
  }
  return State::kRequest;
}

Request RequestReader::take_request() { return std::move(request_); }

bool parse_target(std::string_view target, std::string& path,
                  std::vector<std::pair<std::string, std::string>>& query) {
  if (target.starts_with("http://") || target.starts_with("https://")) {  // absolute form
    const std::size_t slash = target.find('/', target.find("//") + 2);
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  if (target.empty() || target[0] != '/') return false;
  const std::size_t mark = target.find('?');
  path = target.substr(0, mark);
  if (path.find('%') != std::string::npos && !url_decode(path, false)) return false;  // decoded by the routes
  query.clear();
  if (mark == std::string_view::npos) return true;
  for (const std::string& part : split(target.substr(mark + 1), '&')) {
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    auto name = url_decode(part.substr(0, equals), true);
    auto value = equals == std::string::npos ? std::optional<std::string>("")
                                             : url_decode(part.substr(equals + 1), true);
    if (!name || !value) return false;
    query.emplace_back(std::move(*name), std::move(*value));
  }
  return true;
}

}  // namespace coxswain::http
