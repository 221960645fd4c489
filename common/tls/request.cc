#include "common/tls/request.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "common/base/status_macros.h"
#include "common/tls/pem.h"

namespace waggle::tls {
namespace {

constexpr char kField[] = "certificate request";

using RequestHandle = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;

}  // namespace

absl::StatusOr<std::string> MakeRequest(const Key& key) {
  CleanErrors clean;
  RequestHandle request(X509_REQ_new());
  const bool made = request && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
                    X509_REQ_set_pubkey(request.get(), key.handle()) == 1 &&
                    X509_REQ_sign(request.get(), key.handle(), EVP_sha256()) > 0;
  if (!made) return OpensslFailed("cannot make a certificate request");
  return WritePem(kField, [&](BIO* out) { return PEM_write_bio_X509_REQ(out, request.get()); });
}

absl::StatusOr<Request> Request::FromPem(std::string_view pem) {
  CleanErrors clean;
  ASSIGN_OR_RETURN(std::string der, tls::FromPem(kField, "CERTIFICATE REQUEST", pem));
  ASSIGN_OR_RETURN(RequestHandle request, FromDer<RequestHandle>(d2i_X509_REQ, der, kField));
  // The kind first: to check the signature of an RSA key of a stranger's choice can be made to take long.
  ASSIGN_OR_RETURN(KeyId id, IdentityOf(X509_REQ_get_X509_PUBKEY(request.get()), kField));
  KeyHandle key(X509_REQ_get_pubkey(request.get()));
  if (!key) return BadInput(std::string(kField) + ": its key is damaged");
  if (X509_REQ_verify(request.get(), key.get()) != 1)
    return BadInput(std::string(kField) + ": is not signed by the key it asks a certificate for");
  return Request(std::move(key), std::move(id));
}

}  // namespace waggle::tls
