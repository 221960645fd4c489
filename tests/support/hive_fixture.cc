#include "tests/support/hive_fixture.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>

namespace waggle::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kShownLog = 6000;

bool Connects(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connects = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connects;
}

bool IsOver(const std::string& state) {
  return state == "passed" || state == "failed" || state == "errored" || state == "canceled" ||
         state == "skipped";
}

void ShowLog(const std::string& what, const Child& child) {
  const std::string log = child.Err();
  std::cerr << "=== " << what << "\n"
            << log.substr(log.size() > kShownLog ? log.size() - kShownLog : 0) << "\n";
}

Json Parsed(const Outcome& outcome) {
  Json json = Json::parse(outcome.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_FALSE(json.is_discarded()) << outcome;
  return json.is_discarded() ? Json::object() : json;
}

}  // namespace

Json Step(const std::string& script, const std::string& name) {
  Json step = {{"command", script}};
  if (!name.empty()) step["name"] = name;
  return step;
}

Json TestJob(const Words& scripts) {
  Json job = {{"type", "TEST"}, {"test", Json::array()}};
  for (const std::string& script : scripts) job["test"].push_back(Step(script));
  return job;
}

std::string AwaitFile(const std::string& path) {
  return "until [ -e '" + path + "' ]; do sleep 0.02; done\n";
}

HiveFixture::HiveFixture() {
  for (const char* name : {"home", "w", "d", "log", "gate", "jobs"}) fs::create_directories(temp_ / name);
  env_ = {{"PATH", std::getenv("PATH")}, {"HOME", temp_ / "home"},
          {"LC_ALL", "C.UTF-8"},         {"GIT_CONFIG_NOSYSTEM", "1"},
          {"WAGGLE_QUEEN", QueenData()}, {"WAGGLE_DRONE_ISOLATION_DEFAULT", "none"}};
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) env_[name] = value;
  }
}

void HiveFixture::TearDown() {
  if (HasFailure()) {
    for (const Child& queen : queens_) ShowLog("queen", queen);
    for (const Child& drone : gone_) ShowLog("drone that was killed", drone);
    for (const auto& [name, drone] : drones_) ShowLog("drone " + name, drone);
  }
  drones_.clear();
  queens_.clear();
  gone_.clear();
  EXPECT_TRUE(KillAllNaming(temp_.path() + "/")) << "processes of the test outlive it";
}

std::string HiveFixture::Binary(const std::string& name) {
  return std::string(WAGGLE_BIN_DIR) + "/" + name;
}

std::string HiveFixture::NextLog(const std::string& program) {
  return temp_ / "log/" + std::to_string(++logs_) + "-" + fs::path(program).filename().string();
}

Child HiveFixture::Start(Words argv, const std::string& cwd, bool nobody) {
  const std::string log = NextLog(argv[0]);
  return Child({.argv = std::move(argv),
                .env = env_,
                .cwd = cwd.empty() ? temp_ / "w" : cwd,
                .log = log,
                .nobody = nobody});
}

void HiveFixture::StartQueen(const Words& flags) {
  Words argv = {Binary("queen"), "serve", "--data", QueenData()};
  argv.insert(argv.end(), flags.begin(), flags.end());
  if (queen_files_ > 0) {
    const std::string limited = "ulimit -n " + std::to_string(queen_files_) + " && exec \"$0\" \"$@\"";
    argv.insert(argv.begin(), {"/bin/sh", "-c", limited});
  }
  queens_.push_back(Start(argv));
  Child& queen = queens_.back();
  const bool ready = Eventually([&] { return Connects(QueenData() + "/queen.sock") || !queen.Running(); });
  ASSERT_TRUE(ready && queen.Running()) << "the queen does not come up\n" << queen.Err();
}

void HiveFixture::StopQueen() {
  queens_.back().Signal(SIGTERM);
  const Outcome outcome = queens_.back().Finish(10s);
  EXPECT_EQ(outcome.code, 0) << outcome;
}

void HiveFixture::KillQueen() {
  queens_.back().Signal(SIGKILL);
  EXPECT_EQ(queens_.back().Wait(), 128 + SIGKILL);
}

