#include "common/base/await.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

namespace waggle {
namespace {

using namespace std::chrono_literals;

constexpr Duration kSoon = 20ms, kNever = 1h;

class Await : public ::testing::Test {
 protected:
  bool For(Duration wait) {
    absl::MutexLock lock(&mutex_);
    return AwaitFor(mutex_, absl::Condition(&ready_), wait);
  }
  void MakeReady() {
    absl::MutexLock lock(&mutex_);
    ready_ = true;
  }

  absl::Mutex mutex_;
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
};

TEST_F(Await, WhatHoldsIsNotWaitedFor) {
  MakeReady();
  EXPECT_TRUE(For(kNever));
  EXPECT_TRUE(For(-kNever));
}

TEST_F(Await, WhatIsOverIsNotWaitedFor) {
  EXPECT_FALSE(For(0ms));
  EXPECT_FALSE(For(-kNever));
}

TEST_F(Await, EndsNeitherEarlyNorMuchLater) {
  for (int i = 0; i < 5; ++i) {
    const Time begin = BootClock::now();
    EXPECT_FALSE(For(kSoon));
    EXPECT_GE(BootClock::now() - begin, kSoon);
    EXPECT_LE(BootClock::now() - begin, kSoon + 5s);
  }
}

TEST_F(Await, AConditionEndsIt) {
  std::thread other([this] { MakeReady(); });
  EXPECT_TRUE(For(kNever));
  other.join();
}

// A wait that is added behind a later one is the next that is due.
TEST_F(Await, AShortOneOvertakesALongOne) {
  std::thread patient([this] { EXPECT_TRUE(For(kNever)); });
  EXPECT_FALSE(For(kSoon));
  MakeReady();
  patient.join();
}

// Conditions that come true in the moment a wait is over: nothing is woken that is gone, and nobody is
// forgotten.
TEST_F(Await, ManyAtOnce) {
  constexpr int kThreads = 8, kRounds = 400;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([t] {
      std::minstd_rand random(static_cast<unsigned>(t + 1));
      absl::Mutex mutex;
      for (int round = 0; round < kRounds; ++round) {
        bool ready = false;
        std::thread maker([&] {
          absl::MutexLock lock(&mutex);
          AwaitFor(mutex, absl::Condition(&ready), std::chrono::microseconds(random() % 300));
          ready = true;
        });
        {
          absl::MutexLock lock(&mutex);
          AwaitFor(mutex, absl::Condition(&ready), std::chrono::microseconds(150));
        }
        maker.join();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace waggle
