#include "drone/app/control_verbs.h"

#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/duration.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/base/vocabulary.h"
#include "common/rpc/channel.h"
#include "common/rpc/unix_socket.h"
#include "common/wire/enums.h"
#include "waggle/v1/drone.grpc.pb.h"

namespace waggle::drone {
namespace {

using Json = nlohmann::ordered_json;
using Stub = v1::LocalDrone::Stub;

constexpr std::chrono::seconds kDeadline(10);

// What the verbs were asked for; they outlive the parse.
struct Asked {
  bool json = false, now = false;
  std::string length, reason;
  std::uint32_t slots = 0;
};

// ---- what it looks like ----

std::string At(std::int64_t millis) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixMillis(millis), absl::UTCTimeZone());
}

std::string For(std::int64_t since, std::int64_t now) {
  if (since == 0) return "";
  const std::int64_t seconds = std::max<std::int64_t>(0, now - since) / 1000;
  return seconds == 0 ? "0s" : absl::FormatDuration(absl::Seconds(seconds));
}

std::string State(const v1::LocalStatus& status) {
  if (status.stopping()) return "stopping";
  if (status.draining()) return "draining";
  if (status.has_queens_drain()) return "drained";
  if (status.has_pause()) return "paused";
  return status.running() >= status.capacity() ? "busy" : "ready";
}

std::string Pause(const v1::LocalPause& pause) {
  return absl::StrCat(pause.until() == 0 ? "until `drone resume`" : absl::StrCat("until ", At(pause.until())),
                      pause.reason().empty() ? "" : ": ", pause.reason());
}

// The queen's drain, and how it ends.
std::string Drained(const v1::LocalStatus& status) {
  const v1::LocalDrain& drain = status.queens_drain();
  return absl::StrCat("by ", drain.by(), drain.reason().empty() ? "" : ": ", drain.reason(),
                      drain.deadline() == 0 ? "" : absl::StrCat(", until ", At(drain.deadline())),
                      "; `waggle undrain ", status.name(), "` undoes it");
}

std::string Phase(const v1::HeldAttempt& attempt) {
  const auto phase = wire::FromProto(attempt.phase());
  return phase ? std::string(Name(*phase)) : "?";
}

// One line of `drone jobs`, without its number.
std::string What(const v1::LocalJob& job, std::int64_t now) {
  const v1::HeldAttempt& attempt = job.attempt();
  switch (attempt.state()) {
    case v1::HeldAttempt::FINISHED:
    case v1::HeldAttempt::LOST:
      return absl::StrCat(attempt.state() == v1::HeldAttempt::LOST ? "lost" : "ended", ", ",
                          job.undelivered() == 0 ? "waits for the queen to store its end"
                                                 : absl::StrCat(job.undelivered(), " records to deliver"));
    case v1::HeldAttempt::ACCEPTED:
      return "starting";
    default:
      return absl::StrCat(Phase(attempt),
                          attempt.wants_grant() ? ", waits for the queen's word to deploy" : "",
                          attempt.started_at() == 0 ? "" : ", running ", For(attempt.started_at(), now));
  }
}

std::string JobLines(const v1::LocalStatus& status, std::int64_t now) {
  std::string text;
  for (const v1::LocalJob& job : status.jobs()) {
    absl::StrAppend(&text, job.id() == 0 ? std::string("  new job") : absl::StrCat("  job ", job.id()), "  ",
                    What(job, now), "\n");
  }
  return text;
}

std::string Text(const v1::LocalStatus& status, std::int64_t now) {
  std::string text = absl::StrCat(status.name(), "  ", State(status), "  ", status.running(), "/",
                                  status.capacity(), " slots in use\n");
  absl::StrAppend(&text, "  queen    ", status.queen(),
                  status.connected() ? ", connected" : ", not connected",
                  status.connected() || status.trouble().empty() ? "" : ": ",
                  status.connected() ? "" : status.trouble(), "\n");
  absl::StrAppend(&text, "  process  ", status.pid(), ", version ", status.version(), ", data in ",
                  status.data(), "\n");
  if (status.has_pause()) absl::StrAppend(&text, "  paused   ", Pause(status.pause()), "\n");
  if (status.has_queens_drain()) absl::StrAppend(&text, "  drained  ", Drained(status), "\n");
  if (status.stopping()) {
    absl::StrAppend(&text, "  stopping what ran is handed back; it exits when that is delivered\n");
  } else if (status.draining()) {
    absl::StrAppend(&text, "  draining it exits when nothing is held; `drone resume` undoes it\n");
  }
  return absl::StrCat(text, JobLines(status, now));
}

