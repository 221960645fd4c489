#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/tls/certificate.h"
#include "common/tls/utc.h"

namespace waggle::tls {
namespace {

std::string WordsOf(std::initializer_list<Role> roles) {
  std::string words;
  for (Role role : roles) absl::StrAppend(&words, words.empty() ? "" : " or ", std::string(Name(role)));
  return words;
}

// Signature and extensions, by OpenSSL; time is checked apart, for its own words.
absl::Status CheckChain(const std::string& whose, const Certificate& certificate,
                        const Certificate& authority) {
  std::unique_ptr<X509_STORE, Free<X509_STORE_free>> store(X509_STORE_new());
  std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>> check(X509_STORE_CTX_new());
  const bool ready = store && check && X509_STORE_add_cert(store.get(), authority.handle()) == 1 &&
                     X509_STORE_CTX_init(check.get(), store.get(), certificate.handle(), nullptr) == 1;
  if (!ready) return OpensslFailed("cannot prepare to verify " + whose);
  X509_STORE_CTX_set_flags(check.get(), X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_CHECK_SS_SIGNATURE);
  if (X509_verify_cert(check.get()) == 1) return absl::OkStatus();
  const int error = X509_STORE_CTX_get_error(check.get());
  switch (error) {
    case X509_V_OK:
    case X509_V_ERR_OUT_OF_MEM:
    case X509_V_ERR_UNSPECIFIED:
      return OpensslFailed("cannot verify " + whose);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return absl::UnauthenticatedError(
          absl::StrCat(whose, " was issued by another authority than ", Quoted(authority.common_name()),
                       " (pin ", authority.key_id(), "); enrol with an invitation of this queen"));
    default:
      return absl::UnauthenticatedError(
          absl::StrCat(whose, " is refused: ", X509_verify_cert_error_string(error), "; enrol again"));
  }
}

}  // namespace

absl::Status Certificate::CheckTime(WallMillis now) const {
  const std::string whose =
      absl::StrCat(is_authority_ ? "the authority " : "the certificate of ", Quoted(common_name_));
  if (now < not_before_)
    return absl::UnauthenticatedError(
        absl::StrCat(whose, " is not valid before ", UtcText(not_before_), ", and it is ", UtcText(now),
                     " here; the clock of this host or of the queen's may be wrong: set it"));
  if (now >= not_after_)
    return absl::UnauthenticatedError(
        absl::StrCat(whose, " has been expired since ", UtcText(not_after_), "; ",
                     is_authority_ ? "make a new authority and enrol everybody again"
                                   : "renew it, or enrol again with a new invitation"));
  return absl::OkStatus();
}

absl::Status Verify(const Certificate& certificate, const Certificate& authority,
                    std::initializer_list<Role> roles, WallMillis now) {
  CleanErrors clean;
  const std::string whose = absl::StrCat("the certificate of ", Quoted(certificate.common_name()));
  if (!authority.is_authority())
    return absl::InvalidArgumentError(
        absl::StrCat("the certificate of ", Quoted(authority.common_name()),
                     " is not one of an authority: it cannot vouch for others"));
  RETURN_IF_ERROR(CheckChain(whose, certificate, authority));
  RETURN_IF_ERROR(certificate.CheckTime(now));
  RETURN_IF_ERROR(authority.CheckTime(now));
  const std::optional<Role> role = certificate.role();
  if (role && std::find(roles.begin(), roles.end(), *role) != roles.end()) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat(whose, " was issued for ", role ? absl::StrCat("a ", std::string(Name(*role))) : "no role",
                   "; here one of a ", WordsOf(roles), " is needed"));
}

}  // namespace waggle::tls
