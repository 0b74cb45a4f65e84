#include "libs/store/etcd/grpc.h"

namespace coxswain::store::etcd {
namespace {

constexpr std::size_t kHead = 5;  // is it compressed, and its length, big-endian
constexpr std::size_t kMaxMessageText = 1024;

std::size_t length_of(std::string_view head) {
  std::size_t length = 0;
  for (std::size_t i = 1; i < kHead; ++i) length = length << 8 | static_cast<unsigned char>(head[i]);
  return length;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

Result<void> MessageReader::check_head() const {
  if (buffer_.size() < kHead) return {};
  if (buffer_[0] != 0) return make_error(ErrorCode::kCorruption, "etcd sent a compressed message");
  if (length_of(buffer_) > max_bytes_) {
    return make_error(ErrorCode::kResourceExhausted,
                      "etcd sent a message of " + std::to_string(length_of(buffer_)) + " bytes; at most " +
                          std::to_string(max_bytes_) + " are read");
  }
  return {};
}

Result<void> MessageReader::append(std::string_view bytes) {
  buffer_.append(bytes);
  return check_head();
}

std::optional<std::string> MessageReader::next() {
  if (buffer_.size() < kHead || !check_head().ok()) return std::nullopt;
  const std::size_t end = kHead + length_of(buffer_);
  if (buffer_.size() < end) return std::nullopt;
  std::string message;
  if (buffer_.size() == end) {
    buffer_.erase(0, kHead);
    message.swap(buffer_);
  } else {
    message = buffer_.substr(kHead, end - kHead);
    buffer_.erase(0, end);
  }
  return message;
}

std::string decode_grpc_message(std::string_view text) {
  text = text.substr(0, kMaxMessageText);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) i += 2;
    const char c = low >= 0 ? static_cast<char>(high * 16 + low) : text[i];
    out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c);  // it goes into a log line
  }
  return out;
}

}  // namespace coxswain::store::etcd