Json ToJson(const v1::LocalStatus& status) {
  Json jobs = Json::array();
  for (const v1::LocalJob& job : status.jobs()) {
    const v1::HeldAttempt& attempt = job.attempt();
    jobs.push_back({{"id", job.id()},
                    {"epoch", attempt.epoch()},
                    {"state", absl::AsciiStrToLower(v1::HeldAttempt::State_Name(attempt.state()))},
                    {"phase", Phase(attempt)},
                    {"wants_grant", attempt.wants_grant()},
                    {"received_at", attempt.received_at()},
                    {"started_at", attempt.started_at()},
                    {"undelivered_records", job.undelivered()}});
  }
  Json pause = nullptr, drain = nullptr;
  if (status.has_pause()) {
    pause = {{"reason", status.pause().reason()}, {"until", status.pause().until()}};
  }
  if (status.has_queens_drain()) {
    drain = {{"by", status.queens_drain().by()},
             {"reason", status.queens_drain().reason()},
             {"deadline", status.queens_drain().deadline()}};
  }
  return {
      {"name", status.name()},         {"state", State(status)},          {"version", status.version()},
      {"host", status.host()},         {"data", status.data()},           {"pid", status.pid()},
      {"queen", status.queen()},       {"connected", status.connected()}, {"trouble", status.trouble()},
      {"capacity", status.capacity()}, {"running", status.running()},     {"draining", status.draining()},
      {"stopping", status.stopping()}, {"paused", std::move(pause)},      {"queens_drain", std::move(drain)},
      {"jobs", std::move(jobs)}};
}

// ---- asking ----

using Call = std::function<grpc::Status(Stub&, grpc::ClientContext*, v1::LocalStatus*)>;

