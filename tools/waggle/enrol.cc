#include "tools/waggle/enrol.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/rpc/enrolment.h"

namespace waggle::cli {
namespace {

constexpr std::chrono::seconds kDeadline(20);
// The endpoint asks for one; that of a person stands in the invitation.
constexpr const char* kName = "person";

absl::Status Kept(const absl::Status& why) {
  return absl::Status(why.code(),
                      absl::StrCat("cannot keep a login here\n", why.message(),
                                   "\nthe token was not used\nnext: make that directory writable"));
}

}  // namespace

absl::StatusOr<Login> Enrol(const rpc::HostPort& url, const tls::Invitation& invitation,
                            const Logins& logins) {
  absl::StatusOr<tls::Key> key = logins.PendingKey(invitation.token);
  if (!key.ok()) return Kept(key.status());
  absl::StatusOr<rpc::Enrolment> enrolment =
      rpc::Enrol(url, invitation, *key, tls::Role::kUser, kName, kDeadline);
  if (!enrolment.ok()) {
    if (!rpc::MayEnrolAgain(enrolment.status())) logins.ForgetPending(invitation.token);
    return enrolment.status();
  }
  Login login{enrolment->queen, rpc::UrlOf(url), *std::move(key), std::move(enrolment->certificate),
              std::move(enrolment->authority)};
  absl::Status stored = logins.Store(login);
  if (!stored.ok()) {
    return absl::Status(
        stored.code(), absl::StrCat("cannot store the login\n", stored.message(),
                                    "\nnext: make room there, then repeat this; with the same token it is no "
                                    "second use"));
  }
  logins.ForgetPending(invitation.token);
  return login;
}

}  // namespace waggle::cli
