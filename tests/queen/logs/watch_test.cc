// Watching live: replay and follow, slow and leaving watchers, damaged logs.
#include <unistd.h>

#include <filesystem>

#include "tests/queen/logs/watch_fixture.h"

namespace waggle::queen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using WatchTest = WatchFixture;

TEST_F(WatchTest, AJobThatDoesNotExist) {
  auto sink = Follow();
  EXPECT_EQ(sink->Ending(), "fail");
  EXPECT_EQ(sink->failure().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(sink->calls(), 0);
}

TEST_F(WatchTest, FollowsFromTheQueueToTheEnd) {
  Publish();
  auto sink = Follow();
  ASSERT_TRUE(sink->WaitForState("queued"));
  AttemptBegins(Epoch(7), 1);
  std::string all;
  for (int i = 0; i < 50; ++i) {
    std::string raw = maker_.Out("line " + std::to_string(i) + "\n");
    Write(raw);
    all += raw;
    if (i % 7 != 0) continue;
    ASSERT_TRUE(sink->WaitForBytes(Epoch(7), all.size())) << i;
  }
  JobIs(JobState::kStarted);
  ASSERT_TRUE(sink->WaitForState("started"));
  std::string end = maker_.End();
  Write(end);
  EXPECT_TRUE(sink->WaitForBytes(Epoch(7), all.size() + end.size()));
  EXPECT_FALSE(sink->ended()) << "not before the verdict";
  JobEnds(JobState::kPassed);
  EXPECT_EQ(sink->Ending(), "end passed 7:51");
  EXPECT_EQ(sink->Raw(), all + end);
  EXPECT_EQ(sink->FirstBoot(), 1'000'000);
  EXPECT_EQ(sink->AttemptOf(Epoch(7)), 1u);
}

TEST_F(WatchTest, ReplaysAFinishedJobAndEnds) {
  AttemptBegins(Epoch(7), 1);
  std::string all = LongLog();
  JobEnds(JobState::kFailed);
  Drain();
  for (bool follow : {true, false}) {
    auto sink = Watch({.follow = follow});
    EXPECT_EQ(sink->Ending(), absl::StrCat("end failed 7:", maker_.last().value()));
    EXPECT_TRUE(sink->Raw() == all);
    EXPECT_THAT(sink->States(), ElementsAre()) << "a final state is not told before the last record";
  }
}

TEST_F(WatchTest, WithoutFollowItEndsWhereTheLogEndsNow) {
  AttemptBegins(Epoch(7), 1);
  std::string one = maker_.Out("1\n");
  Write(one);
  ASSERT_TRUE(listener_.Waits("acked s1 7:1"));
  auto sink = Watch({});
  EXPECT_EQ(sink->Ending(), "end queued 7:1");
  EXPECT_EQ(sink->Raw(), one);
}

TEST_F(WatchTest, WithoutFollowAndWithoutAnAttempt) {
  Publish();
  EXPECT_EQ(Watch({})->Ending(), "end queued 0:0");
}

TEST_F(WatchTest, AJobThatIsCanceledInTheQueueEndsItsWatchers) {
  Publish();
  auto sink = Follow();
  ASSERT_TRUE(sink->WaitForState("queued"));
  JobIs(JobState::kCanceled);
  EXPECT_EQ(sink->Ending(), "end canceled 0:0");
}

TEST_F(WatchTest, ASecondAttemptFollowsTheFirst) {
  AttemptBegins(Epoch(7), 1);
  auto sink = Follow();
  std::string first = maker_.Out("first try\n");
  Write(first);
  ASSERT_TRUE(sink->WaitForBytes(Epoch(7), first.size()));
  job_.attempt = Epoch();
  JobIs(JobState::kQueued);
  AttemptBegins(Epoch(8), 2);
  logs_->Seal(Seal());
  ASSERT_TRUE(listener_.Waits("complete 7"));
  maker_ = journal::RecordMaker(Epoch(8));
  std::string second = journal::Join({maker_.Out("second try\n"), maker_.End()});
  Write(second);
  JobEnds(JobState::kPassed);
  EXPECT_EQ(sink->Ending(), "end passed 8:2");
  EXPECT_EQ(sink->Raw(Epoch(7)).substr(0, first.size()), first);
  EXPECT_EQ(sink->Raw(Epoch(8)), second);
  EXPECT_THAT(sink->Order(), ElementsAre("7:1", "7:2", "7:3", "8:1", "8:2"));
  EXPECT_EQ(sink->AttemptOf(Epoch(8)), 2u);
  EXPECT_EQ(sink->LinesOf(Epoch(8))[Seq(1)], 1u) << "lines are counted per attempt";

  // Later: the newest attempt by default, one by its number, both by a cursor.
  auto newest = Follow();
  EXPECT_EQ(newest->Ending(), "end passed 8:2");
  EXPECT_EQ(newest->Raw(Epoch(7)), "");
  AttemptRow row = *store_.GetAttempt(Epoch(7));
  row.last_seq = 3;
  store_.Put(row);
  auto numbered = Watch({.attempt = 1, .follow = true});
  EXPECT_EQ(numbered->Ending(), "end passed 7:3");
  EXPECT_EQ(numbered->Raw(Epoch(8)), "");
  auto resumed = Watch({.after_epoch = Epoch(7), .after_seq = Seq(1), .follow = true});
  EXPECT_EQ(resumed->Ending(), "end passed 8:2");
  EXPECT_THAT(resumed->Order(), ElementsAre("7:2", "7:3", "8:1", "8:2"));
}

TEST_F(WatchTest, AnAttemptOrCursorThatDoesNotExist) {
  AttemptBegins(Epoch(7), 1);
  auto attempt = Watch({.attempt = 3});
  EXPECT_EQ(attempt->Ending(), "fail");
  EXPECT_EQ(attempt->failure().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(attempt->failure().message()), HasSubstr("no attempt 3; it has 1"));
  auto cursor = Watch({.after_epoch = Epoch(99), .after_seq = Seq(1)});
  EXPECT_EQ(cursor->Ending(), "fail");
  EXPECT_EQ(cursor->failure().code(), absl::StatusCode::kNotFound);
}

// A watcher that does not read gets one message and no more, and misses nothing.
TEST_F(WatchTest, ASlowWatcherIsSentOneMessageAtATime) {
  AttemptBegins(Epoch(7), 1);
  auto slow = Watch({.follow = true}, /*slow=*/true);
  auto fast = Follow();
  ASSERT_TRUE(slow->WaitForCalls(1));
  std::string all = LongLog();
  JobEnds(JobState::kPassed);
  EXPECT_EQ(fast->Ending(), absl::StrCat("end passed 7:", maker_.last().value()));
  EXPECT_EQ(slow->calls(), 1);
  for (int calls = 2; slow->Raw().size() < all.size(); ++calls) {
    slow->Done();
    ASSERT_TRUE(slow->WaitForCalls(calls));
  }
  slow->Done();
  EXPECT_EQ(slow->Ending(), absl::StrCat("end passed 7:", maker_.last().value()));
  EXPECT_TRUE(slow->Raw() == all);
}

TEST_F(WatchTest, AReadyDuringTheEndBringsNoSecondEnd) {
  AttemptBegins(Epoch(7), 1);
  auto early = Follow();
  ASSERT_TRUE(early->WaitForCalls(1));
  std::shared_ptr<FakeSink> other;
  absl::Notification over;
  early->DuringEnd([&] {
    early->Release();
    other = Follow();  // the second pump thread takes turns in order: when this one is served, so was `early`
    EXPECT_TRUE(other->WaitForBytes(Epoch(7), 1));
    over.Notify();
  });
  Write(maker_.End());
  JobEnds(JobState::kPassed);
  over.WaitForNotification();
  hub_.reset();  // joins the pumps: nothing runs any more
  EXPECT_EQ(early->Ending(), absl::StrCat("end passed 7:", maker_.last().value()));
}

TEST_F(WatchTest, ALeavingWatcherHoldsNobodyUp) {
  AttemptBegins(Epoch(7), 1);
  std::vector<std::shared_ptr<FakeSink>> leaving, staying;
  for (int i = 0; i < 20; ++i) {
    leaving.push_back(Watch({.follow = true}, i % 2 == 0));
    staying.push_back(Follow());
  }
  std::string all;
  for (int i = 0; i < 20; ++i) {
    std::string raw = maker_.Out("line\n");
    Write(raw);
    all += raw;
    hub_->Remove(leaving[i]->id());
    hub_->Remove(leaving[i]->id());
    leaving[i]->Release();
  }
  std::string end = maker_.End();
  Write(end);
  JobEnds(JobState::kPassed);
  for (auto& sink : staying) {
    EXPECT_EQ(sink->Ending(), "end passed 7:21");
    EXPECT_EQ(sink->Raw(), all + end);
  }
  for (auto& sink : leaving) EXPECT_FALSE(sink->ended());
}

TEST_F(WatchTest, AWatcherThatReadsNothingIsCutAndComesAgainWithItsCursor) {
  hub_ = std::make_unique<WatchHub>(store_, *logs_, 2, std::chrono::milliseconds(200));
  AttemptBegins(Epoch(7), 1);
  const std::string all = LongLog();
  auto stuck = Watch({.follow = true}, /*slow=*/true);
  auto healthy = Follow();
  EXPECT_EQ(stuck->Ending(), "cut");
  EXPECT_EQ(stuck->calls(), 1) << "the first message was never taken";
  stuck->Done();
  EXPECT_TRUE(healthy->WaitForBytes(Epoch(7), all.size()));
  EXPECT_FALSE(healthy->ended()) << "to have nothing to say is not to be stuck";
  auto again = Watch({.after_epoch = Epoch(7), .after_seq = Seq(3), .follow = true});
  JobEnds(JobState::kPassed);
  EXPECT_EQ(again->Ending(), healthy->Ending());
  EXPECT_TRUE(healthy->Raw() == all);
  EXPECT_EQ(again->LinesOf().begin()->first, Seq(4));
}

TEST_F(WatchTest, FailAllTellsEverybodyOnce) {
  Publish();
  auto one = Follow(), two = Follow();
  ASSERT_TRUE(one->WaitForState("queued"));
  ASSERT_TRUE(two->WaitForState("queued"));
  hub_->FailAll(absl::UnavailableError("the queen stops"));
  EXPECT_EQ(one->Ending(), "fail");
  EXPECT_EQ(two->failure().code(), absl::StatusCode::kUnavailable);
  JobIs(JobState::kPassed);  // nobody is left to hear it
}

TEST_F(WatchTest, ADamagedStoredLogIsDataLossNamingTheRecord) {
  AttemptBegins(Epoch(7), 1);
  std::string all = LongLog();
  JobEnds(JobState::kPassed);
  Drain();
  const std::string path = logs_->At(Epoch(7)).Segment(0);
  std::string bytes = test::ReadText(path);
  bytes[bytes.size() / 2] ^= 1;
  test::WriteText(path, bytes);
  auto expect_loss = [&](const std::shared_ptr<FakeSink>& sink) {
    EXPECT_EQ(sink->Ending(), "fail");
    EXPECT_EQ(sink->failure().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(sink->failure().message()), HasSubstr("attempt 1 is damaged at record"));
    EXPECT_THAT(std::string(sink->failure().message()), HasSubstr("waggle verify 1@1"));
    EXPECT_THAT(std::string(sink->failure().message()), testing::Not(HasSubstr(directory_.path())));
  };
  auto sink = Follow();
  expect_loss(sink);
  EXPECT_GT(sink->Raw().size(), 0u);
  EXPECT_TRUE(sink->Raw() == all.substr(0, sink->Raw().size())) << "what is good before it is shown";
  ::unlink(logs_->At(Epoch(7)).Index().c_str());
  expect_loss(Watch({.after_epoch = Epoch(7), .after_seq = Seq(maker_.last().value() - 1)}));
  expect_loss(Watch({.from_line = 100'000}));
}

TEST_F(WatchTest, AFileOfAnotherAttemptIsNotShown) {
  AttemptBegins(Epoch(7), 1);
  Write(journal::Join({maker_.Out("own\n"), maker_.End()}));
  JobEnds(JobState::kPassed);
  Drain();
  journal::RecordMaker other{Epoch(8)};
  const std::string path = logs_->At(Epoch(7)).Segment(0);
  const std::string own = test::ReadText(path);
  const std::string stolen = journal::Join({other.Out("secret\n"), other.End()});
  test::WriteText(path, own.substr(0, journal::kSegmentHeaderBytes) + stolen);
  auto all = Follow();
  EXPECT_EQ(all->Ending(), "fail");
  EXPECT_EQ(all->failure().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(all->Raw(), "");
  // Behind its own first record.
  journal::RecordMaker mine;
  const std::string first = mine.Out("own\n");
  other = journal::RecordMaker(Epoch(8));
  other.Out("secret\n");
  test::WriteText(path, own.substr(0, journal::kSegmentHeaderBytes) + first + other.End());
  auto part = Follow();
  EXPECT_EQ(part->Ending(), "fail");
  EXPECT_EQ(part->Raw(), first);
}

TEST_F(WatchTest, AStoredLogThatIsCutOff) {
  AttemptBegins(Epoch(7), 1);
  Write(journal::Join({maker_.Out("1\n"), maker_.End()}));
  JobEnds(JobState::kPassed);
  Drain();
  ASSERT_EQ(::truncate(logs_->At(Epoch(7)).Segment(0).c_str(), 90), 0);
  auto sink = Follow();
  EXPECT_EQ(sink->Ending(), "fail");
  EXPECT_THAT(std::string(sink->failure().message()), HasSubstr("ends before record 2"));
}

TEST_F(WatchTest, ARemovedLogIsSaidToBeRemoved) {
  AttemptBegins(Epoch(7), 1);
  LongLog();
  JobEnds(JobState::kFailed);
  AttemptRow attempt = *store_.GetAttempt(Epoch(7));
  attempt.log_ended = 1'782'000'000'000;
  attempt.log_removed = 1'790'000'000'000;
  store_.Put(attempt);
  for (const WatchStart& start : {WatchStart{}, WatchStart{.attempt = 1, .follow = true},
                                  WatchStart{.after_epoch = Epoch(7), .after_seq = Seq(3)},
                                  WatchStart{.from_line = 5}, WatchStart{.late = true}}) {
    auto sink = Watch(start);
    EXPECT_EQ(sink->Ending(), "fail");
    EXPECT_TRUE(absl::IsNotFound(sink->failure())) << sink->failure();
    EXPECT_THAT(std::string(sink->failure().message()),
                testing::AllOf(HasSubstr("the log of job 1 attempt 1 was removed on 2026-09-21: it ended on "
                                         "2026-06-21"),
                               HasSubstr("retention.logs"), HasSubstr("next: waggle show 1")));
    EXPECT_EQ(sink->Raw(), "");
  }
}

// Its first batch is under way when its log goes; it is not told of damage.
TEST_F(WatchTest, ALogMayBeRemovedWhileItIsRead) {
  AttemptBegins(Epoch(7), 1);
  LongLog();
  JobEnds(JobState::kPassed);
  Drain();
  auto sink = Watch({}, /*slow=*/true);
  ASSERT_TRUE(sink->WaitForCalls(1));
  AttemptRow attempt = *store_.GetAttempt(Epoch(7));
  attempt.log_removed = attempt.log_ended = 1'790'000'000'000;
  store_.Put(attempt);
  std::filesystem::resize_file(logs_->At(Epoch(7)).Segment(0), 40);  // as if it went on in the next segment
  ASSERT_THAT(*logs_->Delete({Epoch(7)}), ElementsAre(Epoch(7)));
  sink->SetSlow(false);
  sink->Done();
  EXPECT_EQ(sink->Ending(), "fail");
  EXPECT_THAT(std::string(sink->failure().message()), HasSubstr("was removed on 2026-09-21"));
}

}  // namespace
}  // namespace waggle::queen
