#include "tools/waggle/enrol.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/https_client.h"
#include "common/tls/request.h"
#include "tools/waggle/json.h"

namespace waggle::cli {
namespace {

constexpr std::chrono::seconds kDeadline(20);
constexpr const char* kPath = "/v1/enrol";
// The endpoint asks for one; that of a person stands in the invitation.
constexpr const char* kName = "person";

absl::Status Kept(const absl::Status& why) {
  return absl::Status(why.code(),
                      absl::StrCat("cannot keep a login here\n", why.message(),
                                   "\nthe token was not used\nnext: make that directory writable"));
}

// What kept the question or the answer from its way.
absl::Status Unsaid(const HostPort& url, const absl::Status& why) {
  switch (why.code()) {
    case absl::StatusCode::kPermissionDenied:
      return absl::PermissionDeniedError(absl::StrCat(
          "the queen at ", url.Text(), " is not the one that made this token\n", why.message(),
          "\nnext: compare the URL with the one you were given; somebody may be in between [WG502]"));
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return absl::Status(
          why.code(), absl::StrCat("cannot reach the queen at ", url.Text(), "\n", why.message(),
                                   "\nnext: repeat this; with the same token it is no second use [WG001]"));
    default:
      return absl::Status(
          why.code(),
          absl::StrCat("what listens at ", url.Text(), " is no queen people can log in to\n", why.message(),
                       "\nnext: check the URL against the line of `queen invite`"));
  }
}

std::string TextOf(const Json& object, const char* field) {
  auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// What she said instead of a certificate.
absl::Status Refused(const HostPort& url, const rpc::HttpsAnswer& answer, const Json& body) {
  const std::string detail = body.is_object() ? TextOf(body, "detail") : "";
  const bool token = answer.status == 403 || answer.status == 409;
  if (token && !detail.empty()) return absl::PermissionDeniedError(absl::StrCat(detail, " [WG501]"));
  if (answer.status == 503 || answer.status == 429) {
    return Unsaid(url, absl::UnavailableError(detail.empty() ? "she is overloaded" : detail));
  }
  return Unsaid(url, absl::UnknownError(
                         absl::StrCat("it answered ", answer.status, detail.empty() ? "" : ": ", detail)));
}

// Whether it lets a person in, now.
absl::Status CheckUse(const Login& login) {
  if (login.certificate.role() == tls::Role::kDrone) {
    return absl::PermissionDeniedError(
        "this invitation was a drone's, and is used up\nnext: ask for one of `queen invite user NAME` "
        "[WG501]");
  }
  const absl::Status good = tls::Verify(login.certificate, login.authority, {tls::Role::kUser}, WallNow());
  if (good.ok()) return good;
  return absl::Status(good.code(),
                      absl::StrCat("the certificate the queen sent cannot be used\n", good.message()));
}

// The answer is hers, for the pin is, but it is checked like anybody's.
absl::StatusOr<Login> Read(const HostPort& url, const tls::Invitation& invitation, tls::Key key,
                           const Json& body) {
  const auto port = body.find("port");
  const bool number = port != body.end() && port->is_number_unsigned() && *port > 0u && *port <= 65535u;
  if (!number) return absl::DataLossError("port: missing, or no port");
  ASSIGN_OR_RETURN(tls::Certificate certificate, tls::Certificate::FromPem(TextOf(body, "certificate")));
  ASSIGN_OR_RETURN(tls::Certificate authority, tls::Certificate::FromPem(TextOf(body, "authority")));
  if (authority.key_id() != invitation.pin)
    return absl::PermissionDeniedError("the authority in her answer is not the one of the token");
  if (certificate.key_id() != key.id()) return absl::DataLossError("the certificate is of another key");
  return Login{{url.host, port->get<std::uint16_t>()},
               UrlOf(url),
               std::move(key),
               std::move(certificate),
               std::move(authority)};
}

}  // namespace

absl::StatusOr<Login> Enrol(const HostPort& url, const tls::Invitation& invitation, const Logins& logins) {
  absl::StatusOr<tls::Key> key = logins.PendingKey(invitation.token);
  if (!key.ok()) return Kept(key.status());
  ASSIGN_OR_RETURN(const std::string request, tls::MakeRequest(*key));
  const Json question = {{"token", invitation.token}, {"request", request}, {"name", kName}};
  const absl::StatusOr<rpc::HttpsAnswer> answer = rpc::Post(
      absl::StrCat(UrlOf(url), kPath), Compact(question), "application/json", invitation.pin, kDeadline);
  const bool again = absl::IsUnavailable(answer.status()) || absl::IsDeadlineExceeded(answer.status());
  if (!again && !answer.ok()) logins.ForgetPending(invitation.token);
  if (!answer.ok()) return Unsaid(url, answer.status());

  const Json body = Json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
  if (answer->status != 200) {
    if (answer->status < 500) logins.ForgetPending(invitation.token);
    return Refused(url, *answer, body);
  }
  absl::StatusOr<Login> login = body.is_object() ? Read(url, invitation, *std::move(key), body)
                                                 : absl::DataLossError("its answer is no JSON object");
  if (!login.ok()) return Unsaid(url, login.status());
  RETURN_IF_ERROR(CheckUse(*login));
  absl::Status stored = logins.Store(*login);
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
