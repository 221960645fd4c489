#include "tools/bench/hive.h"

#include <signal.h>

#include <chrono>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"

namespace waggle::bench {
namespace {

using namespace std::chrono_literals;

constexpr Duration kStart = 30s;

absl::Status WithLog(const absl::Status& status, const std::string& log) {
  std::string text = ReadFile(log, std::size_t{1} << 30).value_or("");
  if (text.size() > 2000) text.erase(0, text.size() - 2000);
  return absl::Status(status.code(), absl::StrCat(std::string(status.message()), "\n", text));
}

constexpr std::uintmax_t kLargeFile = 1 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<Hive>> Hive::Start(const Bench& bench) {
  static int number = 0;
  std::string directory = absl::StrCat(bench.scratch(), "/h", ++number);
  RETURN_IF_ERROR(MakeDirectories(directory));
  std::unique_ptr<Hive> hive(new Hive(bench, directory));
  RETURN_IF_ERROR(hive->StartQueen());
  return hive;
}

Hive::~Hive() {
  client_.reset();
  drones_.clear();
  queen_.Kill();
  // Shims outlive their drones, and become children of the bench.
  for (pid_t pid : ProcessesWith(directory_ + "/")) ::kill(pid, SIGKILL);
  Await([this] { return ProcessesWith(directory_ + "/").empty(); }, 10s, "the end of the shims")
      .IgnoreError();
  // Its thousands of small files stay to the end: file systems are slow to make files right after many were
  // removed, and that is not for the next repetition to pay. Large ones go.
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_, ignored)) {
    if (entry.is_regular_file(ignored) && entry.file_size(ignored) > kLargeFile) {
      std::filesystem::remove(entry.path(), ignored);
    }
  }
}

absl::Status Hive::StartQueen() {
  const std::string log = directory_ + "/queen.log";
  ASSIGN_OR_RETURN(queen_, Program::Start({bench_.Binary("queen"), "serve", "--data", data()}, log));
  absl::StatusOr<std::unique_ptr<Client>> client = absl::UnavailableError("");
  const absl::Status up = Await(
      [&] {
        client = Client::Connect(data() + "/queen.sock");
        return client.ok() || !queen_.running();
      },
      kStart, "the start of the queen");
  if (!client.ok()) return WithLog(up.ok() ? absl::InternalError("the queen ended at once") : up, log);
  client_ = std::move(*client);
  return absl::OkStatus();
}

void Hive::KillQueen() {
  client_.reset();
  queen_.Kill();
}

absl::StatusOr<Program> Hive::StartDrone(std::size_t index) const {
  const std::string name = absl::StrCat("d", index);
  return Program::Start(
      {bench_.Binary("drone"), "serve", "--queen", data(), "--data", absl::StrCat(directory_, "/", name),
       "--name", name, "--slots", absl::StrCat(slots_), "--isolation-default", "none"},
      absl::StrCat(directory_, "/", name, ".log"));
}

absl::Status Hive::AddDrones(int count, int slots) {
  slots_ = slots;
  for (int i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(Program drone, StartDrone(drones_.size()));
    drones_.push_back(std::move(drone));
  }
  const absl::Status connected =
      Await([this] { return Connected().value_or(0) >= static_cast<int>(drones_.size()); }, kStart,
            "the connection of the drones");
  return connected.ok() ? connected : WithLog(connected, directory_ + "/d0.log");
}

absl::Status Hive::RestartDrone(std::size_t index) {
  ASSIGN_OR_RETURN(drones_[index], StartDrone(index));
  return Await([this] { return Connected().value_or(0) >= static_cast<int>(drones_.size()); }, kStart,
               "the return of the drone");
}

absl::StatusOr<int> Hive::Connected() {
  ASSIGN_OR_RETURN(const FleetState fleet, client_->Fleet());
  return fleet.connected;
}

}  // namespace waggle::bench