Child& HiveFixture::StartDrone(const std::string& name, int slots, const Words& flags) {
  auto old = drones_.find(name);
  if (old != drones_.end()) {
    gone_.push_back(std::move(old->second));
    drones_.erase(old);
  }
  Words argv = {Binary("drone"), "serve",  "--queen", QueenData(), "--data",
                DroneData(name), "--name", name,      "--slots",   std::to_string(slots)};
  argv.insert(argv.end(), flags.begin(), flags.end());
  Child& drone = drones_.emplace(name, Start(argv)).first->second;
  const bool listed = Eventually([&] {
    if (!drone.Running()) return true;
    for (const Json& known : Drones()) {
      if (known["name"] == name && known["connected_at"] != 0 && known["state"] != "lost") return true;
    }
    return false;
  });
  EXPECT_TRUE(listed && drone.Running()) << "drone " << name << " does not come up\n" << drone.Err();
  return drone;
}

void HiveFixture::KillDrone(const std::string& name) {
  drones_.at(name).Signal(SIGKILL);
  EXPECT_EQ(drones_.at(name).Wait(), 128 + SIGKILL);
}

std::vector<pid_t> HiveFixture::JobProcesses(const std::string& drone) const {
  std::vector<pid_t> found = ProcessesNaming(DroneData(drone) + "/attempts/");
  for (pid_t pid : ProcessesNaming(DroneData(drone) + "/work/")) found.push_back(pid);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  // What shims are copied from is no job's.
  std::erase_if(found,
                [](pid_t pid) { return CommandLineOf(pid).find("waggle-shim --host") != std::string::npos; });
  return found;
}

Outcome HiveFixture::Waggle(Words args, const std::string& cwd, Millis patience) {
  return StartWaggle(std::move(args), cwd).Finish(patience);
}

Child HiveFixture::StartWaggle(Words args, const std::string& cwd) {
  args.insert(args.begin(), Binary("waggle"));
  return Start(std::move(args), cwd);
}

std::string HiveFixture::WriteJob(const Json& document) {
  const std::string path = temp_ / "jobs/" + std::to_string(++documents_) + ".json";
  WriteText(path, document.dump());
  return path;
}

std::uint64_t HiveFixture::Submit(const Json& document) {
  const Outcome outcome = Waggle({"submit", "--job", WriteJob(document), "-o", "json"});
  EXPECT_EQ(outcome.code, 0) << outcome;
  return Parsed(outcome).value("id", std::uint64_t{0});
}

Json HiveFixture::Show(std::uint64_t job) {
  const Outcome outcome = Waggle({"show", std::to_string(job), "-o", "json"});
  EXPECT_EQ(outcome.code, 0) << outcome;
  return Parsed(outcome);
}

std::vector<Json> HiveFixture::Jobs() {
  const Outcome outcome = Waggle({"jobs", "-o", "json", "-L", "1000"});
  EXPECT_EQ(outcome.code, 0) << outcome;
  const Json list = Parsed(outcome);
  return {list.rbegin(), list.rend()};
}

Json HiveFixture::Drones() {
  const Outcome outcome = Waggle({"drones", "-o", "json"});
  EXPECT_EQ(outcome.code, 0) << outcome;
  return Parsed(outcome);
}

std::string HiveFixture::StateOf(std::uint64_t job) {
  for (const Json& known : Jobs()) {
    if (known["id"] == job) return known["state"];
  }
  ADD_FAILURE() << "there is no job " << job;
  return "";
}

Json HiveFixture::WaitForState(std::uint64_t job, const std::string& state, Millis patience) {
  std::string seen;
  Eventually(
      [&] {
        seen = StateOf(job);
        return seen == state || seen.empty() || IsOver(seen);
      },
      patience);
  Json facts = Show(job);
  EXPECT_EQ(seen, state) << "job " << job << ": " << facts.dump(2).substr(0, 3000);
  return facts;
}

std::string HiveFixture::Raw(std::uint64_t job, const Words& flags) {
  Words args = {"logs", "--raw", std::to_string(job)};
  args.insert(args.end(), flags.begin(), flags.end());
  const Outcome outcome = Waggle(args);
  EXPECT_EQ(outcome.code, 0) << outcome;
  return outcome.out;
}

void HiveFixture::ExpectVerified(std::uint64_t job) {
  const Outcome outcome = Waggle({"verify", std::to_string(job)});
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_NE(outcome.out.find(" complete: "), std::string::npos) << outcome;
}

GitRepo HiveFixture::MakeRepo(const std::string& name) const {
  return GitRepo(temp_ / "repo/" + name, temp_ / "home");
}

}  // namespace waggle::test
