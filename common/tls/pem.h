#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

struct bio_st;

namespace waggle::tls {

// The DER bytes of `pem`: at most limits::kPemBytes, one block of this label ("CERTIFICATE"), nothing else
// but blanks around it, no header lines inside it (an encrypted key has them). `field` starts every error,
// which is InvalidArgument and quotes nothing of the content: it may be a private key.
absl::StatusOr<std::string> FromPem(const std::string& field, const std::string& label, std::string_view pem);

// What `write` (a PEM_write_bio function, 1 = done) puts into the memory it is given. `field` as above;
// Internal.
absl::StatusOr<std::string> WritePem(const std::string& field, const std::function<int(bio_st*)>& write);

}  // namespace waggle::tls
