#include "libs/common/pki/pki.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

namespace coxswain::pki {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;

constexpr std::int64_t kDay_s = 24 * 3600;
constexpr std::int64_t kCaDays = 3650;
constexpr std::int64_t kLeafDays = 365;
constexpr std::int64_t kRenewDays = 30;
constexpr std::int64_t kBackdate_s = 3600;  // clocks of other machines may be behind

Error openssl_failed(const std::string& what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return make_error(ErrorCode::kInternal, what + ": " + (reason != nullptr ? reason : "OpenSSL error"));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

Result<std::string> key_pem(EVP_PKEY* key) {
  Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_failed("cannot encode a key");
  return text_of(bio.get());
}

Result<std::string> certificate_pem(X509* certificate) {
  Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return openssl_failed("cannot encode a certificate");
  return text_of(bio.get());
}

Key parse_key(const std::string& pem) {
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

Certificate parse_certificate(const std::string& pem) {
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

std::string alternative_names(const CertificateRequest& request) {
  std::string out;
  for (const std::string& name : request.dns_names) out += (out.empty() ? "DNS:" : ",DNS:") + name;
  for (const std::string& ip : request.ip_addresses) out += (out.empty() ? "IP:" : ",IP:") + ip;
  return out;
}

bool set_names(X509* certificate, const CertificateRequest& request) {
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto add = [name](const char* field, const std::string& value) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
  };
  for (const std::string& organization : request.organizations) {
    if (!add("O", organization)) return false;
  }
  return add("CN", request.common_name);
}

bool set_serial(X509* certificate) {
  std::unique_ptr<BIGNUM, Freer<BN_free>> serial(BN_new());
  return BN_rand(serial.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr;
}

void set_validity(X509* certificate, std::int64_t now_unix_ms, std::int64_t days) {
  const std::time_t now = static_cast<std::time_t>(now_unix_ms / 1000);
  ASN1_TIME_set(X509_getm_notBefore(certificate), now - kBackdate_s);
  ASN1_TIME_set(X509_getm_notAfter(certificate), now + days * kDay_s);
}

struct Issuer {
  X509* certificate = nullptr;  // null: self-signed
  EVP_PKEY* key = nullptr;
};

bool add_extensions(X509* certificate, X509* issuer, const CertificateRequest& request, bool is_ca) {
  bool good =
      add_extension(certificate, issuer, NID_basic_constraints,
                    is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
      add_extension(certificate, issuer, NID_key_usage,
                    is_ca ? "critical,keyCertSign,cRLSign,digitalSignature" : "critical,digitalSignature") &&
      add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
      add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always");
  if (request.server || request.client) {
    const char* usage = request.server && request.client ? "serverAuth,clientAuth"
                        : request.server                 ? "serverAuth"
                                                         : "clientAuth";
    good = good && add_extension(certificate, issuer, NID_ext_key_usage, usage);
  }
  const std::string names = alternative_names(request);
  return good && (names.empty() || add_extension(certificate, issuer, NID_subject_alt_name, names));
}

Result<Certificate> make_certificate(const CertificateRequest& request, EVP_PKEY* key, const Issuer& by,
                                     std::int64_t now_unix_ms) {
  const bool is_ca = by.certificate == nullptr;
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  set_validity(certificate.get(), now_unix_ms, is_ca ? kCaDays : kLeafDays);
  X509* issuer = is_ca ? certificate.get() : by.certificate;
  if (!set_serial(certificate.get()) || !set_names(certificate.get(), request) ||
      X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) != 1 ||
      X509_set_pubkey(certificate.get(), key) != 1 ||
      !add_extensions(certificate.get(), issuer, request, is_ca) ||
      X509_sign(certificate.get(), by.key, EVP_sha256()) == 0) {
    return openssl_failed("cannot make the certificate of " + request.common_name);
  }
  return certificate;
}

std::string names_in(X509* certificate) {
  std::string out;
  auto* names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  std::vector<std::string> found;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    const ASN1_STRING* text = name->type == GEN_DNS     ? name->d.dNSName
                              : name->type == GEN_IPADD ? name->d.iPAddress
                                                        : nullptr;
    if (text == nullptr) continue;
    found.push_back(std::string(name->type == GEN_DNS ? "D" : "I") +
                    std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                static_cast<std::size_t>(ASN1_STRING_length(text))));
  }
  GENERAL_NAMES_free(names);
  std::sort(found.begin(), found.end());
  for (const std::string& name : found) out += name + "\n";
  return out;
}

// The certificate on disk is good: of the same key and issuer, for the same names, not about to end.
bool is_current(X509* certificate, EVP_PKEY* key, X509* wanted, X509* issuer, std::int64_t now_unix_ms) {
  if (certificate == nullptr || key == nullptr) return false;
  std::time_t soon = static_cast<std::time_t>(now_unix_ms / 1000 + kRenewDays * kDay_s);
  std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>> issuer_key(X509_get_pubkey(issuer));
  return X509_check_private_key(certificate, key) == 1 &&
         X509_cmp_time(X509_get0_notAfter(certificate), &soon) > 0 &&
         X509_verify(certificate, issuer_key.get()) == 1 &&
         X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_subject_name(wanted)) == 0 &&
         names_in(certificate) == names_in(wanted);
}

Result<void> write_pair(const KeyPair& paths, EVP_PKEY* key, X509* certificate, Durability durability) {
  COX_ASSIGN_OR_RETURN(const std::string key_text, key_pem(key));
  COX_ASSIGN_OR_RETURN(const std::string certificate_text, certificate_pem(certificate));
  // The key first: a certificate without its key would be taken for damaged and made again.
  COX_RETURN_IF_ERROR(write_file_atomic(paths.key_path, key_text, 0600, durability));
  return write_file_atomic(paths.certificate_path, certificate_text, 0644, durability);
}

Result<void> make_directory(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return make_error(ErrorCode::kIo, "cannot create " + dir + ": " + error.message());
  std::filesystem::permissions(dir, std::filesystem::perms::owner_all, error);
  return {};
}

}  // namespace

