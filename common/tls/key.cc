#include "common/tls/key.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "common/base/status_macros.h"
#include "common/tls/digest.h"
#include "common/tls/pem.h"

namespace waggle::tls {
namespace {

constexpr char kField[] = "private key";

// SubjectPublicKeyInfo up to the key's own bytes: algorithm, curve, length (RFC 5480, RFC 8410).
constexpr std::string_view kP256Head(
    "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"
    "\x04",
    27);
constexpr std::size_t kP256Bytes = 64;
constexpr std::string_view kEd25519Head("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", 12);
constexpr std::size_t kEd25519Bytes = 32;

bool IsP256(std::string_view der) {
  return der.starts_with(kP256Head) && der.size() == kP256Head.size() + kP256Bytes;
}

bool IsEd25519(std::string_view der) {
  return der.starts_with(kEd25519Head) && der.size() == kEd25519Head.size() + kEd25519Bytes;
}

// The public half is on the curve and belongs to the private one.
bool IsWhole(EVP_PKEY* key) {
  std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>> check(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  return check && EVP_PKEY_check(check.get()) == 1;
}

}  // namespace

absl::StatusOr<Key> Key::Generate() {
  CleanErrors clean;
  KeyHandle handle(EVP_EC_gen("P-256"));
  if (!handle) return OpensslFailed("cannot make a private key");
  const std::string spki = ToDer<EVP_PKEY>(i2d_PUBKEY, handle.get());
  if (!IsP256(spki)) return OpensslFailed("cannot write a new public key");
  return Key(std::move(handle), Sha256Hex(spki));
}

absl::StatusOr<Key> Key::FromPem(std::string_view pem) {
  CleanErrors clean;
  ASSIGN_OR_RETURN(std::string der, tls::FromPem(kField, "PRIVATE KEY", pem));
  using Pkcs8 = std::unique_ptr<PKCS8_PRIV_KEY_INFO, Free<PKCS8_PRIV_KEY_INFO_free>>;
  auto info = FromDer<Pkcs8>(d2i_PKCS8_PRIV_KEY_INFO, der, kField);
  OPENSSL_cleanse(der.data(), der.size());
  if (!info.ok()) return info.status();
  KeyHandle handle(EVP_PKCS82PKEY(info->get()));
  if (!handle) return BadInput(std::string(kField) + ": cannot be read");
  const std::string spki = ToDer<EVP_PKEY>(i2d_PUBKEY, handle.get());
  if (!IsP256(spki))
    return absl::InvalidArgumentError(std::string(kField) +
                                      ": is not on the curve P-256; let Waggle make a new one");
  if (!IsWhole(handle.get())) return BadInput(std::string(kField) + ": is damaged");
  return Key(std::move(handle), Sha256Hex(spki));
}

absl::StatusOr<std::string> Key::ToPem() const {
  CleanErrors clean;
  return WritePem(kField, [this](BIO* out) {
    return PEM_write_bio_PKCS8PrivateKey(out, handle_.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

absl::StatusOr<KeyId> KeyIdOf(const X509_PUBKEY* key, const std::string& field) {
  const std::string der = ToDer<X509_PUBKEY>(i2d_X509_PUBKEY, key);
  if (der.empty()) return BadInput(field + ": its key cannot be read");
  return Sha256Hex(der);
}

absl::StatusOr<KeyId> IdentityOf(const X509_PUBKEY* key, const std::string& field) {
  const std::string der = ToDer<X509_PUBKEY>(i2d_X509_PUBKEY, key);
  if (!IsP256(der) && !IsEd25519(der))
    return absl::InvalidArgumentError(field +
                                      ": its key is neither P-256 nor Ed25519; make one of these kinds");
  return Sha256Hex(der);
}

}  // namespace waggle::tls
