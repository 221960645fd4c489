#include "drone/attempt/attempts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/process/cgroup.h"
#include "common/process/tree.h"
#include "common/wire/job_document.h"
#include "drone/attempt/shim_socket.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace waggle::attempt {
namespace {

using namespace std::chrono_literals;
using drone::HeldState;
using test::Exists;
using testing::HasSubstr;

constexpr Epoch kEpoch(7);

// Real shims under an Attempts object; its death and a second one are a restart of the daemon.
class AttemptsTest : public testing::Test {
 protected:
  AttemptsTest() : layout_(dir_ / "data") {
    EXPECT_TRUE(layout_.Prepare().ok());
    EXPECT_TRUE(process::BecomeSubreaper().ok());
    host_.identity = "00112233445566778899aabbccddeeff";
    host_.drone = "bee-1";
    host_.helper = dir_ / "no-helper";
    host_.mirrors = layout_.Mirrors();
    host_.boot_id = "this boot";
  }
  ~AttemptsTest() override {
    Down();
    for (pid_t pid : test::ProcessesNaming(dir_.path())) ::kill(pid, SIGKILL);
  }

  void Up(const std::string& shim = WAGGLE_SHIM_PATH) {
    auto poller = Poller::Create();
    ASSERT_TRUE(poller.ok());
    poller_ = std::move(*poller);
    janitor_ = std::make_unique<Janitor>(layout_);
    auto highest = HighestEpoch::Open(layout_);
    ASSERT_TRUE(highest.ok());
    attempts_ = std::make_unique<Attempts>(
        Attempts::Config{layout_, host_, shim, shim_answers_}, std::move(*highest), poller_.get(),
        janitor_.get(), [this](drone::Event event) { events_.push_back(std::move(event)); },
        [this](drone::effect::Note note) { notes_.push_back(note.text); });
    attempts_->Recover();
  }
  void Down() {
    attempts_.reset();
    janitor_.reset();
    poller_.reset();
    events_.clear();
  }

  std::string Document(const std::string& script, const std::string& url = "",
                       const std::string& plugin = "") {
    pipeline::JobSpec spec;
    spec.trigger.timestamp = 1;
    spec.repo.url = url;
    if (!url.empty()) spec.ref.branch = "main";
    if (!plugin.empty()) spec.plugins = {{plugin}};
    pipeline::Command command;
    command.command = script;
    spec.phases[static_cast<int>(Phase::kTest)].push_back(command);
    return wire::SerializeDocument(spec, JobId(12));
  }
  void Start(const std::string& script) { attempts_->Start({kEpoch, 1, Document(script), 1000}); }

  // Runs the loop until an event of this type comes; the ones before it are kept in seen_.
  template <typename E>
  std::optional<E> Next() {
    const Time deadline = BootClock::now() + 30s;
    while (BootClock::now() < deadline) {
      while (!events_.empty()) {
        drone::Event event = std::move(events_.front());
        events_.erase(events_.begin());
        if (const E* e = std::get_if<E>(&event)) return *e;
        if (const auto* w = std::get_if<drone::event::ShimWatermark>(&event)) last_ = w->last;
        if (const auto* s = std::get_if<drone::event::ShimStatus>(&event)) last_ = s->held.last;
      }
      std::optional<Time> wake = attempts_->NextDeadline();
      poller_->WakeAt(std::min(wake.value_or(deadline), deadline));
      auto due = poller_->Wait();
      EXPECT_TRUE(due.ok()) << due.status();
      if (due.ok() && *due) attempts_->OnTime(BootClock::now());
    }
    return std::nullopt;
  }
  std::string Output(Seq to, Epoch epoch = kEpoch) {
    std::string raw, output;
    auto upto = attempts_->Read(epoch, Seq(1), to, 1 << 20, &raw);
    EXPECT_TRUE(upto.ok()) << upto.status();
    journal::ForEachRecord(raw, [&](const journal::RecordView& record) {
      if (record.header.kind == journal::Kind::kStdout) output.append(record.payload);
    });
    return output;
  }
  pid_t Shim() {
    for (pid_t pid : test::ProcessesNaming(layout_.Attempt(kEpoch))) {
      if (absl::StrContains(test::CommandLineOf(pid), "waggle-shim")) return pid;
    }
    return 0;
  }
  // Processes below this one, but for the host of the shims.
  std::size_t Left() {
    std::size_t left = 0;
    for (pid_t pid : process::Descendants(::getpid())) {
      if (!absl::StrContains(test::CommandLineOf(pid), "waggle-shim --host")) ++left;
    }
    return left;
  }
  bool HasCgroup() {
    return process::Cgroup::Adopt(process::AttemptCgroup(AttemptKey(host_.identity, kEpoch))).ok();
  }
  std::string Gate() {
    return absl::StrCat("echo before; while [ ! -e ", dir_ / "go", " ]; do sleep 0.02; done; echo after");
  }
  bool SpoolHas(std::string_view text) {
    return test::Eventually([&] { return !test::FilesContaining(layout_.Attempt(kEpoch), text).empty(); });
  }
  void WriteFacts(const Facts& facts) {
    test::WriteText(absl::StrCat(layout_.Attempt(facts.epoch), "/attempt.bin"), EncodeFacts(facts));
  }

