// What a stranger sends to enrol or shows to be let in: certificate requests, certificates, invitations and
// key files, as text and, since nobody flips bits behind base64, as the bytes inside it. What is taken says
// nothing of its own choice; what is refused is told in words that any terminal can show.
#include <openssl/err.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/text.h"
#include "common/tls/authority.h"
#include "common/tls/digest.h"
#include "common/tls/invitation.h"
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {
namespace {

constexpr WallMillis kNow = 1'800'000'000'000;
constexpr std::chrono::seconds kWeek{7 * 24 * 3600};
constexpr std::size_t kMessageBytes = 1024;

// Another one in each process: nothing in a corpus was issued by it.
const tls::Authority& OurAuthority() {
  static const auto& authority = *new tls::Authority(tls::Authority::Create("hive", kNow).value());
  return authority;
}

const tls::Certificate& OurDrone() {
  static const auto& drone = []() -> const tls::Certificate& {
    const tls::Key key = tls::Key::Generate().value();
    auto request = tls::Request::FromPem(tls::MakeRequest(key).value());
    auto signed_one = OurAuthority().Sign(*request, tls::Role::kDrone, "bee-05", kNow, kWeek);
    return *new tls::Certificate(std::move(signed_one).value());
  }();
  return drone;
}

void CheckWords(const absl::Status& status) {
  const std::string_view message(status.message().data(), status.message().size());
  Require(!message.empty() && message.size() <= kMessageBytes, "an error says something, in bounded length");
  Require(!FindBadByte(message, true), "an error message is text that any terminal can show");
}

void CheckRefusal(const absl::Status& status, std::string_view field) {
  Require(status.code() == absl::StatusCode::kInvalidArgument, "what is malformed is InvalidArgument");
  Require(std::string_view(status.message().data(), status.message().size()).starts_with(field),
          "an error names what it is about");
  CheckWords(status);
}

void CheckRequest(std::string_view pem) {
  const auto request = tls::Request::FromPem(pem);
  Require(ERR_peek_error() == 0, "no error stays in OpenSSL's queue");
  if (!request.ok()) return CheckRefusal(request.status(), "certificate request: ");
  const auto made = OurAuthority().Sign(*request, tls::Role::kDrone, "bee-07", kNow, kWeek);
  Require(made.ok(), "a request that is taken can be signed");
  Require(made->key_id() == request->key_id(), "the certificate is for the key of the request");
  Require(made->role() == tls::Role::kDrone && !made->is_authority() && made->names().empty() &&
              made->common_name() == "bee-07",
          "and for nothing else that was in it");
  Require(tls::Verify(*made, OurAuthority().certificate(), {tls::Role::kDrone}, kNow).ok(),
          "a certificate that was issued is valid");
}

void CheckCertificate(std::string_view pem) {
  const auto read = tls::Certificate::FromPem(pem);
  Require(ERR_peek_error() == 0, "no error stays in OpenSSL's queue");
  if (!read.ok()) return CheckRefusal(read.status(), "certificate: ");
  Require(tls::IsSha256Hex(read->key_id()), "every certificate has a key");
  Require(!FindBadByte(read->common_name(), true), "a common name can be shown");
  const auto again = tls::Certificate::FromPem(read->pem());
  Require(again.ok() && again->pem() == read->pem() && again->role() == read->role() &&
              again->names() == read->names() && again->serial() == read->serial(),
          "what was read can be written and read again");
  const absl::Status verdict = tls::Verify(*read, OurAuthority().certificate(), {tls::Role::kDrone}, kNow);
  Require(!verdict.ok(), "a stranger is not one of ours");
  CheckWords(verdict);
  const absl::Status vouched = tls::Verify(OurDrone(), *read, {tls::Role::kDrone}, kNow);
  Require(!vouched.ok(), "a stranger vouches for none of ours");
  CheckWords(vouched);
  Require(ERR_peek_error() == 0, "no error stays in OpenSSL's queue");
}

void CheckKey(std::string_view pem) {
  const auto key = tls::Key::FromPem(pem);
  Require(ERR_peek_error() == 0, "no error stays in OpenSSL's queue");
  if (!key.ok()) return CheckRefusal(key.status(), "private key: ");
  const auto written = key->ToPem();
  Require(written.ok(), "a key that was read can be written");
  const auto again = tls::Key::FromPem(*written);
  Require(again.ok() && again->id() == key->id(), "and is the same key");
}

void CheckInvitation(std::string_view text) {
  const auto invitation = tls::Invitation::Parse(text);
  if (!invitation.ok()) return CheckRefusal(invitation.status(), "invitation: ");
  Require(invitation->ToText() == absl::StripAsciiWhitespace({text.data(), text.size()}),
          "an invitation is written in one way");
}

std::string Wrap(const char* label, std::string_view der) {
  return absl::StrCat("-----BEGIN ", label, "-----\n", absl::Base64Escape({der.data(), der.size()}),
                      "\n-----END ", label, "-----\n");
}

std::string Unwrap(const std::string& pem) {
  const std::size_t begin = pem.find('\n') + 1;
  std::string der;
  Require(absl::Base64Unescape(pem.substr(begin, pem.rfind("-----END") - begin), &der), "a seed is PEM");
  return der;
}

}  // namespace

void Run(std::string_view input) {
  CheckRequest(input);
  CheckCertificate(input);
  CheckKey(input);
  CheckInvitation(input);
  CheckRequest(Wrap("CERTIFICATE REQUEST", input));
  CheckCertificate(Wrap("CERTIFICATE", input));
  CheckKey(Wrap("PRIVATE KEY", input));
}

// Text is in the corpus; the bytes of one of each kind are made here.
std::vector<std::string> Seeds() {
  const tls::Key key = tls::Key::Generate().value();
  const std::vector<std::string> names = {"ci.example.com", "127.0.0.1", "::1"};
  return {Unwrap(tls::MakeRequest(key).value()),
          Unwrap(OurAuthority().certificate().pem()),
          Unwrap(OurDrone().pem()),
          Unwrap(OurAuthority().IssueQueen(key, names, kNow, kWeek)->pem()),
          Unwrap(key.ToPem().value()),
          tls::Invitation::Make(OurAuthority().pin())->ToText()};
}

}  // namespace waggle::fuzz
