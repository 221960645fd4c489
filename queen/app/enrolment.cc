#include "queen/app/enrolment.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/tls/invitation.h"
#include "queen/api/certificates.h"
#include "queen/core/said.h"

namespace waggle::queen {
namespace {

using nlohmann::json;

struct Asked {
  event::Enrol enrol;
  tls::Request request;
};

absl::StatusOr<std::string> TextOf(const json& body, const char* field) {
  auto found = body.find(field);
  if (found == body.end() || !found->is_string()) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": missing, or no text"));
  }
  return found->get<std::string>();
}

absl::StatusOr<Asked> Read(const http::Request& request) {
  const json body = json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) return absl::InvalidArgumentError("the body is not a JSON object");
  ASSIGN_OR_RETURN(const std::string token, TextOf(body, "token"));
  ASSIGN_OR_RETURN(const std::string pem, TextOf(body, "request"));
  ASSIGN_OR_RETURN(std::string name, TextOf(body, "name"));
  if (!IsName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("name: letters, digits, '.', '_' and '-', at most ", limits::kNameBytes, " bytes"));
  }
  ASSIGN_OR_RETURN(tls::Request read, tls::Request::FromPem(pem));
  event::Enrol enrol{RequestId(), tls::HashOf(token), read.key_id(), std::move(name)};
  return Asked{std::move(enrol), std::move(read)};
}

int HttpStatus(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kPermissionDenied:
      return 403;  // a token that is not known tells nothing more
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

http::Response Refusal(const absl::Status& status) {
  return http::Problem(HttpStatus(status), {status.message().data(), status.message().size()});
}

}  // namespace

void AddEnrolment(http::Router& router, CorePort& core, Workers& workers, const AccessPart& access,
                  std::uint16_t port) {
  router.Add("POST", "/v1/enrol",
             [&core, &workers, &access, port](http::Request request, http::Answer answer) {
               absl::StatusOr<Asked> asked = Read(request);
               if (!asked.ok()) return answer(Refusal(asked.status()));
               auto proof = std::make_shared<tls::Request>(std::move(asked->request));
               core.Ask(
                   [&](RequestId id) {
                     asked->enrol.request = id;
                     return Event(std::move(asked->enrol));
                   },
                   [&workers, &access, port, proof, answer](AnswerValue value) {
                     const auto* peer = std::get_if<PeerRow>(&value);
                     if (peer == nullptr) return answer(Refusal(std::get<absl::Status>(value)));
                     failpoint::Pass("queen.enrolment.stored");
                     const bool taken = workers.Run([&access, port, proof, answer, peer = *peer] {
                       absl::StatusOr<std::string> certificate =
                           SignPeer(*access.authority, peer, *proof, WallNow(), access.validity);
                       if (!certificate.ok()) return answer(Refusal(certificate.status()));
                       const json body = {{"certificate", *certificate},
                                          {"authority", access.authority->certificate().pem()},
                                          {"name", peer.name},
                                          {"port", port}};
                       failpoint::Pass("queen.enrolment.signed");
                       answer({200, "application/json", body.dump()});
                     });
                     if (!taken)
                       answer(Refusal(absl::UnavailableError("the queen is overloaded\nnext: try again")));
                   });
             });
}

}  // namespace waggle::queen