  test::TempDir dir_;
  Layout layout_;
  Host host_;
  std::unique_ptr<Poller> poller_;
  std::unique_ptr<Janitor> janitor_;
  std::unique_ptr<Attempts> attempts_;
  std::vector<drone::Event> events_;
  std::vector<std::string> notes_;
  Seq last_;
  Duration shim_answers_ = Attempts::kShimAnswers;
};

TEST_F(AttemptsTest, RunsToItsEndAndIsDeleted) {
  Up();
  Start("echo hello");
  auto started = Next<drone::event::Started>();
  ASSERT_TRUE(started);
  EXPECT_EQ(started->job, JobId(12));
  auto gone = Next<drone::event::ShimGone>();
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->held.state, HeldState::kFinished);
  EXPECT_EQ(Output(gone->held.last), "hello\n");
  EXPECT_TRUE(Exists(layout_.Work() + "/12-1"));
  attempts_->Delete(kEpoch);
  EXPECT_FALSE(Exists(layout_.Attempt(kEpoch)));
  EXPECT_FALSE(Exists(layout_.Work() + "/12-1"));
}

TEST_F(AttemptsTest, TheNextAttemptGetsItsPlaceEmptied) {
  Up();
  Start("echo mine | tee ./a ../b $HOME/.c $TMPDIR/d; mkdir -p ../src/deep");
  auto gone = Next<drone::event::ShimGone>();
  ASSERT_TRUE(gone);
  struct stat first, second;
  ASSERT_EQ(::stat((layout_.Work() + "/12-1").c_str(), &first), 0);
  attempts_->Delete(kEpoch);
  ASSERT_TRUE(test::Eventually([&] { return !std::filesystem::is_empty(layout_.Spare()); }));
  const Epoch next(kEpoch.value() + 1);
  attempts_->Start(
      {next, 2, Document("find .. \"$HOME\" \"$TMPDIR\" -mindepth 1 ! -name 'step-*'; pwd"), 1000});
  gone = Next<drone::event::ShimGone>();
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->held.state, HeldState::kFinished);
  ASSERT_EQ(::stat((layout_.Work() + "/12-2").c_str(), &second), 0);
  EXPECT_EQ(first.st_ino, second.st_ino) << "it was made anew";
  EXPECT_EQ(Output(gone->held.last, next), "../src\n" + layout_.Work() + "/12-2/src\n");
}

TEST_F(AttemptsTest, APathTooLongForASocketAddressWorks) {
  layout_ = Layout(dir_ / std::string(150, 'd'));
  ASSERT_TRUE(layout_.Prepare().ok());
  Up();
  Start("echo far");
  auto gone = Next<drone::event::ShimGone>();
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->held.state, HeldState::kFinished);
}

TEST_F(AttemptsTest, ARestartedDaemonFindsTheShimWithItsNumbers) {
  Up();
  Start(Gate());
  ASSERT_TRUE(SpoolHas("before"));
  const pid_t shim = Shim();
  Down();
  Up();
  auto recovered = Next<drone::event::Recovered>();
  ASSERT_TRUE(recovered);
  EXPECT_TRUE(recovered->alive);
  EXPECT_EQ(recovered->job, JobId(12));
  EXPECT_EQ(recovered->held.received, 1000);
  auto status = Next<drone::event::ShimStatus>();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->held.state, HeldState::kRunning);
  EXPECT_EQ(Shim(), shim);
  test::WriteText(dir_ / "go", "");
  auto gone = Next<drone::event::ShimGone>();
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->held.state, HeldState::kFinished);
  EXPECT_EQ(Output(gone->held.last), "before\nafter\n");
}

TEST_F(AttemptsTest, AnAttemptThatEndedMeanwhileIsFinishedWithItsFacts) {
  Up();
  Start("echo x; exit 3");
  auto first = Next<drone::event::ShimGone>();
  ASSERT_TRUE(first);
  Down();
  Up();
  auto recovered = Next<drone::event::Recovered>();
  ASSERT_TRUE(recovered);
  EXPECT_FALSE(recovered->alive);
  EXPECT_EQ(recovered->held.state, HeldState::kFinished);
  EXPECT_EQ(recovered->held.last, first->held.last);
  EXPECT_EQ(recovered->held.test_code, 3);
  EXPECT_GT(recovered->held.finished, 0);
  EXPECT_EQ(recovered->held.counter, drone::kCounterAfterShim);
}

