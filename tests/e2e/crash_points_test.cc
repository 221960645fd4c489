// Every failpoint of the product (common/base/failpoint.h) ends its process once, in a small real hive under
// a supervisor: whatever was stored and not said, or said and not stored, each job has one verdict and an
// exact log, and no deploy begins twice.
#include <gmock/gmock.h>
#include <signal.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/failpoint.h"
#include "tests/e2e/supervised_hive.h"
#include "tests/queen/store/raw_database.h"

namespace waggle::test {
namespace {

constexpr int kKilled = 128 + SIGKILL;
constexpr std::uint64_t kTwoSegments = 12'000'000;  // bytes of output

enum class Scenario {
  kJobs,       // three jobs from submit to verdict
  kSegments,   // the same with more output than a segment of the spool holds
  kRecovery,   // the process is killed in mid-job and started again with the failpoint
  kRetention,  // the log of an ended job is deleted at a start
  kEnrolment,  // a drone of another host enrols and runs a job
};

// When a point is passed more than once, the times that differ.
struct Case {
  std::string point;
  Scenario scenario = Scenario::kJobs;
  std::vector<int> times = {1};
};

const std::vector<Case>& Cases() {
  using enum Scenario;
  static const auto* cases = new std::vector<Case>{
      {"queen.batch.stepped", kJobs, {1, 3, 6}},
      {"queen.batch.stored", kJobs, {2, 4, 7}},
      {"queen.effect.released", kJobs, {1, 4, 8, 12}},
      {"queen.assign.stored", kJobs, {1, 3}},
      {"queen.grant.stored"},
      {"queen.verdict.stored", kJobs, {1, 2}},
      {"queen.records.appended", kJobs, {1, 3, 7}},
      {"queen.records.synced", kJobs, {1, 2, 4}},
      {"queen.final.synced", kJobs, {1, 3}},
      {"queen.final.posted", kJobs, {1, 2}},
      {"queen.seal.decided"},
      {"queen.seal.written"},
      {"queen.recovery.row", kRecovery, {1, 3}},
      {"queen.recovery.loaded", kRecovery},
      {"queen.recovery.log", kRecovery},
      {"queen.retention.marked", kRetention},
      {"queen.retention.deleted", kRetention},
      {"queen.enrolment.stored", kEnrolment},
      {"queen.enrolment.signed", kEnrolment},
      {"drone.epoch.raised", kJobs, {1, 2}},
      {"drone.work.taken"},
      {"drone.attempt.named", kJobs, {1, 2}},
      {"drone.shim.launched", kJobs, {1, 2}},
      {"drone.start.sent", kJobs, {1, 2}},
      {"drone.control.sent", kJobs, {1, 2, 3, 5}},
      {"drone.records.sent", kJobs, {1, 3}},
      {"drone.grant.received"},
      {"drone.grant.sent"},
      {"drone.ack.received"},
      {"drone.segment.trimmed", kSegments},
      {"drone.shim.gone", kJobs, {1, 2}},
      {"drone.delete.begun", kJobs, {1, 3}},
      {"drone.delete.work"},
      {"drone.recovery.found", kRecovery},
      {"drone.enrolment.answered", kEnrolment},
      {"drone.enrolment.stored", kEnrolment},
      {"shim.start.received"},
      {"shim.records.appended", kJobs, {1, 3}},
      {"shim.grant.received"},
      {"shim.command.started"},
      {"shim.command.ended"},
      {"shim.final.decided"},
      {"shim.final.appended"},
      {"shim.final.told"},
  };
  return *cases;
}

struct Once {
  std::string point;
  Scenario scenario;
  int time;
};

std::vector<Once> AllOnce() {
  std::vector<Once> all;
  for (const Case& one : Cases()) {
    for (int time : one.times) all.push_back({one.point, one.scenario, time});
  }
  return all;
}

TEST(CrashPoints, EachOfTheProductHasAScenario) {
  std::vector<std::string> known(failpoint::kNames.begin(), failpoint::kNames.end()), tested;
  for (const Case& one : Cases()) tested.push_back(one.point);
  EXPECT_THAT(tested, ::testing::UnorderedElementsAreArray(known));
}

class CrashPoint : public SupervisedHive, public ::testing::WithParamInterface<Once> {
 protected:
  void SetUp() override {
    const std::string& point = GetParam().point;
    shims_ = absl::StartsWith(point, "shim.");
    drone_ = absl::StartsWith(point, "drone.");
    Queen().argv = {Binary("queen"), "serve", "--data", QueenData()};
    Bee().argv = {Binary("drone"),  "serve",  "--queen", QueenData(), "--data",
                  DroneData("bee"), "--name", "bee",     "--slots",   std::to_string(kSlots)};
  }

  Unit& Victim() { return shims_ || drone_ ? Bee() : Queen(); }
  void Arm(Unit& unit) {
    unit.env[failpoint::kVariable] =
        absl::StrCat(GetParam().point, ":", GetParam().time, ":kill:", temp_ / "fired");
    if (!shims_) unit.expected = {kKilled};
  }
  void ExpectFired() {
    EXPECT_TRUE(Exists(temp_ / "fired")) << "the failpoint was never passed so often";
    EXPECT_EQ(Victim().codes, shims_ ? std::vector<int>{} : std::vector<int>{kKilled});
  }

