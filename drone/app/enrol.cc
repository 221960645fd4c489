#include "drone/app/enrol.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/vocabulary.h"
#include "common/rpc/enrolment.h"
#include "common/tls/invitation.h"
#include "drone/link/credentials.h"

namespace waggle::drone {
namespace {

constexpr Duration kDeadline = std::chrono::seconds(30);
constexpr std::size_t kTokenBytes = 4 * limits::kKiB;

struct Asked {
  std::string url, token;
  bool token_stdin = false;
};

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

absl::Status Enrol(const std::string& data, const rpc::HostPort& url, const tls::Invitation& invitation,
                   const std::string& asked_name) {
  RETURN_IF_ERROR(MakeDirectories(data + "/tls"));
  const std::string pending = data + "/tls/pending.key";
  ASSIGN_OR_RETURN(const tls::Key key, PendingKey(pending));
  const absl::StatusOr<rpc::Enrolment> enrolment =
      rpc::Enrol(url, invitation, key, tls::Role::kDrone, asked_name, kDeadline);
  failpoint::Pass("drone.enrolment.answered");
  if (!enrolment.ok()) {
    if (!rpc::MayEnrolAgain(enrolment.status())) RETURN_IF_ERROR(RemoveFile(pending));
    return enrolment.status();
  }
  const std::string queen = enrolment->queen.Text();
  RETURN_IF_ERROR(Credentials::Save(data, key, enrolment->certificate.pem(), enrolment->authority.pem(),
                                    queen, enrolment->name));
  failpoint::Pass("drone.enrolment.stored");
  RETURN_IF_ERROR(RemoveFile(pending));
  std::printf("enrolled as %s with the queen at %s\nnext: drone serve --data %s\n", enrolment->name.c_str(),
              queen.c_str(), data.c_str());
  return absl::OkStatus();
}

absl::StatusOr<std::string> Token(const Asked& asked) {
  if (asked.token_stdin == !asked.token.empty()) {
    return absl::InvalidArgumentError(
        "one of --token and --token-stdin is wanted\nnext: `queen invite drone` prints the whole line");
  }
  return asked.token_stdin ? ReadToEnd(STDIN_FILENO, "standard input", kTokenBytes) : asked.token;
}

int Run(const config::Settings& settings, const Asked& asked) {
  const std::string data = std::filesystem::absolute(settings.Get("data")).lexically_normal();
  std::string name = settings.Get("name");
  char host[256] = {};
  if (name.empty() && ::gethostname(host, sizeof host - 1) == 0) name = host;
  const absl::StatusOr<rpc::HostPort> url = rpc::ParseUrl(asked.url);
  if (!url.ok()) {
    return config::Fail(exit_code::kUsage,
                        absl::InvalidArgumentError(
                            absl::StrCat("the URL ", asked.url, " ", url.status().message(),
                                         "\nnext: write https://HOST:PORT as `queen invite` prints it")));
  }
  const absl::StatusOr<std::string> token = Token(asked);
  if (!token.ok()) return config::Fail(exit_code::kUsage, token.status());
  const absl::StatusOr<tls::Invitation> invitation = tls::Invitation::Parse(*token);
  if (!invitation.ok()) return config::Fail(exit_code::kUsage, invitation.status());
  absl::Status enrolled = Enrol(data, *url, *invitation, name);
  return enrolled.ok() ? exit_code::kOk : config::Fail(exit_code::kRuntimeFailure, enrolled);
}

}  // namespace

config::Verb EnrolVerb() {
  auto asked = std::make_shared<Asked>();
  return {"enroll",
          "Make this host a drone of a queen on another one, with her invitation",
          {"data", "name"},
          [asked](CLI::App& app) {
            app.add_option("URL", asked->url, "Where she enrols: https://HOST:PORT")->required();
            app.add_option("--token", asked->token, "Her invitation; it works once")->type_name("wg1…");
            app.add_flag("--token-stdin", asked->token_stdin,
                         "Read it from standard input: an argument can be seen by others on this host");
          },
          [asked](const config::Settings& settings) { return Run(settings, *asked); }};
}

}  // namespace waggle::drone
