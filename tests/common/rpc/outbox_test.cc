#include "common/rpc/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace waggle::rpc {
namespace {

using testing::ElementsAre;

// A stream whose writes end when the test says so.
class FakeStream : public OutboxStream<std::string> {
 public:
  void WriteMessage(const std::string* message) override {
    EXPECT_FALSE(writing) << "two writes at a time";
    EXPECT_EQ(finished, 0) << "a write after the end";
    writing = true;
    written.push_back(*message);
  }
  void FinishWrites() override {
    EXPECT_FALSE(writing) << "finished during a write";
    ++finished;
  }
  void Drained() override { ++drained; }

  bool writing = false;
  int finished = 0, drained = 0;
  std::vector<std::string> written;
};

class OutboxTest : public testing::Test {
 protected:
  void Done(bool ok = true) {
    stream_.writing = false;
    outbox_.OnWriteDone(ok);
  }
  FakeStream stream_;
  Outbox<std::string> outbox_{&stream_, 3};
};

TEST_F(OutboxTest, WritesInOrderOneAtATime) {
  EXPECT_TRUE(outbox_.Push("a"));
  EXPECT_TRUE(outbox_.Push("b"));
  EXPECT_THAT(stream_.written, ElementsAre("a"));
  Done();
  EXPECT_THAT(stream_.written, ElementsAre("a", "b"));
  EXPECT_EQ(stream_.drained, 0);
  Done();
  EXPECT_EQ(stream_.drained, 1);
  EXPECT_EQ(stream_.finished, 0);
}

TEST_F(OutboxTest, CloseWritesWhatIsQueuedThenFinishesOnce) {
  outbox_.Push("a");
  outbox_.Push("b");
  outbox_.Close();
  outbox_.Close();
  EXPECT_FALSE(outbox_.Push("c"));
  EXPECT_FALSE(outbox_.overflowed());
  Done();
  EXPECT_EQ(stream_.finished, 0);
  Done();
  EXPECT_EQ(stream_.finished, 1);
  outbox_.Abort();
  outbox_.Close();
  EXPECT_EQ(stream_.finished, 1);
  EXPECT_THAT(stream_.written, ElementsAre("a", "b"));
}

TEST_F(OutboxTest, CloseOfAnIdleStreamFinishesAtOnce) {
  outbox_.Close();
  EXPECT_EQ(stream_.finished, 1);
}

TEST_F(OutboxTest, AbortDropsTheQueueButWaitsForTheWriteInFlight) {
  outbox_.Push("a");
  outbox_.Push("b");
  outbox_.Abort();
  EXPECT_EQ(stream_.finished, 0);
  Done(false);
  EXPECT_EQ(stream_.finished, 1);
  EXPECT_THAT(stream_.written, ElementsAre("a"));
}

TEST_F(OutboxTest, AFailedWriteEndsTheStream) {
  outbox_.Push("a");
  outbox_.Push("b");
  Done(false);
  EXPECT_EQ(stream_.finished, 1);
  EXPECT_TRUE(outbox_.closing());
}

TEST_F(OutboxTest, AFullOutboxAbortsInsteadOfBlocking) {
  for (const char* m : {"in flight", "1", "2", "3"}) EXPECT_TRUE(outbox_.Push(m));
  EXPECT_FALSE(outbox_.Push("4"));
  EXPECT_TRUE(outbox_.overflowed());
  Done();
  EXPECT_EQ(stream_.finished, 1);
  EXPECT_THAT(stream_.written, ElementsAre("in flight"));
}

TEST_F(OutboxTest, TheLastMessagesMemoryComesBackOnce) {
  outbox_.Push(std::string(1000, 'x'));
  Done();
  EXPECT_EQ(outbox_.TakeSpare().size(), 1000u);
  EXPECT_EQ(outbox_.TakeSpare().size(), 0u);
}

// Writers and the end of writes race as they do in a server; the rules above hold and nothing is lost or
// doubled.
TEST(OutboxThreads, ManyWritersOneStream) {
  class Stream : public OutboxStream<int> {
   public:
    void WriteMessage(const int* message) override {
      EXPECT_FALSE(writing.exchange(true));
      sum += *message;
      ++count;
      pending.store(true, std::memory_order_release);
    }
    void FinishWrites() override {
      EXPECT_FALSE(writing.load());
      ++finished;
    }
    std::atomic<bool> writing{false}, pending{false};
    std::atomic<int> finished{0}, count{0};
    long sum = 0;  // guarded by the one-write rule
  };
  constexpr int kEach = 5000;
  Stream stream;
  Outbox<int> outbox(&stream, 4 * kEach);
  std::thread completer([&] {
    while (stream.finished == 0) {
      if (!stream.pending.exchange(false, std::memory_order_acquire)) {
        std::this_thread::yield();
        continue;
      }
      stream.writing = false;
      outbox.OnWriteDone(true);
    }
  });
  std::vector<std::thread> writers;
  for (int t = 0; t < 3; ++t) {
    writers.emplace_back([&] {
      for (int i = 1; i <= kEach; ++i) EXPECT_TRUE(outbox.Push(i));
    });
  }
  for (std::thread& t : writers) t.join();
  outbox.Close();
  completer.join();
  EXPECT_EQ(stream.count, 3 * kEach);
  EXPECT_EQ(stream.sum, 3L * kEach * (kEach + 1) / 2);
  EXPECT_EQ(stream.finished, 1);
}

}  // namespace
}  // namespace waggle::rpc
