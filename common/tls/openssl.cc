#include "common/tls/openssl.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "absl/strings/str_cat.h"

namespace waggle::tls {
namespace {

// The first error is the cause; later ones say who noticed it.
std::string WithReason(const std::string& what) {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason == nullptr ? what : absl::StrCat(what, ": ", reason);
}

}  // namespace

void FreeHandle::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}

void FreeHandle::operator()(x509_st* certificate) const {
  X509_free(certificate);
}

CleanErrors::CleanErrors() {
  ERR_clear_error();
}

CleanErrors::~CleanErrors() {
  ERR_clear_error();
}

absl::Status BadInput(const std::string& what) {
  return absl::InvalidArgumentError(WithReason(what));
}

absl::Status OpensslFailed(const std::string& what) {
  return absl::InternalError(WithReason(what));
}

}  // namespace waggle::tls
