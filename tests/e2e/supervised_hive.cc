#include "tests/e2e/supervised_hive.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "tests/support/check_history.h"

namespace waggle::test {
namespace {

constexpr std::uint64_t kKey = 20'261'121;
constexpr std::uint64_t kStderr = 60'000;  // bytes
constexpr std::size_t kShownLog = 4000;

bool IsOver(const std::string& state) {
  return state == "passed" || state == "failed" || state == "errored" || state == "canceled";
}

void ShowEnd(const std::string& what, const Child& child) {
  const std::string log = child.Err();
  std::cerr << "=== " << what << "\n" << log.substr(log.size() - std::min(log.size(), kShownLog)) << "\n";
}

}  // namespace

void SupervisedHive::TearDown() {
  if (HasFailure()) {
    for (const Child& child : gone_) ShowEnd("daemon that ended", child);
    for (const auto& [name, unit] : units_) {
      if (unit.child) ShowEnd(name, *unit.child);
    }
  }
  units_.clear();
  gone_.clear();
  HiveFixture::TearDown();
}

void SupervisedHive::Up(Unit& unit) {
  if (unit.child) gone_.push_back(std::move(*unit.child));
  Words argv = unit.before;
  argv.insert(argv.end(), unit.argv.begin(), unit.argv.end());
  const std::map<std::string, std::string> before = env_;
  for (const auto& [name, value] : unit.env) env_[name] = value;
  unit.child = Start(std::move(argv));
  env_ = before;
}

void SupervisedHive::Kill(Unit& unit) {
  unit.child->Signal(SIGKILL);
  EXPECT_EQ(unit.child->Wait(), 128 + SIGKILL);
  Up(unit);
}

void SupervisedHive::Stop(Unit& unit) {
  ::kill(-unit.child->pid(), SIGTERM);
  const Outcome outcome = unit.child->Finish(20s);
  EXPECT_EQ(outcome.code, 0) << outcome;
}

void SupervisedHive::Supervise() {
  for (auto& [name, unit] : units_) {
    if (!unit.child || unit.child->Running()) continue;
    const int code = *unit.child->Wait();
    unit.codes.push_back(code);
    EXPECT_THAT(unit.expected, ::testing::Contains(code)) << name << "\n" << unit.child->Err();
    if (unit.ended) unit.ended(code);
    Up(unit);
  }
}

bool SupervisedHive::Until(const std::function<bool()>& condition, Millis patience) {
  return Eventually(
      [&] {
        Supervise();
        return condition() || HasFatalFailure();
      },
      patience);
}

Outcome SupervisedHive::Ask(const Words& args) {
  Outcome outcome;
  EXPECT_TRUE(Until([&] {
    Child child = StartWaggle(args);
    Until([&] { return !child.Running(); });
    outcome = child.Finish();
    return outcome.code == 0;
  })) << outcome;
  return outcome;
}

Json SupervisedHive::AskJson(Words args) {
  args.insert(args.end(), {"-o", "json"});
  const Outcome outcome = Ask(args);
  Json json = Json::parse(outcome.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_FALSE(json.is_discarded()) << outcome;
  return json.is_discarded() ? Json::object() : json;
}

std::uint64_t SupervisedHive::SubmitOnce(const Json& document) {
  const std::string path = WriteJob(document);
  return AskJson({"submit", "--job", path, "--key", path}).value("id", std::uint64_t{0});
}

Json SupervisedHive::WaitForEnd(std::uint64_t job) {
  Json facts;
  EXPECT_TRUE(Until([&] {
    facts = AskJson({"show", std::to_string(job)});
    return IsOver(facts.value("state", ""));
  })) << facts.dump(2);
  return facts;
}

SupervisedHive::Jobs SupervisedHive::SubmitJobs(std::uint64_t printed) {
  Jobs jobs;
  jobs.printed = printed;
  jobs.bytes = SubmitOnce(TestJob({WitnessStart(Witness()) + "'" NOISY_BINARY "' print --key " +
                                   std::to_string(kKey) + " --stdout " + std::to_string(printed) +
                                   " --stderr " + std::to_string(kStderr) + "\n" + WitnessEnd(Witness())}));
  jobs.deploy = SubmitOnce(
      {{"type", "TEST_AND_DEPLOY"},
       {"test", {Step("echo tested")}},
       {"deploy", {Step(WitnessStart(Witness()) + "echo deployed; sleep 0.05\n" + WitnessEnd(Witness()))}}});
  jobs.lost =
      SubmitOnce(TestJob({"if [ $WAGGLE_ATTEMPT = 1 ]; then kill -9 $PPID; sleep 60; fi; echo found"}));
  return jobs;
}

void SupervisedHive::Judge(const Jobs& jobs, bool shims_die) {
  std::vector<HistoryEntry> history;
  const Json bytes = WaitForEnd(jobs.bytes), deploy = WaitForEnd(jobs.deploy), lost = WaitForEnd(jobs.lost);
  for (const Json* facts : {&bytes, &deploy, &lost}) Take((*facts)["id"], &history, *facts);

  EXPECT_EQ(bytes["state"], "passed") << bytes.dump(2);
  ExpectNoisy(jobs.bytes, {kKey, NoisyStream::kStdout, NoisyContent::kMixed, jobs.printed});
  ExpectNoisy(jobs.bytes, {kKey, NoisyStream::kStderr, NoisyContent::kMixed, kStderr});
  EXPECT_EQ(lost["state"], "passed") << lost.dump(2);
  EXPECT_EQ(Ask({"logs", "--raw", std::to_string(jobs.lost)}).out, "found\n");
  if (shims_die && deploy["state"] == "errored") {
    EXPECT_EQ(deploy["reason"], "unknown") << deploy.dump(2);
  } else {
    EXPECT_EQ(deploy["state"], "passed") << deploy.dump(2);
    EXPECT_EQ(Ask({"logs", "--raw", std::to_string(jobs.deploy)}).out, "tested\ndeployed\n");
  }

  const std::vector<HistoryEntry> witness = *LoadWitness(Witness());
  auto starts = [&](std::uint64_t job) {
    return std::count_if(witness.begin(), witness.end(),
                         [job](const HistoryEntry& e) { return e.op == Op::kStart && e.job == job; });
  };
  EXPECT_LE(starts(jobs.deploy), 1);
  if (!shims_die) {
    EXPECT_EQ(starts(jobs.deploy), 1);
    EXPECT_EQ(starts(jobs.bytes), 1) << bytes.dump(2);
  }
  history.insert(history.end(), witness.begin(), witness.end());
  const std::vector<Violation> violations = CheckHistory(history);
  EXPECT_TRUE(violations.empty()) << Summary(history, violations);
  ExpectNothingLeft();
}

// What the queen says of a job at the end, and `waggle verify` of its log.
void SupervisedHive::Take(std::uint64_t job, std::vector<HistoryEntry>* history, const Json& facts) {
  history->push_back({.t = 1, .actor = "submitter", .op = Op::kSubmit, .job = job});
  std::uint64_t attempt = 0;
  for (const Json& one : facts["attempts"]) {
    history->push_back({.t = 2,
                        .actor = "show",
                        .op = Op::kAttempt,
                        .job = job,
                        .attempt = ++attempt,
                        .state = one["state"],
                        .reason = one.value("reason", "")});
  }
  EXPECT_LE(attempt, 3u) << facts.dump(2);
  history->push_back({.t = 2,
                      .actor = "show",
                      .op = Op::kState,
                      .job = job,
                      .state = facts["state"],
                      .reason = facts.value("reason", "")});
  EXPECT_THAT(Ask({"verify", std::to_string(job)}).out, ::testing::HasSubstr(" complete: "));
}

void SupervisedHive::ExpectNoisy(std::uint64_t job, const NoisyPlan& plan) {
  NoisyChecker checker(plan);
  const char* stream = plan.stream == NoisyStream::kStdout ? "stdout" : "stderr";
  checker.Feed(Ask({"logs", "--raw", "--stream", stream, std::to_string(job)}).out);
  const std::optional<NoisyFault> fault = checker.Finish();
  EXPECT_FALSE(fault.has_value()) << "job " << job << ", " << stream << ": " << Text(*fault);
}

void SupervisedHive::ExpectNothingLeft() {
  auto entries = [this](const char* folder) {
    std::error_code none;
    const std::filesystem::directory_iterator all(DroneData("bee") + "/" + folder, none);
    return std::distance(all, std::filesystem::directory_iterator());
  };
  EXPECT_TRUE(Until([&] { return JobProcesses("bee").empty(); })) << "processes of a job are left";
  EXPECT_TRUE(Until([&] { return entries("attempts") + entries("work") + entries("trash") == 0; }))
      << entries("attempts") << " attempts, " << entries("work") << " work directories and "
      << entries("trash") << " pieces of trash are left";
  Stop(Bee());
  Stop(Queen());
  EXPECT_TRUE(Eventually([&] { return ProcessesNaming(temp_.path() + "/").empty(); })) << "a process is left";
}

}  // namespace waggle::test
