#include "queen/app/admin.h"

#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/duration.h"
#include "common/base/text.h"
#include "common/base/vocabulary.h"
#include "common/config/key.h"
#include "common/rpc/channel.h"
#include "queen/app/backup.h"
#include "queen/app/check.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::queen {
namespace {

constexpr std::chrono::seconds kDeadline(10);

// What the verbs were asked for; they outlive the parse.
struct Asked {
  std::string kind, name, ttl = "15m";
  std::vector<std::string> labels;
};

v1::PeerKind KindOf(const std::string& word) {
  return word == "drone" ? v1::DRONE : v1::USER;
}

std::string Word(v1::PeerKind kind) {
  return kind == v1::DRONE ? "drone" : "user";
}

std::string At(std::int64_t millis) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixMillis(millis), absl::UTCTimeZone());
}

std::string LabelsOf(const google::protobuf::Map<std::string, std::string>& labels) {
  const std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  std::string text;
  for (const auto& [label, value] : sorted)
    absl::StrAppend(&text, text.empty() ? "" : " ", label, "=", value);
  return text;
}

// Calls the running queen of these settings; prints what went wrong.
template <typename Call>
int Ask(const config::Settings& settings, Call call) {
  const std::string socket = absl::StrCat(settings.Get("data"), "/queen.sock");
  auto stub = v1::Access::NewStub(rpc::OpenChannel("unix:" + socket));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  const grpc::Status status = call(*stub, &context);
  if (status.ok()) return exit_code::kOk;
  const bool absent = status.error_code() == grpc::StatusCode::UNAVAILABLE;
  return config::Fail(exit_code::kRuntimeFailure,
                      absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                                   absent ? absl::StrCat("no queen answers on ", socket,
                                                         "\nnext: start her with `queen serve`")
                                          : status.error_message()));
}

int Invite(const config::Settings& settings, const Asked& asked) {
  v1::InviteRequest request;
  request.set_kind(KindOf(asked.kind));
  request.set_name(asked.name);
  const ParsedDuration ttl = ParseDuration(asked.ttl);
  if (ttl.fault != DurationFault::kNone || ttl.value.count() < 1000) {
    return config::Fail(exit_code::kUsage,
                        absl::InvalidArgumentError(
                            absl::StrCat("--ttl ", Quoted(asked.ttl), " is not a time\nwrite 15m or 1h")));
  }
  request.set_ttl_seconds(static_cast<std::uint32_t>(ttl.value.count() / 1000));
  for (const std::string& label : asked.labels) {
    auto parts = config::SplitEntry(label);
    if (!parts) {
      return config::Fail(exit_code::kUsage, absl::InvalidArgumentError(absl::StrCat(
                                                 "--label ", Quoted(label), " is not NAME=VALUE")));
    }
    (*request.mutable_labels())[parts->first] = parts->second;
  }
  v1::InviteResponse made;
  const int code = Ask(settings, [&](v1::Access::Stub& stub, grpc::ClientContext* context) {
    return stub.Invite(context, request, &made);
  });
  if (code != exit_code::kOk) return code;
  const bool drone = asked.kind == "drone";
  std::printf("%s %s --token %s\n", drone ? "drone enroll" : "waggle login", made.url().c_str(),
              made.invitation().c_str());
  std::fprintf(stderr, "run this on the %s host before %s; it works once\n", drone ? "drone's" : "person's",
               At(made.expires_at()).c_str());
  return exit_code::kOk;
}

int List(const config::Settings& settings) {
  v1::ListPeersResponse list;
  const int code = Ask(settings, [&](v1::Access::Stub& stub, grpc::ClientContext* context) {
    return stub.List(context, v1::ListPeersRequest(), &list);
  });
  if (code != exit_code::kOk) return code;
  for (const v1::Peer& peer : list.peers()) {
    std::printf("%-5s  %-24s  %s  %s%s%s\n", Word(peer.kind()).c_str(), peer.name().c_str(),
                peer.key().substr(0, 16).c_str(),
                peer.revoked_at() != 0 ? absl::StrCat("revoked ", At(peer.revoked_at())).c_str()
                                       : absl::StrCat("since ", At(peer.enrolled_at())).c_str(),
                peer.labels().empty() ? "" : "  ", LabelsOf(peer.labels()).c_str());
  }
  for (const v1::Invited& invited : list.invited()) {
    std::printf("%-5s  %-24s  invited until %s  %s\n", Word(invited.kind()).c_str(),
                invited.name().empty() ? "(any name)" : invited.name().c_str(),
                At(invited.expires_at()).c_str(), LabelsOf(invited.labels()).c_str());
  }
  return exit_code::kOk;
}

int Revoke(const config::Settings& settings, const Asked& asked) {
  v1::RevokeRequest request;
  request.set_kind(KindOf(asked.kind));
  request.set_name(asked.name);
  v1::Peer peer;
  const int code = Ask(settings, [&](v1::Access::Stub& stub, grpc::ClientContext* context) {
    return stub.Revoke(context, request, &peer);
  });
  if (code == exit_code::kOk) std::printf("%s %s is revoked\n", asked.kind.c_str(), asked.name.c_str());
  return code;
}

void AddKind(CLI::App& app, Asked* asked) {
  app.add_option("KIND", asked->kind, "drone or user")->required()->check(CLI::IsMember({"drone", "user"}));
}

}  // namespace

std::vector<config::Verb> AdminVerbs() {
  auto invite = std::make_shared<Asked>(), revoke = std::make_shared<Asked>();
  std::vector<config::Verb> verbs = {
      {"invite",
       "Let a drone or a person on another host in: prints the line to run there",
       {"data"},
       [invite](CLI::App& app) {
         AddKind(app, invite.get());
         app.add_option("NAME", invite->name, "What it is called; a drone may choose for itself");
         app.add_option("--label", invite->labels, "Of a drone, which it cannot give itself")
             ->type_name("NAME=VALUE")
             ->allow_extra_args(false);
         app.add_option("--ttl", invite->ttl, "How long it may be used (default: 15m, at most 24h)")
             ->type_name("TIME");
       },
       [invite](const config::Settings& settings) { return Invite(settings, *invite); }},
      {"peers",
       "Who may come from other hosts, and open invitations",
       {"data"},
       [](CLI::App&) {},
       [](const config::Settings& settings) { return List(settings); }},
      {"revoke",
       "Cut a drone or a person off, for ever",
       {"data"},
       [revoke](CLI::App& app) {
         AddKind(app, revoke.get());
         app.add_option("NAME", revoke->name, "Who")->required();
       },
       [revoke](const config::Settings& settings) { return Revoke(settings, *revoke); }},
      CheckVerb(),
  };
  std::vector<config::Verb> backups = BackupVerbs();
  for (config::Verb& verb : backups) verbs.push_back(std::move(verb));
  return verbs;
}

}  // namespace waggle::queen