Result<KeyPair> ensure_ca(const std::string& dir, std::int64_t now_unix_ms) {
  COX_RETURN_IF_ERROR(make_directory(dir));
  const KeyPair paths{dir + "/ca.crt", dir + "/ca.key"};
  const bool have_certificate = std::filesystem::exists(paths.certificate_path);
  const bool have_key = std::filesystem::exists(paths.key_path);
  if (have_certificate && have_key) {
    COX_ASSIGN_OR_RETURN(const std::string certificate_text, read_file(paths.certificate_path));
    COX_ASSIGN_OR_RETURN(const std::string key_text, read_file(paths.key_path));
    const Certificate certificate = parse_certificate(certificate_text);
    const Key key = parse_key(key_text);
    if (certificate != nullptr && key != nullptr && X509_check_private_key(certificate.get(), key.get()) == 1)
      return paths;
    return make_error(ErrorCode::kCorruption,
                      "the cluster CA in " + dir +
                          " is damaged: restore ca.crt and ca.key from a backup, "
                          "or remove both to make a new CA (all clients then need new certificates)");
  }
  if (have_certificate) {
    return make_error(ErrorCode::kNotFound,
                      paths.key_path + " is missing: restore it, or remove ca.crt to make a new CA");
  }
  const Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return openssl_failed("cannot make a key");
  CertificateRequest request;
  request.common_name = "coxswain-ca";
  COX_ASSIGN_OR_RETURN(const Certificate certificate,
                       make_certificate(request, key.get(), {nullptr, key.get()}, now_unix_ms));
  COX_RETURN_IF_ERROR(write_pair(paths, key.get(), certificate.get(), Durability::kSynced));
  return paths;
}

