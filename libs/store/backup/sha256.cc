#include "libs/store/backup/sha256.h"

#include <openssl/evp.h>

#include "libs/common/base/check.h"

namespace coxswain::store {

struct Sha256::Context {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(digest); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  COX_CHECK(context_->digest != nullptr &&
            EVP_DigestInit_ex(context_->digest, EVP_sha256(), nullptr) == 1);  // only without memory
}

Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
  COX_CHECK(EVP_DigestUpdate(context_->digest, bytes.data(), bytes.size()) == 1);
}

std::string Sha256::finish() {
  std::string out(kBytes, '\0');
  unsigned size = 0;
  COX_CHECK(EVP_DigestFinal_ex(context_->digest, reinterpret_cast<unsigned char*>(out.data()), &size) == 1 &&
            size == kBytes);
  return out;
}

}  // namespace coxswain::store
