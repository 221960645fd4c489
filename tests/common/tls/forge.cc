#include "tests/common/tls/forge.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>

namespace waggle::tls::test {
namespace {

void Must(bool fine, const char* what) {
  if (fine) return;
  std::fprintf(stderr, "the test itself failed: %s\n", what);
  ERR_print_errors_fp(stderr);
  std::abort();
}

template <typename T>
T Value(absl::StatusOr<T> made) {
  if (!made.ok()) std::fprintf(stderr, "%s\n", made.status().ToString().c_str());
  Must(made.ok(), "a good object was refused");
  return *std::move(made);
}

template <typename Write>
std::string Pem(Write&& write) {
  std::unique_ptr<BIO, Free<BIO_free>> memory(BIO_new(BIO_s_mem()));
  Must(write(memory.get()) == 1, "PEM");
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

KeyHandle Made(EVP_PKEY* key) {
  Must(key != nullptr, "a key");
  return KeyHandle(key);
}

const EVP_MD* DigestOf(EVP_PKEY* key) {
  return EVP_PKEY_is_a(key, "ED25519") == 1 ? nullptr : EVP_sha256();
}

CertificateHandle Draft(EVP_PKEY* key, std::string_view name) {
  CertificateHandle x(X509_new());
  Must(X509_set_version(x.get(), X509_VERSION_3) == 1, "version");
  Must(ASN1_INTEGER_set(X509_get_serialNumber(x.get()), 77) == 1, "serial");
  Must(X509_set_pubkey(x.get(), key) == 1, "key");
  if (!name.empty()) SetSubject(X509_get_subject_name(x.get()), "CN", name);
  Must(ASN1_TIME_set(X509_getm_notBefore(x.get()), kNow / 1000 - 60) != nullptr, "time");
  Must(ASN1_TIME_set(X509_getm_notAfter(x.get()), kNow / 1000 + 3600) != nullptr, "time");
  return x;
}

std::string Sign(X509* x, EVP_PKEY* signer) {
  Must(X509_sign(x, signer, DigestOf(signer)) > 0, "sign");
  return Pem([&](BIO* out) { return PEM_write_bio_X509(out, x); });
}

}  // namespace

KeyHandle MakeP256() {
  return Made(EVP_EC_gen("P-256"));
}

KeyHandle MakeEd25519() {
  return Made(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
}

KeyHandle MakeP384() {
  return Made(EVP_EC_gen("P-384"));
}

KeyHandle MakeRsa() {
  return Made(EVP_RSA_gen(2048));
}

KeyHandle MakeExplicitP256() {
  KeyHandle key = MakeP256();
  Must(EVP_PKEY_set_utf8_string_param(key.get(), "encoding", "explicit") == 1, "explicit");
  return key;
}

KeyHandle MakeCompressedP256() {
  KeyHandle key = MakeP256();
  Must(EVP_PKEY_set_utf8_string_param(key.get(), "point-format", "compressed") == 1, "compressed");
  return key;
}

KeyHandle Open(const Key& key) {
  const std::string pem = Value(key.ToPem());
  std::unique_ptr<BIO, Free<BIO_free>> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Made(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
}

std::string PrivatePem(EVP_PKEY* key) {
  return Pem([&](BIO* out) {
    return PEM_write_bio_PKCS8PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::string EncryptedPem(EVP_PKEY* key) {
  return Pem([&](BIO* out) {
    return PEM_write_bio_PKCS8PrivateKey(out, key, EVP_aes_128_cbc(), "secret", 6, nullptr, nullptr);
  });
}

std::string TraditionalPem(EVP_PKEY* key) {
  return Pem([&](BIO* out) {
    return PEM_write_bio_PrivateKey_traditional(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::string ForgeRequest(EVP_PKEY* key, const std::function<void(X509_REQ*)>& change, EVP_PKEY* signer) {
  std::unique_ptr<X509_REQ, Free<X509_REQ_free>> request(X509_REQ_new());
  Must(X509_REQ_set_pubkey(request.get(), key) == 1, "request");
  if (change) change(request.get());
  if (signer == nullptr) signer = key;
  Must(X509_REQ_sign(request.get(), signer, DigestOf(signer)) > 0, "sign a request");
  return Pem([&](BIO* out) { return PEM_write_bio_X509_REQ(out, request.get()); });
}

void AskFor(X509_REQ* request, const std::vector<std::pair<std::string, std::string>>& extensions) {
  STACK_OF(X509_EXTENSION)* list = sk_X509_EXTENSION_new_null();
  for (const auto& [name, value] : extensions) {
    X509_EXTENSION* extension = X509V3_EXT_conf(nullptr, nullptr, name.c_str(), value.c_str());
    Must(extension != nullptr, name.c_str());
    sk_X509_EXTENSION_push(list, extension);
  }
  Must(X509_REQ_add_extensions(request, list) == 1, "extensions of a request");
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

void SetSubject(X509_NAME* name, const char* field, std::string_view value) {
  Must(X509_NAME_add_entry_by_txt(name, field, V_ASN1_UTF8STRING,
                                  reinterpret_cast<const unsigned char*>(value.data()),
                                  static_cast<int>(value.size()), -1, 0) == 1,
       "subject");
}

std::string ForgeCertificate(const Authority& authority, EVP_PKEY* key, std::string_view name,
                             const std::function<void(X509*)>& change) {
  const CertificateHandle x = Draft(key, name);
  X509* issuer = authority.certificate().handle();
  Must(X509_set_issuer_name(x.get(), X509_get_subject_name(issuer)) == 1, "issuer");
  if (change) change(x.get());
  return Sign(x.get(), Open(authority.key()).get());
}

std::string ForgeSelfSigned(EVP_PKEY* key, std::string_view name, const std::function<void(X509*)>& change) {
  const CertificateHandle x = Draft(key, name);
  Must(X509_set_issuer_name(x.get(), X509_get_subject_name(x.get())) == 1, "issuer");
  if (change) change(x.get());
  return Sign(x.get(), key);
}

void AddExtension(X509* certificate, const char* name, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf(nullptr, nullptr, name, value.c_str());
  Must(extension != nullptr, name);
  Must(X509_add_ext(certificate, extension, -1) == 1, "an extension");
  X509_EXTENSION_free(extension);
}

Authority MakeAuthority(std::string_view name, WallMillis now) {
  return Value(Authority::Create(name, now));
}

Certificate MakeDrone(const Authority& authority, const Key& key, std::string_view name, WallMillis now) {
  const Request request = Value(Request::FromPem(Value(MakeRequest(key))));
  return Value(authority.Sign(request, Role::kDrone, name, now, kWeek));
}

Certificate MakeQueen(const Authority& authority, const Key& key, const std::vector<std::string>& names,
                      WallMillis now) {
  return Value(authority.IssueQueen(key, names, now, kWeek));
}

Key MakeKey() {
  return Value(Key::Generate());
}

bool ErrorsAreClean() {
  return ERR_peek_error() == 0;
}

std::string Unwrap(const std::string& pem) {
  std::unique_ptr<BIO, Free<BIO_free>> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  char *name = nullptr, *header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  Must(PEM_read_bio(in.get(), &name, &header, &data, &size) == 1, "a PEM block");
  std::string der(reinterpret_cast<char*>(data), static_cast<std::size_t>(size));
  OPENSSL_free(name);
  OPENSSL_free(header);
  OPENSSL_free(data);
  return der;
}

std::string Wrap(const std::string& label, const std::string& der) {
  if (der.empty()) return "-----BEGIN " + label + "-----\n-----END " + label + "-----\n";
  return Pem([&](BIO* out) {
    const auto* data = reinterpret_cast<const unsigned char*>(der.data());
    return PEM_write_bio(out, label.c_str(), "", data, static_cast<long>(der.size())) > 0 ? 1 : 0;
  });
}

std::string Flipped(std::string text, std::size_t at, int bit) {
  text[at] = static_cast<char>(text[at] ^ (1 << bit));
  return text;
}

}  // namespace waggle::tls::test
