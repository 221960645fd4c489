#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct evp_pkey_st;
struct x509_st;

// Owners, encodings and errors around OpenSSL, for the .cc files of this folder. No OpenSSL header is
// included here: its types are forward-declared, its functions are arguments.
namespace waggle::tls {

struct FreeHandle {
  void operator()(evp_pkey_st* key) const;
  void operator()(x509_st* certificate) const;
};
using KeyHandle = std::unique_ptr<evp_pkey_st, FreeHandle>;
using CertificateHandle = std::unique_ptr<x509_st, FreeHandle>;

// Owner of any other thing of OpenSSL: std::unique_ptr<BIGNUM, Free<BN_free>>.
template <auto Function>
struct Free {
  template <typename T>
  void operator()(T* p) const {
    Function(p);
  }
};

// OpenSSL keeps errors in a queue per thread, also those of attempts that did not matter. Whoever calls it
// holds one of these: the queue is empty before and after.
class CleanErrors {
 public:
  CleanErrors();
  ~CleanErrors();
  CleanErrors(const CleanErrors&) = delete;
  CleanErrors& operator=(const CleanErrors&) = delete;
};

// "what: OpenSSL's reason", InvalidArgument: the fault of what was read. Empties the queue.
absl::Status BadInput(const std::string& what);
// The same as Internal: no input can cause it (no memory, no random bytes).
absl::Status OpensslFailed(const std::string& what);

// The DER bytes that an i2d function writes; "" if it fails.
template <typename T>
std::string ToDer(int (*encode)(const T*, unsigned char**), const T* object) {
  const int size = encode(object, nullptr);
  if (size <= 0) return "";
  std::string der(static_cast<std::size_t>(size), '\0');
  auto* at = reinterpret_cast<unsigned char*>(der.data());
  encode(object, &at);
  return der;
}

// What a d2i function reads from all of `der`; bytes behind the object are an error like any other. `field`
// starts the message.
template <typename Handle, typename T>
absl::StatusOr<Handle> FromDer(T* (*decode)(T**, const unsigned char**, long), std::string_view der,
                               const std::string& field) {
  const auto* begin = reinterpret_cast<const unsigned char*>(der.data());
  const auto* at = begin;
  Handle object(decode(nullptr, &at, static_cast<long>(der.size())));
  if (!object) return BadInput(field + ": cannot be read");
  if (at != begin + der.size()) return BadInput(field + ": bytes follow its end");
  return object;
}

}  // namespace waggle::tls
