// Where a watch begins: behind any record, at any line.
#include <unistd.h>

#include <algorithm>

#include "common/base/limits.h"
#include "tests/queen/logs/watch_fixture.h"

namespace waggle::queen {
namespace {

using testing::SizeIs;

class WatchCursor : public WatchFixture {
 protected:
  void SetUp() override {
    WatchFixture::SetUp();
    AttemptBegins(Epoch(7), 1);
    all_ = LongLog();
    JobEnds(JobState::kPassed);
    Drain();
    whole_ = Watch({.follow = true});
    ASSERT_EQ(whole_->Ending(), absl::StrCat("end passed 7:", maker_.last().value()));
    ASSERT_TRUE(whole_->Raw() == all_);
    std::size_t at = 0;
    journal::ForEachRecord(all_, [&](const journal::RecordView& record) {
      starts_.push_back(at);
      at += record.raw.size();
    });
  }
  void ExpectTail(FakeSink& sink, std::uint64_t first) {
    EXPECT_EQ(sink.Ending(), absl::StrCat("end passed 7:", maker_.last().value()));
    std::size_t from = first <= starts_.size() ? starts_[first - 1] : all_.size();
    ASSERT_TRUE(sink.Raw() == all_.substr(from)) << "from record " << first;
    std::map<Seq, std::uint64_t> known = whole_->LinesOf();
    for (const auto& [seq, line] : sink.LinesOf()) ASSERT_EQ(line, known[seq]) << seq.value();
    if (from < all_.size()) {
      EXPECT_EQ(sink.FirstBoot(), whole_->FirstBoot());
    }
  }

  std::string all_;
  std::shared_ptr<FakeSink> whole_;
  std::vector<std::size_t> starts_;
};

TEST_F(WatchCursor, ResumesBehindEveryRecord) {
  for (std::uint64_t seq = 1; seq <= maker_.last().value(); ++seq) {
    auto sink = Watch({.after_epoch = Epoch(7), .after_seq = Seq(seq), .follow = true});
    ExpectTail(*sink, seq + 1);
  }
}

TEST_F(WatchCursor, ACursorAtZeroIsTheStart) {
  ExpectTail(*Watch({.after_epoch = Epoch(7), .follow = true}), 1);
}

TEST_F(WatchCursor, ACursorBehindTheEndEndsAtOnce) {
  auto sink = Watch({.after_epoch = Epoch(7), .after_seq = Seq(maker_.last().value() + 5), .follow = true});
  EXPECT_EQ(sink->Raw(), "");
  EXPECT_EQ(sink->Ending().substr(0, 10), "end passed");
}

// The first record sent is the one in which the line begins.
TEST_F(WatchCursor, BeginsAtALine) {
  std::uint64_t lines = 0;
  std::vector<std::uint64_t> after;  // lines numbered behind each record
  journal::LineCounter counter;
  journal::ForEachRecord(all_, [&](const journal::RecordView& record) {
    counter.Feed(record.header, record.payload);
    after.push_back(lines = counter.lines());
  });
  for (std::uint64_t line = 2; line <= lines; line += 1 + line / 3) {
    std::uint64_t first = std::lower_bound(after.begin(), after.end(), line) - after.begin() + 1;
    ExpectTail(*Watch({.from_line = line, .follow = true}), first);
  }
  ExpectTail(*Watch({.from_line = 1, .follow = true}), 1);
  ExpectTail(*Watch({.from_line = 0, .follow = true}), 1);
}

TEST_F(WatchCursor, ALineBehindTheEndShowsNothingAndEnds) {
  ExpectTail(*Watch({.from_line = 1'000'000, .follow = true}), maker_.last().value() + 1);
}

// The last checkpoint of the index then lies behind everything, the final record too.
class WatchCursorBehindACheckpoint : public WatchFixture {
 protected:
  void SetUp() override {
    WatchFixture::SetUp();
    AttemptBegins(Epoch(7), 1);
    // The final record crosses the border at which a checkpoint is due.
    const std::string start = maker_.Start(0);
    const std::string first = maker_.Out("x", 0);
    const std::size_t header = first.size() - 1;
    const std::size_t rest = limits::kIndexEvery - journal::kSegmentHeaderBytes - start.size() - first.size();
    std::string all = start + first;
    for (std::size_t left = rest - 8; left > header;) {
      const std::size_t payload = std::min<std::size_t>(left - header, 9'000);
      all += maker_.Out(test::NoiseBytes(payload, left), 0);
      left -= payload + header;
    }
    Write(all + maker_.End());
    JobEnds(JobState::kPassed);
    Drain();
    const journal::Checkpoint last = journal::FindRecord(logs_->At(Epoch(7)), Seq(100'000));
    ASSERT_EQ(last.next.value(), maker_.last().value() + 1);
  }
  void ExpectOnlyTheEnd(FakeSink& sink) {
    EXPECT_EQ(sink.Raw(), "");
    EXPECT_EQ(sink.Ending(), absl::StrCat("end passed 7:", maker_.last().value()));
  }
};

TEST_F(WatchCursorBehindACheckpoint, ACursorAtTheEndEndsAtOnce) {
  ExpectOnlyTheEnd(*Watch({.after_epoch = Epoch(7), .after_seq = maker_.last(), .follow = true}));
}

TEST_F(WatchCursorBehindACheckpoint, ALineBehindTheEndEndsAtOnce) {
  ExpectOnlyTheEnd(*Watch({.from_line = 1'000'000, .follow = true}));
}

TEST_F(WatchCursor, ADamagedIndexChangesNothing) {
  const std::string path = logs_->At(Epoch(7)).Index();
  std::string bytes = test::ReadText(path);
  ASSERT_GT(bytes.size(), 0u);
  for (std::size_t at = 10; at < bytes.size(); at += journal::Checkpoint::kBytes) bytes[at] ^= 1;
  test::WriteText(path, bytes);
  ExpectTail(*Watch({.after_epoch = Epoch(7), .after_seq = Seq(300), .follow = true}), 301);
  ::unlink(path.c_str());
  ExpectTail(*Watch({.after_epoch = Epoch(7), .after_seq = Seq(300), .follow = true}), 301);
}

TEST_F(WatchCursor, AWatcherThatLeavesAndComesBackAgainAndAgainMissesNothing) {
  std::string seen;
  Seq cursor;
  for (int visit = 0; visit < 1000; ++visit) {
    auto sink = Watch({.after_epoch = cursor ? Epoch(7) : Epoch(), .after_seq = cursor, .follow = true},
                      /*slow=*/true);
    if (cursor == maker_.last()) {
      EXPECT_EQ(sink->Ending().substr(0, 10), "end passed");
      break;
    }
    ASSERT_TRUE(sink->WaitForCalls(1));
    hub_->Remove(sink->id());
    std::string raw = sink->Raw();
    ASSERT_FALSE(raw.empty());
    seen += raw;
    journal::ForEachRecord(raw, [&](const journal::RecordView& record) { cursor = record.header.seq; });
  }
  EXPECT_TRUE(seen == all_);
}

}  // namespace
}  // namespace waggle::queen
