// Requests off the wire. Besides not crashing: however the bytes are cut, the same requests come out of
// them, within the limits. (When a bad one is noticed may depend on the cut: a header is judged as soon as
// it is all there.) The first byte says how they are cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "libs/http/request_reader.h"

using coxswain::http::ReaderLimits;
using coxswain::http::RequestReader;
using State = RequestReader::State;

namespace {

constexpr ReaderLimits kLimits{1024, 256};

void require(bool condition) {
  if (!condition) std::abort();
}

// False when the stream has ended in an error.
bool take(RequestReader& reader, State state, std::string& out) {
  while (state == State::kRequest || state == State::kContinue) {
    if (state == State::kContinue) {
      state = reader.step();
      continue;
    }
    const auto request = reader.take_request();
    require(request.body.size() <= kLimits.max_body_bytes);
    require(!request.path.empty() && request.path[0] == '/' && !request.method.empty());
    out += request.method + ' ' + request.path + '\n';
    for (const auto& [name, value] : request.query) out += '?' + name + '=' + value + '\n';
    for (const auto& [name, value] : request.headers) out += name + ':' + value + '\n';
    out += request.body + (reader.keep_alive() ? "\nkeep\n" : "\nclose\n");
    reader.next();
    state = reader.buffered() > 0 ? reader.step() : State::kNeedMore;
  }
  if (state == State::kError) {
    require(reader.error_status() >= 400 && reader.error_status() < 600 && !reader.keep_alive());
    return false;
  }
  return true;
}

std::string read(std::string_view bytes, std::size_t step) {
  RequestReader reader(kLimits);
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    if (!take(reader, reader.feed(bytes.substr(at, step)), out)) break;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  require(read(bytes, 1 + data[0] % 64) == read(bytes, bytes.size() + 1));
  return 0;
}
