#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/journal/scan.h"
#include "common/pipeline/job_spec.h"
#include "common/wire/job_document.h"
#include "tests/drone/link/fake_queen.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"
#include "waggle/v1/hive.pb.h"

// The built drone with its real shim, against a scripted queen over a real Unix socket.
namespace waggle::drone {
namespace {

using namespace std::chrono_literals;
using test::Eventually;
using test::Exists;
using testing::HasSubstr;

constexpr std::uint64_t kEpoch = 7;

class DroneLinkTest : public testing::Test {
 protected:
  DroneLinkTest() : queen_(dir_ / "queen.sock"), data_(dir_ / "data") {}
  ~DroneLinkTest() override {
    drone_.reset();
    for (pid_t pid : test::ProcessesNaming(dir_.path())) ::kill(pid, SIGKILL);
  }

  test::Child Spawn(const std::string& log) {
    test::Child::Spec spec;
    spec.argv = {DRONE_PATH, "serve",     "--isolation-default",
                 "none",     "--queen",   "unix:" + dir_ / "queen.sock",
                 "--data",   data_,       "--name",
                 "bee-1",    "--slots",   "2",
                 "--label",  "zone=test", "--env",
                 "OWNER=yes"};
    spec.env = {{"PATH", "/usr/bin:/bin"}, {"SECRET_OF_THE_DAEMON", "1"}};
    spec.cwd = dir_.path();
    spec.log = dir_ / log;
    return test::Child(spec);
  }
  void StartDrone(const std::string& log = "drone") { drone_.emplace(Spawn(log)); }
  void Up() {
    queen_.Listen();
    StartDrone();
    ASSERT_TRUE(Eventually([&] { return queen_.hellos().size() == 1; })) << drone_->Err();
  }

  // Once the drone has a session, gives it a job with one script as its test phase.
  void Assign(std::uint64_t epoch, const std::string& script) {
    pipeline::JobSpec spec;
    spec.name = "unit";
    spec.trigger.timestamp = WallNow();
    pipeline::Command command;
    command.name = "step";
    command.command = script;
    spec.phases[static_cast<int>(Phase::kTest)].push_back(command);
    AssignDocument(epoch, wire::SerializeDocument(spec, JobId(epoch + 100)));
  }
  void AssignDocument(std::uint64_t epoch, const std::string& document) {
    v1::FromQueen message;
    message.mutable_assign()->set_epoch(epoch);
    message.mutable_assign()->set_attempt(1);
    message.mutable_assign()->set_document(document);
    queen_.Send(message);
  }
  void Verdict(std::uint64_t epoch) {
    v1::FromQueen message;
    message.mutable_verdict()->set_epoch(epoch);
    message.mutable_verdict()->set_state(v1::PASSED);
    queen_.Send(message);
  }
  template <typename Match>
  bool Said(Match match) {
    return Eventually([&] {
      const auto said = queen_.said();
      return std::any_of(said.begin(), said.end(), match);
    });
  }
  bool SaidState(std::uint64_t epoch, v1::HeldAttempt::State state) {
    return Said([=](const v1::FromDrone& m) {
      return m.has_status() && m.status().attempt().epoch() == epoch && m.status().attempt().state() == state;
    });
  }
  std::string AttemptDirectory(std::uint64_t epoch) { return absl::StrCat(data_, "/attempts/", epoch); }
  pid_t ShimOf(std::uint64_t epoch) {
    for (pid_t pid : test::ProcessesNaming(AttemptDirectory(epoch))) {
      const std::string line = test::CommandLineOf(pid);
      if (line.find("waggle-shim") != std::string::npos) return pid;
    }
    return 0;
  }
  // A job that says one line, waits for a file, says another.
  std::string Gate(const std::string& file) {
    return absl::StrCat("echo before; while [ ! -e ", dir_ / file, " ]; do sleep 0.02; done; echo after");
  }
  bool HasLine(const std::string& line) { return absl::StrContains(queen_.output(kEpoch), line + "\n"); }
  // What is left of it: acknowledged segments are deleted.
  std::string Spool(std::uint64_t epoch) {
    std::string spool;
    auto visit = [&](const journal::RecordView& record, journal::Position) { spool.append(record.raw); };
    auto tail = journal::ScanLeft({AttemptDirectory(epoch), "spool"}, Epoch(epoch), visit);
    EXPECT_TRUE(tail.ok() && tail->problem.empty());
    return spool;
  }