  void RunJobs(std::uint64_t printed) {
    Arm(Victim());
    Up(Queen());
    Up(Bee());
    const Jobs jobs = SubmitJobs(printed);
    Judge(jobs, shims_);
    ExpectFired();
  }

  void RunRecovery() {
    Up(Queen());
    Up(Bee());
    const std::uint64_t held = SubmitOnce(
        TestJob({WitnessStart(Witness()) + AwaitFile(Gate("go")) + "echo held\n" + WitnessEnd(Witness())}));
    const Jobs jobs = SubmitJobs();
    EXPECT_TRUE(Until([&] { return AskJson({"show", std::to_string(held)})["state"] == "started"; }));
    Arm(Victim());
    Kill(Victim());
    Until([&] { return Exists(temp_ / "fired"); });
    Open("go");
    EXPECT_EQ(WaitForEnd(held)["attempts"].size(), 1u);
    EXPECT_EQ(Ask({"logs", "--raw", std::to_string(held)}).out, "held\n");
    Judge(jobs);
    ExpectFired();
  }

  void RunRetention() {
    Up(Queen());
    Up(Bee());
    const std::uint64_t old = SubmitOnce(TestJob({"echo old"}));
    const Json facts = WaitForEnd(old);
    const std::string file =
        absl::StrCat(QueenData(), "/logs/0/", facts["attempts"][0]["epoch"].get<std::uint64_t>(), ".000");
    EXPECT_TRUE(Exists(file));
    queen::RawDatabase(QueenData() + "/queen.db").Run("UPDATE attempts SET log_ended=log_ended-7862400000");
    Arm(Queen());
    Kill(Queen());
    Until([&] { return Exists(temp_ / "fired"); });
    const Jobs jobs = SubmitJobs();
    EXPECT_TRUE(Until([&] { return !Exists(file); }));
    EXPECT_TRUE(Until([&] {
      return absl::StrContains(Waggle({"logs", absl::StrCat(old)}).err, "attempt 1 was removed on ");
    }));
    EXPECT_EQ(AskJson({"show", absl::StrCat(old)})["state"], "passed");
    Judge(jobs);
    ExpectFired();
    EXPECT_EQ(queen::RawDatabase(QueenData() + "/queen.db")
                  .Ask("SELECT count(*) FROM attempts WHERE log_files=0 AND log_removed > 0"),
              "1|");
  }

  void RunEnrolment() {
    const Words remote = {"--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"};
    const Words local = Queen().argv;
    Queen().argv.insert(Queen().argv.end(), remote.begin(), remote.end());
    if (!drone_) Arm(Queen());
    Up(Queen());
    RemoteQueen where;
    ASSERT_TRUE(Until([&] {
      where = ListensAt(Queen().child->Err());
      return !where.https.empty();
    }));
    Queen().argv = local;
    for (const std::string& word :
         {std::string("--listen"), where.grpc, std::string("--http"), where.https}) {
      Queen().argv.push_back(word);
    }
    const std::string token = Invite("drone", "bee");
    if (drone_) env_[failpoint::kVariable] = absl::StrCat(GetParam().point, ":1:kill:", temp_ / "fired");
    int tries = 0;
    EXPECT_TRUE(Until([&] {
      ++tries;
      Child enrol = Start({Binary("drone"), "enroll", "https://" + where.https, "--token", token, "--data",
                           DroneData("bee")});
      Until([&] { return !enrol.Running(); });
      const Outcome outcome = enrol.Finish();
      EXPECT_TRUE(outcome.code == 0 || outcome.code == 1 || outcome.code == kKilled) << outcome;
      return outcome.code == 0;
    }));
    EXPECT_GE(tries, 2) << "the first was to fail";
    env_.erase(failpoint::kVariable);
    Bee().argv = {Binary("drone"), "serve", "--data", DroneData("bee")};
    Up(Bee());
    const std::uint64_t job = SubmitOnce(TestJob({"echo enrolled"}));
    EXPECT_EQ(WaitForEnd(job)["state"], "passed");
    EXPECT_EQ(Ask({"logs", "--raw", std::to_string(job)}).out, "enrolled\n");
    EXPECT_TRUE(Exists(temp_ / "fired")) << "the failpoint was never passed";
    Stop(Bee());
    Stop(Queen());
  }

  bool shims_ = false, drone_ = false;
};

TEST_P(CrashPoint, LosesNothingAndDoesNothingTwice) {
  switch (GetParam().scenario) {
    case Scenario::kJobs:
      return RunJobs(400'000);
    case Scenario::kSegments:
      return RunJobs(kTwoSegments);
    case Scenario::kRecovery:
      return RunRecovery();
    case Scenario::kRetention:
      return RunRetention();
    case Scenario::kEnrolment:
      return RunEnrolment();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Each, CrashPoint, ::testing::ValuesIn(AllOnce()), [](const ::testing::TestParamInfo<Once>& info) {
      return absl::StrCat(absl::StrReplaceAll(info.param.point, {{".", "_"}}), "_", info.param.time);
    });

}  // namespace
}  // namespace waggle::test
