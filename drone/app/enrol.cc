#include "drone/app/enrol.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/vocabulary.h"
#include "common/rpc/https_client.h"
#include "common/tls/invitation.h"
#include "common/tls/request.h"
#include "drone/link/credentials.h"

namespace waggle::drone {
namespace {

using nlohmann::json;

constexpr Duration kDeadline = std::chrono::seconds(30);

struct Asked {
  std::string url, token;
};

struct Enrolled {
  std::string queen, name;
};

// "https://host:7875/" → "host", brackets of an IPv6 address kept.
std::string HostOf(const std::string& url) {
  const std::size_t begin = url.find("://") + 3;
  const std::string place = url.substr(begin, url.find('/', begin) - begin);
  return place.substr(0, place.rfind(':'));
}

// Kept until the queen's answer is: a repeat after a lost one, with the same key, is no second use.
absl::StatusOr<tls::Key> PendingKey(const std::string& path) {
  if (FileExists(path)) {
    ASSIGN_OR_RETURN(const std::string pem, ReadFile(path, limits::kPemBytes));
    return tls::Key::FromPem(pem);
  }
  ASSIGN_OR_RETURN(tls::Key key, tls::Key::Generate());
  ASSIGN_OR_RETURN(const std::string pem, key.ToPem());
  RETURN_IF_ERROR(WriteFileDurably(path, pem));
  return key;
}

absl::StatusOr<Enrolled> Enrol(const std::string& data, const std::string& url, const std::string& token,
                               const std::string& name) {
  ASSIGN_OR_RETURN(const tls::Invitation invitation, tls::Invitation::Parse(token));
  RETURN_IF_ERROR(MakeDirectories(data + "/tls"));
  const std::string pending = data + "/tls/pending.key";
  ASSIGN_OR_RETURN(const tls::Key key, PendingKey(pending));
  ASSIGN_OR_RETURN(const std::string request, tls::MakeRequest(key));
  const json body = {{"token", invitation.token}, {"request", request}, {"name", name}};
  const std::string place = absl::StrCat(url, absl::EndsWith(url, "/") ? "" : "/", "v1/enrol");
  ASSIGN_OR_RETURN(const rpc::HttpsAnswer answer,
                   rpc::Post(place, body.dump(), "application/json", invitation.pin, kDeadline));
  failpoint::Pass("drone.enrolment.answered");
  const json said = json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  if (answer.status != 200) {
    if (answer.status < 500) RETURN_IF_ERROR(RemoveFile(pending));
    const bool explained = said.is_object() && said.contains("detail") && said["detail"].is_string();
    return absl::FailedPreconditionError(
        absl::StrCat("the queen refuses to enrol this host: ",
                     explained ? said["detail"].get<std::string>() : absl::StrCat("status ", answer.status)));
  }
  auto text = [&](const char* field) {
    return said.is_object() && said.contains(field) && said[field].is_string()
               ? said[field].get<std::string>()
               : std::string();
  };
  const bool whole = !text("certificate").empty() && !text("authority").empty() && !text("name").empty() &&
                     said.contains("port") && said["port"].is_number_unsigned();
  if (!whole) return absl::DataLossError("what answers there is no queen that we understand");
  ASSIGN_OR_RETURN(const tls::Certificate authority, tls::Certificate::FromPem(text("authority")));
  if (authority.key_id() != invitation.pin) {
    return absl::PermissionDeniedError("the queen gave an authority that is not the one of the invitation");
  }
  ASSIGN_OR_RETURN(const tls::Certificate certificate, tls::Certificate::FromPem(text("certificate")));
  if (certificate.role() != tls::Role::kDrone) {
    return absl::FailedPreconditionError(
        "this invitation was a person's, and is used up\nnext: ask for one of `queen invite drone`");
  }
  RETURN_IF_ERROR(tls::Verify(certificate, authority, {tls::Role::kDrone}, WallNow()));
  Enrolled enrolled{absl::StrCat(HostOf(url), ":", said["port"].get<unsigned>()), text("name")};
  RETURN_IF_ERROR(
      Credentials::Save(data, key, text("certificate"), text("authority"), enrolled.queen, enrolled.name));
  failpoint::Pass("drone.enrolment.stored");
  RETURN_IF_ERROR(RemoveFile(pending));
  return enrolled;
}

int Run(const config::Settings& settings, const Asked& asked) {
  const std::string data = std::filesystem::absolute(settings.Get("data")).lexically_normal();
  std::string name = settings.Get("name");
  char host[256] = {};
  if (name.empty() && ::gethostname(host, sizeof host - 1) == 0) name = host;
  absl::StatusOr<Enrolled> enrolled = Enrol(data, asked.url, asked.token, name);
  if (!enrolled.ok()) return config::Fail(exit_code::kRuntimeFailure, enrolled.status());
  std::printf("enrolled as %s with the queen at %s\nnext: drone serve --data %s\n", enrolled->name.c_str(),
              enrolled->queen.c_str(), data.c_str());
  return exit_code::kOk;
}

}  // namespace

config::Verb EnrolVerb() {
  auto asked = std::make_shared<Asked>();
  return {"enroll",
          "Make this host a drone of a queen on another one, with her invitation",
          {"data", "name"},
          [asked](CLI::App& app) {
            app.add_option("URL", asked->url, "Where she enrols: https://HOST:PORT")->required();
            app.add_option("--token", asked->token, "Her invitation; it works once")
                ->required()
                ->type_name("wg1…");
          },
          [asked](const config::Settings& settings) { return Run(settings, *asked); }};
}

}  // namespace waggle::drone