  test::TempDir dir_;
  FakeQueen queen_;
  const std::string data_;
  std::optional<test::Child> drone_;
};

TEST_F(DroneLinkTest, HelloSaysWhoItIs) {
  Up();
  const v1::Hello hello = queen_.hellos()[0];
  EXPECT_EQ(hello.identity().size(), 32u);
  EXPECT_EQ(hello.identity() + "\n", test::ReadText(data_ + "/identity"));
  EXPECT_EQ(hello.name(), "bee-1");
  EXPECT_EQ(hello.protocol_min(), 1u);
  EXPECT_EQ(hello.info().capacity(), 2u);
  EXPECT_EQ(hello.info().labels().at("zone"), "test");
  EXPECT_EQ(hello.info().labels().at("os"), "linux");
  EXPECT_FALSE(hello.boot_id().empty());
  EXPECT_EQ(hello.place().find(hello.boot_id() + "/"), 0u);
}

TEST_F(DroneLinkTest, AJobRunsIsDeliveredByteForByteAndDeletedAfterItsVerdict) {
  Up();
  Assign(kEpoch, "seq 1 2000; echo $WAGGLE_JOB $OWNER ${SECRET_OF_THE_DAEMON-none} $CI $WAGGLE_DRONE");
  ASSERT_TRUE(Eventually([&] { return queen_.HasFinal(kEpoch); })) << drone_->Err();
  ASSERT_TRUE(SaidState(kEpoch, v1::HeldAttempt::FINISHED));
  std::string expected;
  for (int i = 1; i <= 2000; ++i) absl::StrAppend(&expected, i, "\n");
  EXPECT_EQ(queen_.output(kEpoch), expected + "107 yes none true bee-1\n");
  EXPECT_EQ(queen_.log(kEpoch), Spool(kEpoch));
  EXPECT_EQ(queen_.gaps(), 0u);
  EXPECT_EQ(queen_.repeats(), 0u);
  Verdict(kEpoch);
  EXPECT_TRUE(Eventually([&] { return !Exists(AttemptDirectory(kEpoch)); }));
  std::error_code error;
  EXPECT_TRUE(Eventually([&] { return std::filesystem::is_empty(data_ + "/trash", error); }));
  EXPECT_FALSE(Exists(data_ + "/work/107-1"));
}

TEST_F(DroneLinkTest, ACutBulkStreamResumesWithoutAGap) {
  Up();
  queen_.set_acknowledge(false);
  Assign(kEpoch, absl::StrCat("seq 1 100000; ", Gate("go"), "; seq 1 100000"));
  ASSERT_TRUE(Eventually([&] { return HasLine("before"); }));
  for (std::size_t cuts = 1; cuts <= 3; ++cuts) {
    const std::size_t streams = queen_.bulk_streams();
    queen_.CutBulk();
    ASSERT_TRUE(Eventually([&] { return queen_.bulk_streams() > streams; }));
  }
  queen_.set_acknowledge(true);
  test::WriteText(dir_ / "go", "");
  ASSERT_TRUE(Eventually([&] { return queen_.HasFinal(kEpoch); })) << drone_->Err();
  EXPECT_EQ(queen_.gaps(), 0u);
  EXPECT_GT(queen_.repeats(), 0u) << "what was not acknowledged is sent again";
  EXPECT_TRUE(queen_.log(kEpoch).ends_with(Spool(kEpoch)));
  std::string numbers;
  for (int i = 1; i <= 100'000; ++i) absl::StrAppend(&numbers, i, "\n");
  EXPECT_TRUE(queen_.output(kEpoch) == absl::StrCat(numbers, "before\nafter\n", numbers));
  EXPECT_EQ(queen_.hellos().size(), 1u) << "control has a connection of its own";
}

TEST_F(DroneLinkTest, AQueenThatRestartsLosesNothing) {
  Up();
  Assign(kEpoch, Gate("go"));
  ASSERT_TRUE(Eventually([&] { return HasLine("before"); }));
  const pid_t shim = ShimOf(kEpoch);
  ASSERT_NE(shim, 0);
  queen_.Disappear();
  test::WriteText(dir_ / "go", "");
  ASSERT_TRUE(Eventually([&] { return !test::IsAlive(shim); })) << "the job ends without a queen";
  queen_.Listen();
  ASSERT_TRUE(Eventually([&] { return queen_.HasFinal(kEpoch); })) << drone_->Err();
  EXPECT_EQ(queen_.hellos().back().attempts(0).state(), v1::HeldAttempt::FINISHED);
  EXPECT_EQ(queen_.output(kEpoch), "before\nafter\n");
  EXPECT_EQ(queen_.gaps(), 0u);
}

TEST_F(DroneLinkTest, AKilledDaemonFindsItsShimAgain) {
  Up();
  Assign(kEpoch, Gate("go"));
  ASSERT_TRUE(Eventually([&] { return HasLine("before"); }));
  const pid_t shim = ShimOf(kEpoch);
  ASSERT_NE(shim, 0);
  drone_->Signal(SIGKILL);
  ASSERT_EQ(drone_->Wait(), 128 + SIGKILL);
  EXPECT_TRUE(test::IsAlive(shim));
  StartDrone("again");
  ASSERT_TRUE(Eventually([&] { return queen_.hellos().size() == 2; })) << drone_->Err();
  const v1::Hello hello = queen_.hellos()[1];
  ASSERT_EQ(hello.attempts_size(), 1);
  EXPECT_EQ(hello.attempts(0).state(), v1::HeldAttempt::RUNNING);
  EXPECT_GT(hello.attempts(0).received_at(), 0);
  EXPECT_EQ(hello.highest_epoch(), kEpoch);
  EXPECT_EQ(ShimOf(kEpoch), shim);
  test::WriteText(dir_ / "go", "");
  ASSERT_TRUE(Eventually([&] { return queen_.HasFinal(kEpoch); })) << drone_->Err();
  EXPECT_EQ(queen_.output(kEpoch), "before\nafter\n");
  EXPECT_EQ(queen_.gaps(), 0u);
  EXPECT_EQ(queen_.log(kEpoch), Spool(kEpoch));
}

TEST_F(DroneLinkTest, AJobThatEndsWhileTheDaemonIsDeadIsDeliveredByTheNext) {
  Up();
  Assign(kEpoch, Gate("go"));
  ASSERT_TRUE(Eventually([&] { return HasLine("before"); }));
  const pid_t shim = ShimOf(kEpoch);
  drone_->Signal(SIGKILL);
  ASSERT_EQ(drone_->Wait(), 128 + SIGKILL);
  test::WriteText(dir_ / "go", "");
  ASSERT_TRUE(Eventually([&] { return !test::IsAlive(shim); }));
  StartDrone("again");
  ASSERT_TRUE(Eventually([&] { return queen_.HasFinal(kEpoch); })) << drone_->Err();
  EXPECT_EQ(queen_.hellos()[1].attempts(0).state(), v1::HeldAttempt::FINISHED);
  EXPECT_EQ(queen_.hellos()[1].attempts(0).test_code(), 0);
  EXPECT_EQ(queen_.output(kEpoch), "before\nafter\n");
}

TEST_F(DroneLinkTest, AKilledShimIsReportedAndLeavesNoProcess) {
  Up();
  Assign(kEpoch, absl::StrCat("setsid sleep 1000 & ", Gate("never")));
  ASSERT_TRUE(Eventually([&] { return HasLine("before"); }));
  ::kill(ShimOf(kEpoch), SIGKILL);
  ASSERT_TRUE(Said([](const v1::FromDrone& m) { return m.has_shim_lost(); })) << drone_->Err();
  const auto said = queen_.said();
  const auto lost = std::find_if(said.begin(), said.end(), [](const auto& m) { return m.has_shim_lost(); });
  EXPECT_EQ(lost->shim_lost().epoch(), kEpoch);
  EXPECT_THAT(lost->shim_lost().detail(), HasSubstr("signal 9"));
  for (pid_t pid : test::ProcessesNaming(AttemptDirectory(kEpoch))) {
    ADD_FAILURE() << "left: " << test::CommandLineOf(pid);
  }
}

TEST_F(DroneLinkTest, CancelEndsTheJob) {
  Up();
  Assign(kEpoch, Gate("never"));
  ASSERT_TRUE(Eventually([&] { return HasLine("before"); }));
  v1::FromQueen cancel;
  cancel.mutable_cancel()->set_epoch(kEpoch);
  cancel.mutable_cancel()->set_by("ada");
  cancel.mutable_cancel()->set_reason("typo");
  queen_.Send(cancel);
  ASSERT_TRUE(Eventually([&] { return queen_.HasFinal(kEpoch); })) << drone_->Err();
  EXPECT_THAT(queen_.log(kEpoch), HasSubstr("canceled by ada: typo"));
}

TEST_F(DroneLinkTest, FencedAttemptsDieAndDisappear) {
  Up();
  Assign(kEpoch, Gate("never"));
  ASSERT_TRUE(Eventually([&] { return HasLine("before"); }));
  const pid_t shim = ShimOf(kEpoch);
  v1::FromQueen fenced;
  fenced.mutable_fenced()->set_epoch(kEpoch);
  queen_.Send(fenced);
  EXPECT_TRUE(Eventually([&] { return !Exists(AttemptDirectory(kEpoch)); })) << drone_->Err();
  EXPECT_FALSE(test::IsAlive(shim));
  EXPECT_FALSE(queen_.HasFinal(kEpoch));
}

TEST_F(DroneLinkTest, DocumentsThatCannotRunAreRejectedWithTheReason) {
  Up();
  AssignDocument(kEpoch, "\xff\xff not a document");
  ASSERT_TRUE(Said([](const v1::FromDrone& m) {
    return m.has_reject() && m.reject().reason().find("are no waggle.v1.JobDocument") != std::string::npos;
  })) << drone_->Err();
  EXPECT_FALSE(Exists(AttemptDirectory(kEpoch)));
  Assign(kEpoch + 1, "echo fine");
  EXPECT_TRUE(Eventually([&] { return queen_.HasFinal(kEpoch + 1); }));
}

TEST_F(DroneLinkTest, ASecondDaemonOnTheDirectoryIsRefused) {
  Up();
  test::Child second = Spawn("second");
  const test::Outcome outcome = second.Finish();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err,
              HasSubstr(absl::StrCat("another drone daemon (process ", drone_->pid(), ") uses ", data_)));
  EXPECT_TRUE(drone_->Running());
}

TEST_F(DroneLinkTest, ADeposedSessionExitsAndDoesNotComeBack) {
  queen_.on_hello = [](const v1::Hello&, v1::Welcome* welcome) {
    welcome->set_heartbeat_idle_ms(20);
    return FakeQueen::Refusal{};
  };
  Up();
  queen_.EndControl({10, "a newer session from host bee-2"});
  EXPECT_EQ(drone_->Wait(), 1);
  EXPECT_THAT(drone_->Err(), HasSubstr("a newer session from host bee-2"));
  EXPECT_EQ(queen_.hellos().size(), 1u);
}

TEST_F(DroneLinkTest, ANameInUseEndsItWithTheQueensWords) {
  queen_.on_hello = [](const v1::Hello&, v1::Welcome*) {
    return FakeQueen::Refusal{9, "the name bee-1 is in use by another drone"};
  };
  queen_.Listen();
  StartDrone();
  EXPECT_EQ(drone_->Wait(), 1);
  EXPECT_THAT(drone_->Err(), HasSubstr("the name bee-1 is in use by another drone"));
}

TEST_F(DroneLinkTest, WaitsForAQueenThatIsNotThereYet) {
  StartDrone();
  ASSERT_TRUE(Eventually([&] { return drone_->Err().find("cannot reach the queen") != std::string::npos; }));
  queen_.Listen();
  EXPECT_TRUE(Eventually([&] { return queen_.hellos().size() == 1; }));
}

TEST_F(DroneLinkTest, TermDetachesAndTheJobGoesOn) {
  Up();
  Assign(kEpoch, Gate("go"));
  ASSERT_TRUE(Eventually([&] { return HasLine("before"); }));
  const pid_t shim = ShimOf(kEpoch);
  drone_->Signal(SIGTERM);
  EXPECT_EQ(drone_->Wait(), 0);
  EXPECT_TRUE(test::IsAlive(shim));
  StartDrone("again");
  test::WriteText(dir_ / "go", "");
  EXPECT_TRUE(Eventually([&] { return queen_.HasFinal(kEpoch); })) << drone_->Err();
}

TEST_F(DroneLinkTest, IntDrainsAndLeavesAfterTheLastVerdict) {
  Up();
  Assign(kEpoch, Gate("go"));
  ASSERT_TRUE(Eventually([&] { return HasLine("before"); }));
  drone_->Signal(SIGINT);
  ASSERT_TRUE(
      Said([](const v1::FromDrone& m) { return m.has_info() && m.info().intake() == v1::Info::DRAINING; }));
  Assign(kEpoch + 1, "echo no");
  ASSERT_TRUE(Said([](const v1::FromDrone& m) { return m.has_reject(); }));
  test::WriteText(dir_ / "go", "");
  ASSERT_TRUE(Eventually([&] { return queen_.HasFinal(kEpoch); }));
  EXPECT_TRUE(drone_->Running());
  Verdict(kEpoch);
  EXPECT_EQ(drone_->Wait(), 0) << drone_->Err();
}

TEST_F(DroneLinkTest, QuitEndsTheTreeAndHandsItBack) {
  Up();
  Assign(kEpoch, Gate("never"));
  ASSERT_TRUE(Eventually([&] { return HasLine("before"); }));
  const pid_t shim = ShimOf(kEpoch);
  drone_->Signal(SIGQUIT);
  ASSERT_TRUE(Said([](const v1::FromDrone& m) {
    return m.has_shim_lost() && m.shim_lost().epoch() == kEpoch && m.shim_lost().handed_back();
  })) << drone_->Err();
  EXPECT_FALSE(test::IsAlive(shim));
  EXPECT_THAT(queen_.log(kEpoch), HasSubstr("before"));
  Verdict(kEpoch);
  EXPECT_EQ(drone_->Wait(), 0) << drone_->Err();
}

}  // namespace
}  // namespace waggle::drone
