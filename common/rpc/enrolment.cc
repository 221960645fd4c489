#include "common/rpc/enrolment.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/rpc/https_client.h"
#include "common/tls/request.h"

namespace waggle::rpc {
namespace {

using nlohmann::json;

constexpr const char* kPath = "/v1/enrol";

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
          absl::StrCat("what listens at ", url.Text(), " is no queen one can enrol with\n", why.message(),
                       "\nnext: check the URL against the line of `queen invite`"));
  }
}

std::string TextOf(const json& object, const char* field) {
  auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// What she said instead of a certificate.
absl::Status Refused(const HostPort& url, const HttpsAnswer& answer, const json& body) {
  const std::string detail = body.is_object() ? TextOf(body, "detail") : "";
  const bool token = answer.status == 403 || answer.status == 409;
  if (token && !detail.empty()) return absl::PermissionDeniedError(absl::StrCat(detail, " [WG501]"));
  if (answer.status >= 500 || answer.status == 429) {
    return Unsaid(
        url, absl::UnavailableError(detail.empty() ? absl::StrCat("she answered ", answer.status) : detail));
  }
  return Unsaid(url, absl::UnknownError(
                         absl::StrCat("it answered ", answer.status, detail.empty() ? "" : ": ", detail)));
}

// The answer is hers, for the pin is, but it is checked like anybody's.
absl::StatusOr<Enrolment> Read(const HostPort& url, const tls::Invitation& invitation, const tls::Key& key,
                               const json& body) {
  if (!body.is_object()) return absl::DataLossError("its answer is no JSON object");
  const auto port = body.find("port");
  const bool number = port != body.end() && port->is_number_unsigned() && *port > 0u && *port <= 65535u;
  if (!number) return absl::DataLossError("port: missing, or no port");
  ASSIGN_OR_RETURN(tls::Certificate certificate, tls::Certificate::FromPem(TextOf(body, "certificate")));
  ASSIGN_OR_RETURN(tls::Certificate authority, tls::Certificate::FromPem(TextOf(body, "authority")));
  if (authority.key_id() != invitation.pin)
    return absl::PermissionDeniedError("the authority in her answer is not the one of the token");
  if (certificate.key_id() != key.id()) return absl::DataLossError("the certificate is of another key");
  return Enrolment{{url.host, port->get<std::uint16_t>()},
                   TextOf(body, "name"),
                   std::move(certificate),
                   std::move(authority)};
}

// Whether it lets this one in, now.
absl::Status CheckUse(const Enrolment& enrolment, tls::Role role) {
  const bool drone = role == tls::Role::kDrone;
  if (enrolment.certificate.role() != role) {
    return absl::PermissionDeniedError(absl::StrCat("this invitation was a ", drone ? "person's" : "drone's",
                                                    ", and is used up\nnext: ask for one of `queen invite ",
                                                    drone ? "drone" : "user", " NAME` [WG501]"));
  }
  const absl::Status good = tls::Verify(enrolment.certificate, enrolment.authority, {role}, WallNow());
  if (good.ok()) return good;
  return absl::Status(good.code(),
                      absl::StrCat("the certificate the queen sent cannot be used\n", good.message()));
}

}  // namespace

absl::StatusOr<Enrolment> Enrol(const HostPort& url, const tls::Invitation& invitation, const tls::Key& key,
                                tls::Role role, const std::string& name, Duration deadline) {
  ASSIGN_OR_RETURN(const std::string request, tls::MakeRequest(key));
  const json question = {{"token", invitation.token}, {"request", request}, {"name", name}};
  const absl::StatusOr<HttpsAnswer> answer =
      Post(absl::StrCat(UrlOf(url), kPath), question.dump(), "application/json", invitation.pin, deadline);
  if (!answer.ok()) return Unsaid(url, answer.status());
  const json body = json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
  if (answer->status != 200) return Refused(url, *answer, body);
  absl::StatusOr<Enrolment> enrolment = Read(url, invitation, key, body);
  if (!enrolment.ok()) return Unsaid(url, enrolment.status());
  RETURN_IF_ERROR(CheckUse(*enrolment, role));
  return enrolment;
}

bool MayEnrolAgain(const absl::Status& why) {
  return absl::IsUnavailable(why) || absl::IsDeadlineExceeded(why);
}

}  // namespace waggle::rpc