TEST_F(AttemptsTest, AKilledShimIsLostAndItsTreeIsDead) {
  Up();
  // One process that leaves the session and forgets its mark, one that keeps it.
  Start("setsid env -i sleep 1000 >/dev/null 2>&1 & setsid sleep 1001 & " + Gate());
  ASSERT_TRUE(SpoolHas("before"));
  ::kill(Shim(), SIGKILL);
  auto gone = Next<drone::event::ShimGone>();
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->held.state, HeldState::kLost);
  EXPECT_GT(gone->held.last, Seq(0));
  EXPECT_GT(gone->held.started, 0);
  EXPECT_THAT(gone->detail, HasSubstr("signal 9"));
  EXPECT_EQ(Left(), 0u);
  EXPECT_FALSE(HasCgroup());
}

TEST_F(AttemptsTest, KillEndsShimAndJob) {
  Up();
  Start("setsid sleep 1000 & " + Gate());
  ASSERT_TRUE(SpoolHas("before"));
  attempts_->Kill(kEpoch);
  auto gone = Next<drone::event::ShimGone>();
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->held.state, HeldState::kLost);
  EXPECT_EQ(Left(), 0u);
}

TEST_F(AttemptsTest, AShimKilledWhileTheDaemonWasAwayIsLostAndItsRestKilled) {
  Up();
  Start("setsid sleep 1000 & " + Gate());
  ASSERT_TRUE(SpoolHas("before"));
  Down();
  ::kill(Shim(), SIGKILL);
  ASSERT_TRUE(test::Eventually([&] { return Shim() == 0; }));
  Up();
  auto recovered = Next<drone::event::Recovered>();
  ASSERT_TRUE(recovered);
  EXPECT_FALSE(recovered->alive);
  EXPECT_EQ(recovered->held.state, HeldState::kLost);
  EXPECT_THAT(recovered->detail, HasSubstr("its shim was gone"));
  EXPECT_TRUE(process::FindMarked(AttemptKey(host_.identity, kEpoch)).empty());
  EXPECT_FALSE(HasCgroup());
}

TEST_F(AttemptsTest, AfterARestartOfTheHostNobodyIsKilled) {
  Up();
  Start(Gate());
  ASSERT_TRUE(SpoolHas("before"));
  const pid_t shim = Shim();
  Down();
  host_.boot_id = "another boot";
  Up();
  auto recovered = Next<drone::event::Recovered>();
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->held.state, HeldState::kLost);
  EXPECT_THAT(recovered->detail, HasSubstr("host was started anew"));
  EXPECT_TRUE(test::IsAlive(shim)) << "by its number it could be anybody's";
}

TEST_F(AttemptsTest, ALostOneThatNeverWroteARecordIsListedToo) {
  Facts facts{kEpoch, JobId(12), 1, JobType::kTest, 5, host_.boot_id, layout_.Work() + "/12-1"};
  WriteFacts(facts);
  Up();
  auto recovered = Next<drone::event::Recovered>();
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->held.state, HeldState::kLost);
  EXPECT_EQ(recovered->held.last, Seq(0));
  EXPECT_EQ(recovered->held.received, 5);
}

TEST_F(AttemptsTest, DamagedDirectoriesAreSetAsideAndTheRestIsFound) {
  Facts good{Epoch(3), JobId(12), 1, JobType::kTest, 5, host_.boot_id, layout_.Work() + "/12-1"};
  WriteFacts(good);
  test::WriteText(layout_.Attempts() + "/4/attempt.bin", "garbage");
  ASSERT_EQ(::mkdir((layout_.Attempts() + "/5").c_str(), 0700), 0);
  test::WriteText(layout_.Attempts() + "/not-a-number/x", "x");
  test::WriteText(layout_.Attempts() + "/06/attempt.bin", "x");
  Facts wrong = good;
  wrong.epoch = Epoch(99);
  test::WriteText(layout_.Attempts() + "/8/attempt.bin", EncodeFacts(wrong));
  Up();
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(std::get<drone::event::Recovered>(events_[0]).held.epoch, Epoch(3));
  EXPECT_EQ(notes_.size(), 5u);
  EXPECT_TRUE(Exists(layout_.Attempts() + "/3"));
  for (const char* name : {"4", "5", "not-a-number", "06", "8"}) {
    EXPECT_FALSE(Exists(absl::StrCat(layout_.Attempts(), "/", name))) << name;
  }
  EXPECT_EQ(test::FilesContaining(layout_.Bad(), "garbage").size(), 1u);
}

