#include "libs/common/pki/pki.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
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

X509* read_certificate(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  REQUIRE(file != nullptr);
  X509* certificate = PEM_read_X509(file, nullptr, nullptr, nullptr);
  std::fclose(file);
  REQUIRE(certificate != nullptr);
  return certificate;
}

// What `openssl verify -purpose` says at a time: X509_V_OK or why not.
int verify(const std::string& ca_path, const std::string& path, int purpose, std::int64_t at_unix_ms) {
  X509* ca = read_certificate(ca_path);
  X509* certificate = read_certificate(path);
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, ca);
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, certificate, nullptr);
  X509_STORE_CTX_set_purpose(context, purpose);
  X509_STORE_CTX_set_time(context, 0, static_cast<std::time_t>(at_unix_ms / 1000));
  X509_verify_cert(context);
  const int result = X509_STORE_CTX_get_error(context);
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  X509_free(certificate);
  X509_free(ca);
  return result;
}

}  // namespace

TEST_CASE("OpenSSL agrees: chain, purpose, time and names") {
  TempDir dir, other_dir;
  const auto ca = pki::ensure_ca(dir.path, kNow_ms);
  const auto other = pki::ensure_ca(other_dir.path, kNow_ms);
  const auto server = pki::ensure_certificate(dir.path, "apiserver", *ca, server_request(), kNow_ms);
  pki::CertificateRequest admin;
  admin.common_name = "kubernetes-admin";
  admin.organizations = {"system:masters"};
  admin.client = true;
  const auto client = pki::ensure_certificate(dir.path, "admin", *ca, admin, kNow_ms);
  struct Row {
    std::string ca;
    std::string certificate;
    int purpose;
    std::int64_t days;
    int expected;
  };
  const Row rows[] = {
      {ca->certificate_path, server->certificate_path, X509_PURPOSE_SSL_SERVER, 0, X509_V_OK},
      {ca->certificate_path, client->certificate_path, X509_PURPOSE_SSL_CLIENT, 0, X509_V_OK},
      {ca->certificate_path, server->certificate_path, X509_PURPOSE_SSL_SERVER, 364, X509_V_OK},
      {ca->certificate_path, server->certificate_path, X509_PURPOSE_SSL_SERVER, 366,
       X509_V_ERR_CERT_HAS_EXPIRED},
      {ca->certificate_path, server->certificate_path, X509_PURPOSE_SSL_SERVER, -1,
       X509_V_ERR_CERT_NOT_YET_VALID},
      {ca->certificate_path, server->certificate_path, X509_PURPOSE_SSL_CLIENT, 0,
       X509_V_ERR_INVALID_PURPOSE},
      {ca->certificate_path, client->certificate_path, X509_PURPOSE_SSL_SERVER, 0,
       X509_V_ERR_INVALID_PURPOSE},
      {other->certificate_path, client->certificate_path, X509_PURPOSE_SSL_CLIENT, 0,
       X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
  };
  for (const Row& row : rows) {
    INFO(row.certificate << " purpose " << row.purpose << " day " << row.days);
    CHECK(verify(row.ca, row.certificate, row.purpose, kNow_ms + row.days * kDay_ms) == row.expected);
  }
  X509* certificate = read_certificate(server->certificate_path);
  CHECK(X509_check_ip_asc(certificate, "10.96.0.1", 0) == 1);
  CHECK(X509_check_ip_asc(certificate, "10.96.0.2", 0) == 0);
  CHECK(X509_check_host(certificate, "kubernetes.default.svc", 0, 0, nullptr) == 1);
  CHECK(X509_check_host(certificate, "example.org", 0, 0, nullptr) == 0);
  X509_free(certificate);
}

TEST_CASE("a start that was cut short is finished by the next") {
  TempDir dir;
  auto ca = pki::ensure_ca(dir.path, kNow_ms);
  SECTION("the CA's key without its certificate") {
    std::filesystem::remove(ca->certificate_path);
    ca = pki::ensure_ca(dir.path, kNow_ms);
  }
  SECTION("a leaf's key without its certificate, and a half-written temporary file") {
    const auto made = pki::ensure_certificate(dir.path, "apiserver", *ca, server_request(), kNow_ms);
    std::filesystem::remove(made->certificate_path);
    REQUIRE(pki::write_file_atomic(made->certificate_path + ".tmp", "half", 0644).ok());
  }
  SECTION("a leaf whose bytes were lost") {
    const auto made = pki::ensure_certificate(dir.path, "apiserver", *ca, server_request(), kNow_ms);
    REQUIRE(pki::write_file_atomic(made->certificate_path, "", 0644).ok());
    REQUIRE(pki::write_file_atomic(made->key_path, "", 0600).ok());
  }
  REQUIRE(ca.ok());
  const auto made = pki::ensure_certificate(dir.path, "apiserver", *ca, server_request(), kNow_ms);
  REQUIRE(made.ok());
  CHECK(verify(ca->certificate_path, made->certificate_path, X509_PURPOSE_SSL_SERVER, kNow_ms) == X509_V_OK);
}

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
