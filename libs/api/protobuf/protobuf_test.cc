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
      if (auto d = difference(a.as_array()[i], b.as_array()[i], path + "[" + std::to_string(i) + "]"); !d.empty()) return d;
    }
  }
  return path + ": " + json::write(a) + " != " + json::write(b);
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