TEST_F(AttemptsTest, ADamagedRecordIsDataLossNotACrash) {
  Up();
  Start("echo hello");
  auto gone = Next<drone::event::ShimGone>();
  ASSERT_TRUE(gone);
  const std::string spool = layout_.Attempt(kEpoch) + "/spool.000";
  std::string bytes = test::ReadText(spool);
  bytes[bytes.size() / 2] ^= 1;
  test::WriteText(spool, bytes);
  std::string raw;
  auto upto = attempts_->Read(kEpoch, Seq(1), gone->held.last, 1 << 20, &raw);
  if (upto.ok()) upto = attempts_->Read(kEpoch, Seq(upto->value() + 1), gone->held.last, 1 << 20, &raw);
  EXPECT_TRUE(absl::IsDataLoss(upto.status())) << upto.status();
}

TEST_F(AttemptsTest, WhatCannotStartSaysWhyAndLeavesNothing) {
  Up(dir_ / "no-shim");
  Start("echo hello");
  auto failed = Next<drone::event::StartFailed>();
  ASSERT_TRUE(failed);
  EXPECT_THAT(failed->reason, HasSubstr("no-shim"));
  attempts_->Start({kEpoch, 1, "\x01\x02 nonsense", 1000});
  failed = Next<drone::event::StartFailed>();
  ASSERT_TRUE(failed);
  EXPECT_THAT(failed->reason, HasSubstr("are no waggle.v1.JobDocument"));
  attempts_->Start({kEpoch, 1, Document("true", "https://git.example/x"), 1000});
  failed = Next<drone::event::StartFailed>();
  ASSERT_TRUE(failed);
  EXPECT_THAT(failed->reason, HasSubstr("no-helper is missing"));
  attempts_->Start({kEpoch, 1, Document("true", "", "ccache"), 1000});
  failed = Next<drone::event::StartFailed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->reason, "this drone has no plugin `ccache`; `drone plugins` lists what it has");
  EXPECT_FALSE(Exists(layout_.Attempt(kEpoch)));
  EXPECT_FALSE(Exists(layout_.Work() + "/12-1"));
}

TEST_F(AttemptsTest, AShimThatSaysNothingIsKilledAndSaidToBeHung) {
  shim_answers_ = 0ms;
  Up();
  Start("echo hello");
  attempts_->OnTime(BootClock::now());  // before anything it said was read
  auto gone = Next<drone::event::ShimGone>();
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->held.state, HeldState::kLost);
  EXPECT_THAT(gone->detail, HasSubstr("waggle-shim was started and said nothing for 0 ms, so it was killed"));
  EXPECT_TRUE(test::Eventually([&] { return test::ProcessesNaming(layout_.Attempt(kEpoch)).empty(); }));
}

TEST_F(AttemptsTest, ASocketThatAnswersWithNonsenseEndsNothingButItself) {
  Facts facts{kEpoch, JobId(12), 1, JobType::kTest, 5, host_.boot_id, layout_.Work() + "/12-1"};
  WriteFacts(facts);
  // This test process listens where a shim should: it bears no mark of the attempt.
  auto listener = ListenForDaemon(layout_.Attempt(kEpoch));
  ASSERT_TRUE(listener.ok()) << listener.status();
  Up();
  UniqueFd peer(::accept(listener->fd.get(), nullptr, nullptr));
  ASSERT_TRUE(peer.valid());
  ASSERT_TRUE(WriteAll(peer.get(), std::string_view("\xff\xff\xff\xff rubbish")).ok());
  auto gone = Next<drone::event::ShimGone>();
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->held.state, HeldState::kLost);
}

TEST_F(AttemptsTest, WorkDirectoriesOfNobodyAreRemovedAtStart) {
  test::WriteText(layout_.Work() + "/9-1/src/file", "x");
  Up();
  EXPECT_FALSE(Exists(layout_.Work() + "/9-1"));
}

TEST_F(AttemptsTest, AWorkDirectoryInTheWayIsNotShared) {
  Up();
  test::WriteText(layout_.Work() + "/12-1/theirs", "x");
  Start("ls ..");
  auto gone = Next<drone::event::ShimGone>();
  ASSERT_TRUE(gone);
  EXPECT_FALSE(absl::StrContains(Output(gone->held.last), "theirs"));
  EXPECT_TRUE(Exists(layout_.Work() + "/12-1/theirs"));
}

}  // namespace
}  // namespace waggle::attempt
