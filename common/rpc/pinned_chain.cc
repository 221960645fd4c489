#include "common/rpc/pinned_chain.h"

#include <arpa/inet.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::rpc {
namespace {

struct Free {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
  void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
  void operator()(unsigned char* data) const { OPENSSL_free(data); }
};

// SHA-256 of the SubjectPublicKeyInfo as 64 hex digits, "" if it cannot be encoded.
std::string PinOf(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) return "";
  const std::unique_ptr<unsigned char, Free> owned(der);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(der, static_cast<std::size_t>(size), digest);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), sizeof digest));
}

bool IsAddress(const std::string& host) {
  unsigned char ignored[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, host.c_str(), ignored) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), ignored) == 1;
}

absl::Status Fault(int error, int depth, const std::string& host) {
  const std::string whose = depth == 0 ? "the server's certificate" : "the certificate of the server's CA";
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return absl::FailedPreconditionError(
          absl::StrCat(whose, " has expired: renew it at the server, or check this host's clock"));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return absl::FailedPreconditionError(
          absl::StrCat(whose, " is not valid yet: check the clocks of this host and of the server"));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return absl::FailedPreconditionError(
          absl::StrCat("the server's certificate has the wrong name: it does not name ", host,
                       ": use a name it was made for, or add this one at the server"));
    default:
      return absl::FailedPreconditionError(
          absl::StrCat(whose, " is not good: ", X509_verify_cert_error_string(error),
                       ": look at the certificates of the server"));
  }
}

}  // namespace

absl::Status CheckPinnedChain(X509_STORE_CTX* sent, std::string_view pin, const std::string& host) {
  X509* leaf = X509_STORE_CTX_get0_cert(sent);
  STACK_OF(X509)* chain = X509_STORE_CTX_get0_untrusted(sent);
  if (leaf == nullptr || chain == nullptr || sk_X509_num(chain) == 0)
    return absl::FailedPreconditionError("the server sent no certificate");
  X509* ca = sk_X509_value(chain, sk_X509_num(chain) - 1);
  const std::string got = PinOf(ca);
  if (got != pin) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the server's certificate does not match the pin: expected ", std::string(pin), ", got ", got,
        ": nothing was sent; check that this is the right server, then ask its operator for the pin"));
  }
  if (X509_check_ca(ca) != 1)
    return absl::FailedPreconditionError(
        "the last certificate of the server has the pin, but it is no CA certificate");

  const std::unique_ptr<X509_STORE, Free> store(X509_STORE_new());
  const std::unique_ptr<X509_STORE_CTX, Free> check(X509_STORE_CTX_new());
  if (store == nullptr || check == nullptr || X509_STORE_add_cert(store.get(), ca) != 1 ||
      X509_STORE_CTX_init(check.get(), store.get(), leaf, nullptr) != 1)
    return absl::ResourceExhaustedError("no memory to check the server's certificate");
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(check.get());
  // Partial chain: the pinned CA is the anchor, whoever may have signed it. No subject: names are SANs.
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  X509_STORE_CTX_set_purpose(check.get(), X509_PURPOSE_SSL_SERVER);
  const bool named = IsAddress(host) ? X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1
                                     : X509_VERIFY_PARAM_set1_host(param, host.data(), host.size()) == 1;
  if (!named) return absl::InvalidArgumentError(absl::StrCat(host, " is no name a certificate can have"));
  if (X509_verify_cert(check.get()) == 1) return absl::OkStatus();
  return Fault(X509_STORE_CTX_get_error(check.get()), X509_STORE_CTX_get_error_depth(check.get()), host);
}

}  // namespace waggle::rpc
