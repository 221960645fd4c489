#include "common/tls/invitation.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/tls/digest.h"

namespace waggle::tls {
namespace {

constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kTokenCharacters = 43;
constexpr std::size_t kPinCharacters = 64;
constexpr std::size_t kTextBytes = 1024;  // far above any invitation with blanks around it
constexpr absl::string_view kVersion = "wg1";

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("invitation: ", parts...));
}

// Only the one way that 32 bytes are written: a token has one hash.
absl::Status CheckToken(absl::string_view token) {
  constexpr absl::string_view kWhich = "its token (the part between the dots) ";
  if (token.size() != kTokenCharacters)
    return Bad(kWhich, "has ", token.size(), " characters, not ", kTokenCharacters,
               "; copy the whole invitation");
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(token, &bytes) || bytes.size() != kTokenBytes ||
      absl::WebSafeBase64Escape(bytes) != token)
    return Bad(kWhich, "is mistyped; copy the whole invitation");
  return absl::OkStatus();
}

absl::Status CheckPin(absl::string_view pin) {
  constexpr absl::string_view kWhich = "its pin (the last part) ";
  if (pin.size() != kPinCharacters)
    return Bad(kWhich, "has ", pin.size(), " characters, not ", kPinCharacters,
               "; copy the whole invitation");
  if (!IsSha256Hex({pin.data(), pin.size()}))
    return Bad(kWhich, "holds something else than 0-9 and a-f; copy the whole invitation");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Invitation> Invitation::Make(std::string_view pin) {
  RETURN_IF_ERROR(CheckPin({pin.data(), pin.size()}));
  CleanErrors clean;
  std::string bytes(kTokenBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), kTokenBytes) != 1)
    return OpensslFailed("invitation: no random bytes for a token");
  return Invitation{absl::WebSafeBase64Escape(bytes), KeyId(pin)};
}

absl::StatusOr<Invitation> Invitation::Parse(std::string_view text) {
  if (text.size() > kTextBytes)
    return Bad("is ", text.size(), " bytes long; at most ", kTextBytes, " are read");
  const absl::string_view stripped = absl::StripAsciiWhitespace({text.data(), text.size()});
  if (stripped.empty()) return Bad("is empty");
  const std::vector<absl::string_view> parts = absl::StrSplit(stripped, '.');
  if (parts[0] != kVersion)
    return Bad("does not start with ", kVersion,
               ".; a newer queen may have written it, or this is something else");
  if (parts.size() != 3)
    return Bad("has ", parts.size(), " parts, not 3 (", kVersion, ".TOKEN.PIN); copy the whole invitation");
  RETURN_IF_ERROR(CheckToken(parts[1]));
  RETURN_IF_ERROR(CheckPin(parts[2]));
  return Invitation{std::string(parts[1]), KeyId(parts[2])};
}

std::string Invitation::ToText() const {
  return absl::StrCat(kVersion, ".", token, ".", pin);
}

std::string HashOf(std::string_view token) {
  return Sha256Hex(token);
}

bool Matches(std::string_view token, std::string_view hash) {
  const std::string own = HashOf(token);
  return hash.size() == own.size() && CRYPTO_memcmp(own.data(), hash.data(), own.size()) == 0;
}

}  // namespace waggle::tls
