// The protocol without sockets: each row is fed whole, byte by byte and in two parts at every place,
// and must come out the same.
#include "libs/http/request_reader.h"

#include <catch2/catch.hpp>

#include "libs/http/gzip.h"

using namespace coxswain;
using namespace coxswain::http;

namespace {

using State = RequestReader::State;

constexpr ReaderLimits kLimits{512, 64};

// What a reader makes of a stream, as text: "GET /p?a=b [body] keep" per request, then the end.
std::string outcome(const std::vector<std::string_view>& pieces) {
  RequestReader reader(kLimits);
  std::string out;
  for (const std::string_view piece : pieces) {
    State state = reader.feed(piece);
    while (state == State::kRequest || state == State::kContinue) {
      if (state == State::kContinue) {
        out += "100; ";
        state = reader.step();
        continue;
      }
      const Request request = reader.take_request();
      out += request.method + " " + request.path;
      for (const auto& [name, value] : request.query) out += "?" + name + "=" + value;
      out += " [" + request.body + "]" + (reader.keep_alive() ? "" : " close") + "; ";
      reader.next();
      state = reader.buffered() > 0 ? reader.step() : State::kNeedMore;
    }
    if (state == State::kError) return out + std::to_string(reader.error_status());
  }
  return out + (reader.idle() ? "idle" : "more");
}

struct Row {
  std::string name;
  std::string bytes;
  std::string expected;
};

std::string post(const std::string& headers, const std::string& body) {
  return "POST /p HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n" + body;
}

std::vector<Row> good_rows() {
  return {
      {"nothing", "", "idle"},
      {"plain", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / []; idle"},
      {"half", "GET / HTTP/1.1\r\nHost:", "more"},
      {"query", "GET /a%2Fb?x=1&y=%20z+w&flag& HTTP/1.1\r\nHost: h\r\n\r\n",
       "GET /a%2Fb?x=1?y= z w?flag= []; idle"},
      {"absolute form", "GET http://h:1/a?b=c HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a?b=c []; idle"},
      {"absolute without path", "GET https://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET / []; idle"},
      {"1.0 closes", "GET / HTTP/1.0\r\n\r\n", "GET / [] close; idle"},
      {"1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / []; idle"},
      {"close", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET / [] close; idle"},
      {"length", post("Content-Length: 3\r\n", "abc"), "POST /p [abc]; idle"},
      {"length, short", post("Content-Length: 3\r\n", "ab"), "more"},
      {"chunked", post("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n"),
       "POST /p [abc]; idle"},
      {"chunked, trailer", post("Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\nX: y\r\n\r\n"),
       "POST /p [a]; idle"},
      {"Chunked in capitals", post("transfer-encoding: CHUNKED\r\n", "1\r\na\r\n0\r\n\r\n"),
       "POST /p [a]; idle"},
      {"pipelined", post("Content-Length: 1\r\n", "a") + "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
       "POST /p [a]; GET /2 []; idle"},
      {"body at the limit", post("Content-Length: 64\r\n", std::string(64, 'x')),
       "POST /p [" + std::string(64, 'x') + "]; idle"},
      {"header at the limit", "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(480, 'x') + "\r\n\r\n",
       "GET / []; idle"},
      {"own method", "FETCH / HTTP/1.1\r\nHost: h\r\n\r\n", "FETCH / []; idle"},
  };
}

std::vector<Row> bad_rows() {
  const std::string big(65, 'x');
  return {
      {"no HTTP", "hello\r\n\r\n", "400"},
      {"TLS to a plain port", std::string("\x16\x03\x01\x02\x00\x01\x00", 7), "400"},
      {"version", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", "400"},
      {"space before colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", "400"},
      {"control character", std::string("GET / HTTP/1.1\r\nHost: h\r\nA: \x01\r\n\r\n"), "400"},
      {"bad escape", "GET /?a=%4 HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"star", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"no host", "GET / HTTP/1.1\r\n\r\n", "400"},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
      {"length and chunked", post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"},
      {"chunked and length", post("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", "0\r\n\r\n"), "400"},
      {"two lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"), "400"},
      {"list of lengths", post("Content-Length: 1, 2\r\n", "ab"), "400"},
      {"negative length", post("Content-Length: -1\r\n", ""), "400"},
      {"length with plus", post("Content-Length: +1\r\n", "a"), "400"},
      {"huge length", post("Content-Length: 99999999999999999999999\r\n", ""), "400"},
      {"coding but chunked", post("Transfer-Encoding: gzip\r\n", "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"),
       "501"},
      {"coding before chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "501"},
      {"coding after chunked", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), "501"},
      {"chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
       "400"},
      {"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {"chunk size", post("Transfer-Encoding: chunked\r\n", "zz\r\n"), "400"},
      {"chunk size, negative", post("Transfer-Encoding: chunked\r\n", "-1\r\na\r\n0\r\n\r\n"), "400"},
      {"chunk size, huge", post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n"), "400"},
      {"chunk longer than said", post("Transfer-Encoding: chunked\r\n", "1\r\nabc\r\n0\r\n\r\n"), "400"},
      {"length too large", post("Content-Length: 65\r\n", ""), "413"},
      {"chunks too large",
       post("Transfer-Encoding: chunked\r\n",
            "20\r\n" + big.substr(0, 32) + "\r\n21\r\n" + big.substr(0, 33) + "\r\n0\r\n\r\n"),
       "413"},
      {"header too large", "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(600, 'x') + "\r\n\r\n", "431"},
      {"header one byte too large", "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(481, 'x') + "\r\n\r\n",
       "431"},
      {"endless header", "GET /" + std::string(600, 'x'), "431"},
      {"expectation", post("Expect: 200-ok\r\nContent-Length: 1\r\n", "a"), "417"},
      {"encoding", post("Content-Encoding: br\r\nContent-Length: 1\r\n", "a"), "415"},
      {"gzip, damaged", post("Content-Encoding: gzip\r\nContent-Length: 3\r\n", "abc"), "400"},
      {"second request bad", "GET / HTTP/1.1\r\nHost: h\r\n\r\nnonsense\r\n\r\n", "GET / []; 400"},
  };
}

void check_row(const Row& row) {
  INFO(row.name);
  const std::string_view bytes = row.bytes;
  CHECK(outcome({bytes}) == row.expected);
  std::vector<std::string_view> single;
  for (std::size_t i = 0; i < bytes.size(); ++i) single.push_back(bytes.substr(i, 1));
  CHECK(outcome(single) == row.expected);
  for (std::size_t i = 1; i < bytes.size(); ++i) {
    INFO("split at " << i);
    const std::string got = outcome({bytes.substr(0, i), bytes.substr(i)});
    CHECK(got == row.expected);
    if (got != row.expected) break;
  }
}

}  // namespace

TEST_CASE("requests are read however they are cut") {
  for (const Row& row : good_rows()) check_row(row);
}

TEST_CASE("bad requests are refused however they are cut") {
  for (const Row& row : bad_rows()) check_row(row);
}

TEST_CASE("bare line feeds never make a request") {
  const std::string bytes = "GET / HTTP/1.1\nHost: h\n\n";
  CHECK(outcome({bytes}) == "400");
  for (std::size_t i = 1; i < bytes.size(); ++i)
    CHECK(outcome({bytes.substr(0, i), bytes.substr(i)}).find("GET") == std::string::npos);
}

TEST_CASE("100 Continue is asked for once, and only while the body is missing") {
  const std::string head = post("Expect: 100-continue\r\nContent-Length: 3\r\n", "");
  CHECK(outcome({head}) == "100; more");
  CHECK(outcome({head, "ab", "c"}) == "100; POST /p [abc]; idle");
  CHECK(outcome({head + "abc"}) == "POST /p [abc]; idle");
  CHECK(outcome({post("Expect: 100-continue\r\nContent-Length: 9999\r\n", "")}) ==
        "413");  // before the body is sent
}

TEST_CASE("gzip bodies are inflated within the limit") {
  const auto request = [](const std::string& body) {
    const std::string packed = gzip(body, 9);
    return post("Content-Encoding: gzip\r\nContent-Length: " + std::to_string(packed.size()) + "\r\n",
                packed);
  };
  CHECK(outcome({request("hello")}) == "POST /p [hello]; idle");
  CHECK(outcome({request(std::string(64, 'x'))}) == "POST /p [" + std::string(64, 'x') + "]; idle");
  CHECK(outcome({request(std::string(100'000, '\0'))}) == "413");  // 130 bytes on the wire
}

TEST_CASE("bytes behind a complete request wait for next()") {
  RequestReader reader(kLimits);
  REQUIRE(reader.feed("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n") == State::kRequest);
  reader.feed_later("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(reader.take_request().path == "/1");
  reader.next();
  REQUIRE(reader.step() == State::kRequest);
  CHECK(reader.take_request().path == "/2");
}