Result<KeyPair> ensure_certificate(const std::string& dir, const std::string& name, const KeyPair& ca,
                                   const CertificateRequest& request, std::int64_t now_unix_ms) {
  COX_RETURN_IF_ERROR(make_directory(dir));
  COX_ASSIGN_OR_RETURN(const std::string ca_text, read_file(ca.certificate_path));
  COX_ASSIGN_OR_RETURN(const std::string ca_key_text, read_file(ca.key_path));
  const Certificate ca_certificate = parse_certificate(ca_text);
  const Key ca_key = parse_key(ca_key_text);
  if (ca_certificate == nullptr || ca_key == nullptr)
    return make_error(ErrorCode::kCorruption, "the CA " + ca.certificate_path + " is damaged");
  const KeyPair paths{dir + "/" + name + ".crt", dir + "/" + name + ".key"};
  Key key;
  if (auto text = read_file(paths.key_path); text.ok()) key = parse_key(*text);
  const bool had_key = key != nullptr;
  if (!had_key) key.reset(EVP_EC_gen("P-256"));
  if (key == nullptr) return openssl_failed("cannot make a key");
  COX_ASSIGN_OR_RETURN(
      const Certificate wanted,
      make_certificate(request, key.get(), {ca_certificate.get(), ca_key.get()}, now_unix_ms));
  if (had_key) {
    if (auto text = read_file(paths.certificate_path); text.ok()) {
      const Certificate present = parse_certificate(*text);
      if (is_current(present.get(), key.get(), wanted.get(), ca_certificate.get(), now_unix_ms)) return paths;
    }
  }
  ERR_clear_error();
  COX_RETURN_IF_ERROR(write_pair(paths, key.get(), wanted.get(), Durability::kRemade));
  return paths;
}

Result<KeyPair> ensure_signing_key(const std::string& dir, const std::string& name) {
  COX_RETURN_IF_ERROR(make_directory(dir));
  const KeyPair paths{dir + "/" + name + ".pub", dir + "/" + name + ".key"};
  Key key;
  if (auto text = read_file(paths.key_path); text.ok()) {
    key = parse_key(*text);
    if (key == nullptr)
      return make_error(ErrorCode::kCorruption,
                        paths.key_path + " is damaged: restore it, or remove it to make a new one");
  }
  if (key == nullptr) {
    key.reset(EVP_EC_gen("P-256"));
    if (key == nullptr) return openssl_failed("cannot make a key");
    COX_ASSIGN_OR_RETURN(const std::string text, key_pem(key.get()));
    COX_RETURN_IF_ERROR(write_file_atomic(paths.key_path, text, 0600));
  }
  Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PUBKEY(bio.get(), key.get()) != 1) return openssl_failed("cannot encode a public key");
  COX_RETURN_IF_ERROR(write_file_atomic(paths.certificate_path, text_of(bio.get()), 0644));
  return paths;
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return make_error(ErrorCode::kNotFound, "cannot read " + path + ": " + std::strerror(errno));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Result<void> write_file_atomic(const std::string& path, const std::string& bytes, int mode,
                               Durability durability) {
  const auto failed = [&path](int fd) {
    const Error error = make_error(ErrorCode::kIo, "cannot write " + path + ": " + std::strerror(errno));
    if (fd >= 0) ::close(fd);
    return error;
  };
  const std::string temporary = path + ".tmp";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return failed(fd);
  if (::fchmod(fd, static_cast<mode_t>(mode)) != 0) return failed(fd);
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::write(fd, bytes.data() + at, bytes.size() - at);
    if (n < 0) return failed(fd);
    at += static_cast<std::size_t>(n);
  }
  const bool synced = durability == Durability::kSynced;
  if (synced && ::fsync(fd) != 0) return failed(fd);
  if (::close(fd) != 0) return failed(-1);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failed(-1);
  if (!synced) return {};
  const std::string parent = std::filesystem::path(path).parent_path();
  const int dir = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    ::fsync(dir);
    ::close(dir);
  }
  return {};
}

}  // namespace coxswain::pki
