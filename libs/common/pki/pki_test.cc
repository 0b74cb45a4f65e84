#include "libs/common/pki/pki.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <catch2/catch.hpp>

using namespace coxswain;

namespace {

constexpr std::int64_t kNow_ms = 1'790'000'000'000;
constexpr std::int64_t kDay_ms = 24LL * 3600 * 1000;

struct TempDir {
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "coxswain-pki-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string path;
};

pki::CertificateRequest server_request() {
  pki::CertificateRequest request;
  request.common_name = "kube-apiserver";
  request.dns_names = {"localhost", "kubernetes.default.svc"};
  request.ip_addresses = {"127.0.0.1", "10.96.0.1"};
  request.server = true;
  return request;
}

}  // namespace

TEST_CASE("certificates are made once and kept") {
  TempDir dir;
  const auto ca = pki::ensure_ca(dir.path, kNow_ms);
  REQUIRE(ca.ok());
  const auto made = pki::ensure_certificate(dir.path, "apiserver", *ca, server_request(), kNow_ms);
  REQUIRE(made.ok());
  const std::string first = *pki::read_file(made->certificate_path);
  REQUIRE(pki::ensure_ca(dir.path, kNow_ms).ok());
  REQUIRE(pki::ensure_certificate(dir.path, "apiserver", *ca, server_request(), kNow_ms + kDay_ms).ok());
  CHECK(*pki::read_file(made->certificate_path) == first);
  struct stat info {};
  REQUIRE(stat(made->key_path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("a certificate is made again when it must be") {
  TempDir dir;
  const auto ca = pki::ensure_ca(dir.path, kNow_ms);
  const auto made = pki::ensure_certificate(dir.path, "apiserver", *ca, server_request(), kNow_ms);
  const std::string first = *pki::read_file(made->certificate_path);

  SECTION("close to its end") {
    REQUIRE(
        pki::ensure_certificate(dir.path, "apiserver", *ca, server_request(), kNow_ms + 340 * kDay_ms).ok());
  }
  SECTION("other names") {
    auto request = server_request();
    request.ip_addresses.push_back("192.0.2.1");
    REQUIRE(pki::ensure_certificate(dir.path, "apiserver", *ca, request, kNow_ms).ok());
  }
  SECTION("a damaged file") {
    REQUIRE(pki::write_file_atomic(made->certificate_path, "junk", 0644).ok());
    REQUIRE(pki::ensure_certificate(dir.path, "apiserver", *ca, server_request(), kNow_ms).ok());
  }
  SECTION("a lost key") {
    std::filesystem::remove(made->key_path);
    REQUIRE(pki::ensure_certificate(dir.path, "apiserver", *ca, server_request(), kNow_ms).ok());
  }
  CHECK(*pki::read_file(made->certificate_path) != first);
  CHECK(pki::read_file(made->certificate_path)->find("BEGIN CERTIFICATE") != std::string::npos);
}

TEST_CASE("a damaged CA is refused, never replaced behind the user's back") {
  TempDir dir;
  const auto ca = pki::ensure_ca(dir.path, kNow_ms);
  SECTION("damaged") { REQUIRE(pki::write_file_atomic(ca->certificate_path, "junk", 0644).ok()); }
  SECTION("key lost") { std::filesystem::remove(ca->key_path); }
  CHECK_FALSE(pki::ensure_ca(dir.path, kNow_ms).ok());
}

TEST_CASE("signing keys survive restarts") {
  TempDir dir;
  const auto pair = pki::ensure_signing_key(dir.path, "sa");
  REQUIRE(pair.ok());
  const std::string key = *pki::read_file(pair->key_path);
  REQUIRE(pki::ensure_signing_key(dir.path, "sa").ok());
  CHECK(*pki::read_file(pair->key_path) == key);
}
