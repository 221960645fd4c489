#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/tls/authority.h"

// What a stranger makes with OpenSSL's own functions: keys, requests and certificates that our library never
// would. Faults in here end the test program.
namespace waggle::tls::test {

inline constexpr WallMillis kNow = 1'800'000'000'000;  // 2027-01-15 08:00:00 UTC
inline constexpr std::chrono::seconds kWeek{7 * 24 * 3600};

KeyHandle MakeP256();
KeyHandle MakeEd25519();
KeyHandle MakeP384();
KeyHandle MakeRsa();
// P-256 with the curve written out instead of named / with its point compressed: the same key, spelt another
// way.
KeyHandle MakeExplicitP256();
KeyHandle MakeCompressedP256();
KeyHandle Open(const Key& key);  // our key, in a stranger's hands

std::string PrivatePem(EVP_PKEY* key);      // PKCS #8
std::string EncryptedPem(EVP_PKEY* key);    // PKCS #8 with a passphrase
std::string TraditionalPem(EVP_PKEY* key);  // "EC PRIVATE KEY"

// A request for `key`, changed before it is signed by `signer` (null: by the key itself).
std::string ForgeRequest(EVP_PKEY* key, const std::function<void(X509_REQ*)>& change = nullptr,
                         EVP_PKEY* signer = nullptr);
// Asks for an extension as in openssl.cnf: "basicConstraints", "critical,CA:TRUE".
void AskFor(X509_REQ* request, const std::vector<std::pair<std::string, std::string>>& extensions);
void SetSubject(X509_NAME* name, const char* field, std::string_view value);

// A certificate for `key`, valid at kNow, signed by `authority` (its key in a stranger's hands), changed
// before.
std::string ForgeCertificate(const Authority& authority, EVP_PKEY* key, std::string_view name,
                             const std::function<void(X509*)>& change = nullptr);
// The same, signed by itself.
std::string ForgeSelfSigned(EVP_PKEY* key, std::string_view name,
                            const std::function<void(X509*)>& change = nullptr);
void AddExtension(X509* certificate, const char* name, const std::string& value);

Authority MakeAuthority(std::string_view name = "hive", WallMillis now = kNow);
Certificate MakeDrone(const Authority& authority, const Key& key, std::string_view name = "bee-05",
                      WallMillis now = kNow);
Certificate MakeQueen(const Authority& authority, const Key& key, const std::vector<std::string>& names,
                      WallMillis now = kNow);
Key MakeKey();

// Nothing was left in OpenSSL's queue of errors.
bool ErrorsAreClean();

// The bytes of a PEM block, and a PEM block of any bytes.
std::string Unwrap(const std::string& pem);
std::string Wrap(const std::string& label, const std::string& der);

// `text` with one bit of byte `at` flipped.
std::string Flipped(std::string text, std::size_t at, int bit);

}  // namespace waggle::tls::test
