#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "common/base/duration.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "tools/waggle/client.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/json.h"
#include "tools/waggle/render.h"
#include "tools/waggle/session.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookAgain = 500ms;

std::string LoginName() {
  const passwd* user = ::getpwuid(::geteuid());
  return user == nullptr ? "" : user->pw_name;
}

// One line about a job that is waited for.
std::string JobLine(Client& client, std::uint64_t id, const Style& style) {
  v1::GetJobRequest request;
  request.set_id(id);
  v1::Job job;
  if (!client.GetJob(request, &job).ok()) return absl::StrCat("   ", id, "\n");
  const std::string name = job.run() == 0 ? job.name() : absl::StrCat(job.run(), "/", job.name());
  return absl::StrCat(
      " ", std::string(style.Icon(StateOf(job))), " ", id, " ", name, "   ",
      job.started_at() == 0 ? "starting" : absl::StrCat("running ", Age(WallNow() - job.started_at())), "\n");
}

// Waits for drones to become empty and tells what for.
class Wait {
 public:
  Wait(Session& session, Client& client, const std::vector<std::string>& names)
      : session_(session), client_(client), left_(names.begin(), names.end()), all_(names) {}

  absl::Status Run() {
    for (bool first = true; !left_.empty(); first = false) {
      if (!first) std::this_thread::sleep_for(kLookAgain);
      v1::ListDronesResponse drones;
      RETURN_IF_ERROR(client_.ListDrones(&drones));
      Look(drones);
      if (first && !left_.empty()) {
        Say(absl::StrCat("Ctrl-C stops waiting, not draining. Undo: waggle undrain ",
                         absl::StrJoin(all_, " "), "\n"));
      }
    }
    return absl::OkStatus();
  }

 private:
  void Look(const v1::ListDronesResponse& drones) {
    std::set<std::string> gone = left_;
    for (const v1::Drone& drone : drones.drones()) {
      if (gone.erase(drone.name()) == 0) continue;
      const std::set<std::uint64_t> jobs(drone.jobs().begin(), drone.jobs().end());
      if (jobs.empty()) {
        Empty(drone.name());
      } else if (drone.drained_at() == 0) {
        Say(absl::StrCat(drone.name(), " was undrained: it is not waited for any more\n"));
        left_.erase(drone.name());
      } else {
        Tell(drone, jobs);
      }
    }
    for (const std::string& name : gone) Empty(name);  // another drone took its name
  }

  void Tell(const v1::Drone& drone, const std::set<std::uint64_t>& jobs) {
    auto [known, fresh] = waiting_.try_emplace(drone.name(), jobs);
    if (!fresh && known->second == jobs) return;
    known->second = jobs;
    std::string text = absl::StrCat(drone.name(), " takes no new jobs. Waiting for ", jobs.size(), ":\n");
    for (std::uint64_t id : jobs) absl::StrAppend(&text, JobLine(client_, id, session_.out_style));
    if (drone.state() == "lost") {
      absl::StrAppend(&text, "   it is not connected; its jobs go elsewhere if it does not come back\n");
    }
    Say(text);
  }

  void Empty(const std::string& name) {
    left_.erase(name);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(BootClock::now() - began_);
    Say(absl::StrCat(std::string(session_.out_style.Icon(JobState::kPassed)), " ", name, " is empty",
                     waiting_.contains(name) ? absl::StrCat(" after ", Age(took.count())) : "", "\n"));
  }

  void Say(const std::string& text) {
    if (session_.options.json || session_.options.quiet) return;
    session_.out.Write(text);
    session_.out.Flush();
  }

  Session& session_;
  Client& client_;
  std::set<std::string> left_;
  const std::vector<std::string> all_;
  std::map<std::string, std::set<std::uint64_t>> waiting_;  // as it was told
  const Time began_ = BootClock::now();
};

int Finish(Session& session, Client& client, const std::vector<std::string>& names) {
  if (!session.options.json) return session.Done();
  v1::ListDronesResponse drones;
  absl::Status status = client.ListDrones(&drones);
  if (!status.ok()) return session.Fail(status);
  Json list = Json::array();
  for (const v1::Drone& drone : drones.drones()) {
    if (std::find(names.begin(), names.end(), drone.name()) != names.end()) list.push_back(ToJson(drone));
  }
  session.out.Write(Pretty(list));
  return session.Done();
}

}  // namespace

int RunDrain(Session& session, const DrainOptions& options) {
  v1::DrainRequest request;
  request.set_reason(options.reason);
  request.set_by(LoginName());
  if (!options.deadline.empty()) {
    const ParsedDuration deadline = ParseDuration(options.deadline);
    if (deadline.fault != DurationFault::kNone || deadline.value.count() <= 0) {
      return session.FailUsage(absl::InvalidArgumentError(
          absl::StrCat("--deadline ", Quoted(options.deadline), " is not a time\nwrite 30m, 1h or 1h30m")));
    }
    request.set_deadline_ms(deadline.value.count());
  }
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  for (const std::string& name : options.names) {
    request.set_name(name);
    v1::Drone drone;
    absl::Status status = (*client)->DrainDrone(request, &drone);
    if (!status.ok()) return session.Fail(status);
    if (options.no_wait && !session.options.json && !session.options.quiet) {
      session.out.Write(absl::StrCat(name, " takes no new jobs; ", Plural(drone.used(), "job"),
                                     drone.used() == 1 ? " runs" : " run", " there. Undo: waggle undrain ",
                                     name, "\n"));
    }
  }
  if (!options.no_wait) {
    absl::Status status = Wait(session, **client, options.names).Run();
    if (!status.ok()) return session.Fail(status);
  }
  return Finish(session, **client, options.names);
}

int RunUndrain(Session& session, const std::vector<std::string>& names) {
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  for (const std::string& name : names) {
    v1::UndrainRequest request;
    request.set_name(name);
    v1::Drone drone;
    absl::Status status = (*client)->UndrainDrone(request, &drone);
    if (!status.ok()) return session.Fail(status);
    if (session.options.json || session.options.quiet) continue;
    const bool closed = drone.state() == "paused" || drone.state() == "draining";
    session.out.Write(
        absl::StrCat(name,
                     closed ? absl::StrCat(" is still ", drone.state(), " by its owner: `drone resume` there")
                     : drone.state() == "lost" ? std::string(" takes jobs again as soon as it is connected")
                                               : std::string(" takes jobs again"),
                     "\n"));
  }
  return Finish(session, **client, names);
}

}  // namespace waggle::cli
