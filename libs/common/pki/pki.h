// The cluster's certificate authority and the certificates under it. ECDSA P-256, SHA-256.
//
// ensure_* load what is there and make what is missing, damaged, about to expire (30 days) or for
// other names. Files are written to a temporary name, synced and renamed: a crash leaves the old or
// the new file, never half of one. Keys have mode 0600. Not thread-safe per directory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libs/common/base/result.h"

namespace coxswain::pki {

// PEM paths of a certificate (with its chain) and its private key.
struct KeyPair {
  std::string certificate_path;
  std::string key_path;
};

struct CertificateRequest {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  bool server = false;  // extended key usage serverAuth
  bool client = false;  // clientAuth
};

// <dir>/ca.crt and <dir>/ca.key, valid for ten years.
Result<KeyPair> ensure_ca(const std::string& dir, std::int64_t now_unix_ms);
// <dir>/<name>.crt and .key, signed by `ca`, valid for a year.
Result<KeyPair> ensure_certificate(const std::string& dir, const std::string& name, const KeyPair& ca,
                                   const CertificateRequest& request, std::int64_t now_unix_ms);
// An EC key pair for signing service account tokens: <dir>/<name>.key and .pub.
Result<KeyPair> ensure_signing_key(const std::string& dir, const std::string& name);

// Whether a file must survive a power loss, or may be missing or damaged after one because it is then
// made again. A sync costs milliseconds, and a first start writes some twenty files.
enum class Durability { kSynced, kRemade };

// A whole file, written atomically with the given mode.
Result<void> write_file_atomic(const std::string& path, const std::string& bytes, int mode,
                               Durability durability = Durability::kSynced);
Result<std::string> read_file(const std::string& path);

}  // namespace coxswain::pki