absl::StatusOr<v1::LocalStatus> Ask(const std::string& data, const Call& call) {
  const std::string path = absl::StrCat(data, "/drone.sock");
  absl::StatusOr<rpc::UnixSocket> socket = rpc::UnixSocket::At(path);
  absl::Status there = socket.ok() ? socket->Knock() : socket.status();
  if (absl::IsPermissionDenied(there)) {
    return absl::PermissionDeniedError(
        absl::StrCat("you may not use ", path, "\nnext: ask as the user that runs the drone"));
  }
  if (!there.ok()) {
    return absl::UnavailableError(absl::StrCat("no drone runs on ", data, "\n", there.message(), " (", path,
                                               ")\nnext: `drone serve` starts it; --data names another one"));
  }
  auto stub = v1::LocalDrone::NewStub(rpc::OpenChannel(socket->Target()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  v1::LocalStatus answer;
  const grpc::Status status = call(*stub, &context, &answer);
  if (status.ok()) return answer;
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

int Run(const config::Settings& settings, const Asked& asked, const Call& call,
        const std::function<std::string(const v1::LocalStatus&)>& text) {
  const std::string data = std::filesystem::absolute(settings.Get("data")).lexically_normal();
  absl::StatusOr<v1::LocalStatus> status = Ask(data, call);
  if (!status.ok()) {
    const bool refused = absl::IsInvalidArgument(status.status());
    return config::Fail(refused ? exit_code::kUsage : exit_code::kRuntimeFailure, status.status());
  }
  const std::string out = asked.json ? ToJson(*status).dump(2) + "\n" : text(*status);
  std::fputs(out.c_str(), stdout);
  return exit_code::kOk;
}

// ---- the verbs ----

config::Verb MakeVerb(std::string_view name, std::string_view help,
                      std::function<void(CLI::App&, Asked*)> add,
                      std::function<int(const config::Settings&, const Asked&)> run) {
  auto asked = std::make_shared<Asked>();
  return {name,
          help,
          {"data"},
          [asked, add = std::move(add)](CLI::App& app) {
            app.add_flag("--json", asked->json, "The whole state as JSON");
            if (add) add(app, asked.get());
          },
          [asked, run = std::move(run)](const config::Settings& settings) { return run(settings, *asked); }};
}

int RunPause(const config::Settings& settings, const Asked& asked) {
  v1::LocalPauseRequest request;
  request.set_reason(asked.reason);
  if (!asked.length.empty()) {
    const ParsedDuration length = ParseDuration(asked.length);
    if (length.fault != DurationFault::kNone || length.value.count() <= 0) {
      return config::Fail(exit_code::kUsage,
                          absl::InvalidArgumentError(absl::StrCat(Quoted(asked.length), " is not a time\n",
                                                                  "write 30m, 2h or 1h30m")));
    }
    request.set_length_ms(length.value.count());
  }
  return Run(
      settings, asked,
      [&](Stub& stub, grpc::ClientContext* context, v1::LocalStatus* answer) {
        return stub.Pause(context, request, answer);
      },
      [](const v1::LocalStatus& status) {
        return absl::StrCat(status.name(), " takes no new work ", Pause(status.pause()), "\n",
                            status.running() == 0 ? "" : absl::StrCat(status.running(), " running go on\n"));
      });
}

int RunDrain(const config::Settings& settings, const Asked& asked, bool now) {
  return Run(
      settings, asked,
      [&](Stub& stub, grpc::ClientContext* context, v1::LocalStatus* answer) {
        return now ? stub.Stop(context, {}, answer) : stub.Drain(context, {}, answer);
      },
      [now](const v1::LocalStatus& status) {
        const std::string left = JobLines(status, absl::ToUnixMillis(absl::Now()));
        if (left.empty()) return absl::StrCat(status.name(), " holds nothing: it exits\n");
        return absl::StrCat(status.name(),
                            now ? " hands back what runs and exits when that is delivered:\n"
                                : " takes no new work and exits when these are over and delivered:\n",
                            left);
      });
}

}  // namespace

std::vector<config::Verb> ControlVerbs() {
  auto status = [](Stub& stub, grpc::ClientContext* context, v1::LocalStatus* answer) {
    return stub.Status(context, {}, answer);
  };
  auto now = [] { return absl::ToUnixMillis(absl::Now()); };
  return {
      MakeVerb("status", "How the running drone is: its queen, its slots, what it runs", nullptr,
               [=](const config::Settings& settings, const Asked& asked) {
                 return Run(settings, asked, status,
                            [=](const v1::LocalStatus& s) { return Text(s, now()); });
               }),
      MakeVerb("jobs", "What the running drone holds", nullptr,
               [=](const config::Settings& settings, const Asked& asked) {
                 return Run(settings, asked, status, [=](const v1::LocalStatus& s) {
                   return s.jobs().empty() ? std::string("nothing\n") : JobLines(s, now());
                 });
               }),
      MakeVerb(
          "pause", "Take no new work and keep running; survives a restart",
          [](CLI::App& app, Asked* asked) {
            app.add_option("TIME", asked->length,
                           "How long, such as 30m or 2h (default: until `drone resume`)");
            app.add_option("--reason", asked->reason, "Shown to everybody")->type_name("TEXT");
          },
          RunPause),
      MakeVerb("resume", "Take work again: ends a pause, and a drain that is not over", nullptr,
               [](const config::Settings& settings, const Asked& asked) {
                 return Run(
                     settings, asked,
                     [](Stub& stub, grpc::ClientContext* context, v1::LocalStatus* answer) {
                       return stub.Resume(context, {}, answer);
                     },
                     [](const v1::LocalStatus& s) {
                       return absl::StrCat(s.name(), " takes work: ", s.capacity(), " slots\n");
                     });
               }),
      MakeVerb("drain", "Take no new work, finish what runs and exit", nullptr,
               [](const config::Settings& settings, const Asked& asked) {
                 return RunDrain(settings, asked, false);
               }),
      MakeVerb(
          "stop", "The same as drain; with --now what runs is ended and goes to another drone",
          [](CLI::App& app, Asked* asked) {
            app.add_flag("--now", asked->now, "Hand back what runs instead of waiting for it");
          },
          [](const config::Settings& settings, const Asked& asked) {
            return RunDrain(settings, asked, asked.now);
          }),
      MakeVerb(
          "resize", "Change the number of slots until the next start; interrupts nothing",
          [](CLI::App& app, Asked* asked) {
            app.add_option("N", asked->slots, "Jobs at a time")->required();
          },
          [](const config::Settings& settings, const Asked& asked) {
            v1::LocalResizeRequest request;
            request.set_capacity(asked.slots);
            return Run(
                settings, asked,
                [&](Stub& stub, grpc::ClientContext* context, v1::LocalStatus* answer) {
                  return stub.Resize(context, request, answer);
                },
                [](const v1::LocalStatus& s) {
                  return absl::StrCat(s.name(), " has ", s.capacity(),
                                      s.capacity() == 1 ? " slot, " : " slots, ", s.running(), " in use\n");
                });
          }),
  };
}

}  // namespace waggle::drone
