#include "common/tls/pem.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/tls/openssl.h"

namespace waggle::tls {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "-----END ", kDashes = "-----";

std::string_view StripBlanks(std::string_view text) {
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

bool IsBodyByte(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '+' || c == '/' || c == '=' ||
         c == '\n' || c == '\r';
}

// REQUIRES: every byte is one of a body.
absl::StatusOr<std::string> DecodeBase64(const std::string& field, std::string_view body) {
  const absl::Status bad = absl::InvalidArgumentError(field + ": its base64 text is damaged or cut off");
  std::unique_ptr<EVP_ENCODE_CTX, Free<EVP_ENCODE_CTX_free>> decoder(EVP_ENCODE_CTX_new());
  if (!decoder) return OpensslFailed(field + ": cannot decode base64");
  std::string der(body.size(), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  const auto* in = reinterpret_cast<const unsigned char*>(body.data());
  int size = 0, rest = 0;
  EVP_DecodeInit(decoder.get());
  const bool fine = EVP_DecodeUpdate(decoder.get(), out, &size, in, static_cast<int>(body.size())) >= 0 &&
                    EVP_DecodeFinal(decoder.get(), out + size, &rest) == 1;
  if (!fine) OPENSSL_cleanse(der.data(), der.size());
  if (!fine || size + rest == 0) return bad;
  der.resize(static_cast<std::size_t>(size + rest));
  return der;
}

}  // namespace

absl::StatusOr<std::string> FromPem(const std::string& field, const std::string& label,
                                    std::string_view pem) {
  const auto bad = [&](const auto&... parts) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": ", parts...));
  };
  if (pem.size() > limits::kPemBytes)
    return bad(pem.size(), " bytes of PEM; at most ", limits::kPemBytes, " are read");
  std::string_view text = StripBlanks(pem);
  if (text.empty()) return bad("is empty");
  if (!text.starts_with(kBegin)) return bad("does not start with -----BEGIN ", label, "-----");
  text.remove_prefix(kBegin.size());
  const std::string_view found = text.substr(0, text.find(kDashes));
  if (found != label)
    return bad("is a PEM block of ", Quoted(found), "; one of ", Quoted(label), " is expected");
  text.remove_prefix(std::min(text.size(), label.size() + kDashes.size()));

  const std::size_t end = text.find(kEnd);
  if (end == std::string_view::npos)
    return bad("is cut off: there is no -----END ", label, "----- behind it");
  const std::string_view body = text.substr(0, end);
  if (text.substr(end) != absl::StrCat("-----END ", label, "-----"))
    return bad("something follows the PEM block; send that one block alone");
  if (!std::all_of(body.begin(), body.end(), IsBodyByte))
    return bad("the PEM block holds a byte that is not base64");
  return DecodeBase64(field, body);
}

absl::StatusOr<std::string> WritePem(const std::string& field, const std::function<int(bio_st*)>& write) {
  std::unique_ptr<BIO, Free<BIO_free>> memory(BIO_new(BIO_s_mem()));  // wiped when freed
  if (!memory || write(memory.get()) != 1) return OpensslFailed(field + ": cannot be written as PEM");
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace waggle::tls
