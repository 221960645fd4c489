#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/tls/key.h"

namespace waggle::tls {

// What an operator hands to a new drone or person: `wg1.TOKEN.PIN`. The token lets its bearer ask for one
// certificate; the pin, the id of the authority's key, lets the bearer know the queen at the first contact.
struct Invitation {
  std::string token;  // 256 random bits in base64url: 43 characters, no padding. A secret: never logged
  KeyId pin;

  // Errors: InvalidArgument if `pin` is not the id of a key; Internal if there are no random bytes.
  static absl::StatusOr<Invitation> Make(std::string_view pin);
  // Blanks around the text are ignored. Errors: InvalidArgument that says which part is wrong and quotes
  // none.
  static absl::StatusOr<Invitation> Parse(std::string_view text);
  std::string ToText() const;
};

// What the queen keeps of a token: SHA-256 of its 43 characters, 64 lower hex digits.
std::string HashOf(std::string_view token);

// Whether `hash` is that of `token`, in a time that does not tell how much of it is.
bool Matches(std::string_view token, std::string_view hash);

}  // namespace waggle::tls
