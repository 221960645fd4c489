#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/process/tree.h"
#include "common/wire/job_document.h"
#include "drone/attempt/attempts.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

// The space of attempts: what is acknowledged goes, and what a full disk cannot hold is refused.
namespace waggle::attempt {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr Epoch kEpoch(7);

class SpoolTest : public testing::Test {
 protected:
  SpoolTest() : layout_(dir_ / "data") {
    EXPECT_TRUE(layout_.Prepare().ok());
    EXPECT_TRUE(process::BecomeSubreaper().ok());
  }
  ~SpoolTest() override {
    Down();
    if (mounted_) {
      EXPECT_EQ(::umount2(layout_.data().c_str(), MNT_DETACH), 0);
    }
  }
  void Up() {
    Host host;
    host.identity = "00112233445566778899aabbccddeeff";
    host.mirrors = layout_.Mirrors();
    host.boot_id = boot_;
    poller_ = Poller::Create().value();
    janitor_ = std::make_unique<Janitor>(layout_);
    attempts_ = std::make_unique<Attempts>(
        Attempts::Config{layout_, host, WAGGLE_SHIM_PATH}, HighestEpoch::Open(layout_).value(), poller_.get(),
        janitor_.get(), [this](drone::Event event) { events_.push_back(std::move(event)); },
        [](const drone::effect::Note&) {});
    attempts_->Recover();
  }
  void Down() {
    attempts_.reset();
    janitor_.reset();
    poller_.reset();
    events_.clear();
  }
  void Start(const std::string& script) {
    pipeline::JobSpec spec;
    spec.trigger.timestamp = 1;
    pipeline::Command command;
    command.command = script;
    spec.phases[static_cast<int>(Phase::kTest)].push_back(command);
    attempts_->Start({kEpoch, 1, wire::SerializeDocument(spec, JobId(12)), 1000});
  }
  template <typename E>
  std::optional<E> Next() {
    const Time deadline = BootClock::now() + 30s;
    while (BootClock::now() < deadline) {
      while (!events_.empty()) {
        drone::Event event = std::move(events_.front());
        events_.erase(events_.begin());
        if (const E* e = std::get_if<E>(&event)) return *e;
      }
      poller_->WakeAt(deadline);
      EXPECT_TRUE(poller_->Wait().ok());
    }
    return std::nullopt;
  }
  absl::StatusOr<Seq> Read(Seq from, Seq to) {
    std::string raw;
    return attempts_->Read(kEpoch, from, to, 1 << 20, &raw);
  }
  bool HasSegment(int number) {
    return test::Exists(absl::StrCat(layout_.Attempt(kEpoch), "/spool.00", number));
  }

  test::TempDir dir_;
  Layout layout_;
  bool mounted_ = false;
  std::unique_ptr<Poller> poller_;
  std::unique_ptr<Janitor> janitor_;
  std::string boot_ = "this boot";
  std::unique_ptr<Attempts> attempts_;
  std::vector<drone::Event> events_;
};

TEST_F(SpoolTest, WhatIsAcknowledgedGoesAndTheRestIsFoundAgain) {
  Up();
  Start("head -c 3500000 /dev/zero");
  auto gone = Next<drone::event::ShimGone>();
  ASSERT_TRUE(gone);
  const Seq last = gone->held.last;
  ASSERT_TRUE(HasSegment(0) && HasSegment(3));
  attempts_->Trim(kEpoch, Seq(2));
  EXPECT_TRUE(HasSegment(0));
  attempts_->Trim(kEpoch, Seq(last.value() - 1));
  EXPECT_FALSE(HasSegment(0) || HasSegment(2));
  EXPECT_TRUE(HasSegment(3));
  EXPECT_EQ(Read(last, last).value(), last);
  EXPECT_TRUE(absl::IsOutOfRange(Read(Seq(1), last).status()));

  Down();
  Up();
  auto recovered = Next<drone::event::Recovered>();
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->held.state, drone::HeldState::kFinished);
  EXPECT_EQ(recovered->held.last, last);
  EXPECT_EQ(recovered->held.test_code, 0);
  EXPECT_TRUE(absl::IsOutOfRange(Read(Seq(1), last).status())) << "never nothing: that would be waited for";
  EXPECT_EQ(Read(last, last).value(), last);
  attempts_->Trim(kEpoch, last);
  EXPECT_TRUE(HasSegment(3)) << "the newest says how the attempt ended";

  Down();
  boot_ = "another boot";
  Up();
  ASSERT_TRUE(Next<drone::event::Recovered>());
  EXPECT_TRUE(absl::IsDataLoss(Read(Seq(1), last).status())) << "a loss of power may have taken the front";
}

TEST_F(SpoolTest, AFullDiskRefusesTheAttemptAndLeavesNothing) {
  ASSERT_EQ(::mount("tmpfs", layout_.data().c_str(), "tmpfs", 0, "size=256k"), 0)
      << "a tmpfs cannot be mounted: " << std::strerror(errno) << "; this test has to run as root";
  mounted_ = true;
  ASSERT_TRUE(layout_.Prepare().ok());
  Up();
  Start("true");
  auto failed = Next<drone::event::StartFailed>();
  ASSERT_TRUE(failed);
  EXPECT_THAT(failed->reason, HasSubstr("its disk is full"));
  EXPECT_FALSE(test::Exists(layout_.Attempt(kEpoch)));
  EXPECT_FALSE(test::Exists(layout_.Work() + "/12-1"));
}

}  // namespace
}  // namespace waggle::attempt
