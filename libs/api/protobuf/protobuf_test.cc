#include "libs/api/protobuf/protobuf.h"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>

using namespace coxswain;
namespace fs = std::filesystem;

namespace {

const fs::path kSamples = "libs/api/protobuf/testdata";

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Where two documents differ first, for a message that helps.
std::string difference(const json::Value& a, const json::Value& b, const std::string& path) {
  if (a == b) return "";
  if (a.is_object() && b.is_object()) {
    for (const auto& [key, value] : a.as_object()) {
      const json::Value* other = b.find(key);
      if (other == nullptr) return path + "." + key + ": only in the first: " + json::write(value);
      if (auto d = difference(value, *other, path + "." + key); !d.empty()) return d;
    }
    for (const auto& [key, value] : b.as_object()) {
      if (a.find(key) == nullptr) return path + "." + key + ": only in the second: " + json::write(value);
    }
  }
  if (a.is_array() && b.is_array() && a.as_array().size() == b.as_array().size()) {
    for (std::size_t i = 0; i < a.as_array().size(); ++i) {
      if (auto d = difference(a.as_array()[i], b.as_array()[i], path + "[" + std::to_string(i) + "]");
          !d.empty())
        return d;
    }
  }
  return path + ": " + json::write(a) + " != " + json::write(b);
}

std::string varint(std::size_t n) {
  std::string out;
  for (; n >= 128; n >>= 7) out += static_cast<char>((n & 0x7f) | 0x80);
  return out + static_cast<char>(n);
}

std::string bytes_field(unsigned number, const std::string& body) {
  return varint(number << 3 | 2) + varint(body.size()) + body;
}

std::string envelope(const std::string& api_version, const std::string& kind, const std::string& raw) {
  const std::string meta = bytes_field(1, api_version) + bytes_field(2, kind);
  return std::string("k8s\0", 4) + bytes_field(1, meta) + bytes_field(2, raw);
}

std::string data_entry(const std::string& key, const std::string& value) {
  return bytes_field(2, bytes_field(1, key) + bytes_field(2, value));
}

std::string error_of(const std::string& body) {
  const auto decoded = api::protobuf::decode(body);
  return decoded.ok() ? "" : decoded.error().message;
}

}  // namespace

TEST_CASE("every sample object decodes to its JSON") {
  int samples = 0;
  for (const auto& entry : fs::directory_iterator(kSamples)) {
    if (entry.path().extension() != ".pb") continue;
    ++samples;
    INFO(entry.path().filename().string());
    const auto decoded = api::protobuf::decode(read_file(entry.path()));
    if (!decoded.ok()) FAIL_CHECK(decoded.error().message);
    if (!decoded.ok()) continue;
    const auto expected = json::parse(read_file(fs::path(entry.path()).replace_extension(".json")));
    REQUIRE(expected.ok());
    CHECK(difference(decoded->value, *expected, "") == "");
  }
  CHECK(samples == 65);  // Eviction, the 66th, has no protobuf sample
}

TEST_CASE("damaged bodies are refused with a position, never read past the end") {
  const std::string pod = read_file(kSamples / "core.v1.Pod.pb");
  for (std::size_t size = 0; size < pod.size(); size += 7) {
    const std::string cut(pod.data(), size);
    const auto decoded = api::protobuf::decode(cut);
    if (!decoded.ok()) CHECK(decoded.error().message.find("protobuf:") == 0);
  }
  CHECK_FALSE(api::protobuf::decode("").ok());
  CHECK_FALSE(api::protobuf::decode("{}").ok());
  CHECK_FALSE(api::protobuf::decode(std::string("k8s\0\x0a\xff", 6)).ok());
  for (std::size_t at = 4; at < pod.size(); at += 11) {
    std::string flipped = pod;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x41);
    static_cast<void>(api::protobuf::decode(flipped));  // must come back; the sanitizers watch
  }
}

TEST_CASE("an unknown kind is named") {
  std::string body("k8s\0", 4);
  body += std::string("\x0a\x0b\x0a\x02v1\x12\x05Thing", 13);
  const auto decoded = api::protobuf::decode(body);
  REQUIRE_FALSE(decoded.ok());
  CHECK(decoded.error().message.find("Thing") != std::string::npos);
}

// A 0.5 MB body of objects in objects once overflowed the stack: each envelope began at depth 0.
TEST_CASE("objects inside objects share one depth limit") {
  for (const int levels : {10, 100, 3'000}) {
    std::string body = envelope("apps/v1", "ControllerRevision", "");
    for (int i = 0; i < levels; ++i)
      body = envelope("apps/v1", "ControllerRevision", bytes_field(2, bytes_field(1, body)));
    INFO(levels);
    if (levels == 10)
      CHECK(error_of(body) == "");
    else
      CHECK(error_of(body).find("nested too deeply") != std::string::npos);
  }
  const std::string deep(100, '[');
  CHECK(error_of(envelope("apps/v1", "ControllerRevision",
                          bytes_field(2, bytes_field(1, deep + std::string(100, ']'))))) != "");
}

TEST_CASE("text that is not UTF-8 is refused, as it could not be read back") {
  for (const char* bad : {"x\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    INFO(bad);
    CHECK(error_of(envelope("v1", "ConfigMap", bytes_field(1, bytes_field(1, bad)))).find("UTF-8") !=
          std::string::npos);
    CHECK(error_of(envelope("v1", "ConfigMap", data_entry(bad, "v"))).find("UTF-8") != std::string::npos);
    CHECK(error_of(envelope("v1", "ConfigMap", data_entry("k", bad))) != "");
  }
  CHECK(error_of(envelope("v1", "ConfigMap", data_entry("k", "\xf0\x9f\x98\x80 \xc3\xa9"))) == "");
}

TEST_CASE("maps keep the last entry of a key, in time that does not grow with its square") {
  std::string raw = data_entry("a", "1") + data_entry("b", "2") + data_entry("a", "3");
  const auto decoded = api::protobuf::decode(envelope("v1", "ConfigMap", raw));
  REQUIRE(decoded.ok());
  CHECK(json::write(*decoded->value.find("data")) == R"({"b":"2","a":"3"})");
  raw.clear();
  for (int i = 0; i < 250'000; ++i) raw += data_entry(std::to_string(i), "");
  const auto large = api::protobuf::decode(envelope("v1", "ConfigMap", raw));  // once took a minute
  REQUIRE(large.ok());
  CHECK(large->value.find("data")->as_object().size() == 250'000);
}

TEST_CASE("a small body cannot ask for a mountain of values") {
  std::string containers;
  for (int i = 0; i < 600'000; ++i) containers += bytes_field(2, "");
  CHECK(error_of(envelope("v1", "Pod", bytes_field(2, containers))).find("more than") != std::string::npos);
}

TEST_CASE("a field of the wrong wire type is refused") {
  const std::string name = bytes_field(1, bytes_field(1, "name"));
  const std::string fixed64("\x19\1\2\3\4\5\6\7\x08", 9);  // Secret.type = 3, a string
  CHECK(error_of(envelope("v1", "Secret", name + fixed64)).find("wrong wire type") != std::string::npos);
}
