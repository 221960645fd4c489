#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/journal/reader.h"
#include "common/journal/scan.h"
#include "queen/logs/log_store.h"
#include "tests/common/journal/record_maker.h"
#include "tests/support/temp_dir.h"

namespace waggle::queen {

// Nothing here takes longer on the slowest machine.
inline constexpr absl::Duration kDeadline = absl::Seconds(30);

// What a log store said, in the order it said it. Thread-safe.
class LogListener {
 public:
  LogStore::Callbacks Callbacks() {
    LogStore::Callbacks callbacks;
    callbacks.acked = [this](SessionId s, Epoch e, Seq q) { Say("acked", s, e, q); };
    callbacks.resume_from = [this](SessionId s, Epoch e, Seq q) { Say("resume_from", s, e, q); };
    callbacks.fenced = [this](SessionId s, Epoch e) { Say("fenced", s, e, Seq()); };
    callbacks.appended = [this](Epoch e) {
      if (on_appended) on_appended(e);
      Say("appended", SessionId(), e, Seq());
    };
    callbacks.starved = [this](absl::Status status) {
      EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
      Say("starved", SessionId(), Epoch(), Seq());
    };
    callbacks.failed = [this](absl::Status status) {
      ADD_FAILURE() << status;
      Say("failed", SessionId(), Epoch(), Seq());
    };
    callbacks.complete = [this](event::LogComplete complete) {
      if (on_complete) on_complete(complete.epoch);
      absl::MutexLock lock(&mutex_);
      said_.push_back("complete " + std::to_string(complete.epoch.value()));
      complete_.push_back(std::move(complete));
    };
    return callbacks;
  }

  // Waits until this was said `times` times in all.
  bool Waits(const std::string& what, int times = 1) {
    auto enough = [&] { return std::count(said_.begin(), said_.end(), what) >= times; };
    absl::MutexLock lock(&mutex_);
    bool heard = mutex_.AwaitWithTimeout(absl::Condition(&enough), kDeadline);
    if (!heard) ADD_FAILURE() << "not said: " << what << "; said: " << testing::PrintToString(said_);
    return heard;
  }
  std::vector<std::string> Said() {
    absl::MutexLock lock(&mutex_);
    return said_;
  }
  int Count(const std::string& what) {
    absl::MutexLock lock(&mutex_);
    return static_cast<int>(std::count(said_.begin(), said_.end(), what));
  }
  event::LogComplete Complete(std::size_t which = 0) {
    absl::MutexLock lock(&mutex_);
    return which < complete_.size() ? complete_[which] : event::LogComplete{};
  }
  void Clear() {
    absl::MutexLock lock(&mutex_);
    said_.clear();
    complete_.clear();
  }

  std::function<void(Epoch)> on_appended;  // set before the store is made
  std::function<void(Epoch)> on_complete;  // set before anything is asked of it

 private:
  void Say(const char* what, SessionId session, Epoch epoch, Seq seq) {
    std::string text = what;
    if (session) text += " s" + std::to_string(session.value());
    text += " " + std::to_string(epoch.value());
    if (seq) text += ":" + std::to_string(seq.value());
    absl::MutexLock lock(&mutex_);
    said_.push_back(std::move(text));
  }

  absl::Mutex mutex_;
  std::vector<std::string> said_;
  std::vector<event::LogComplete> complete_;
};

// A log store in a directory of its own; epoch 7 is written by session 1 unless a test says otherwise.
class LogsFixture : public testing::Test {
 protected:
  void SetUp() override { Start(); }
  void Start() {
    absl::StatusOr<std::unique_ptr<LogStore>> made =
        LogStore::Create(directory_ / "logs", 2, listener_.Callbacks());
    ASSERT_TRUE(made.ok()) << made.status();
    logs_ = std::move(*made);
  }
  // The process goes and comes back; what it had open is recovered.
  void Restart(const std::vector<Epoch>& open = {Epoch(7)}) {
    logs_.reset();
    listener_.Clear();
    Start();
    absl::Status recovered = logs_->Recover(open);
    ASSERT_TRUE(recovered.ok()) << recovered;
  }
  void Append(const std::string& records, SessionId session = SessionId(1), Epoch epoch = Epoch(7)) {
    logs_->Append(session, epoch, records, [] {});
  }
  // Everything asked for so far is done.
  void Drain() {
    for (std::uint64_t shard = 0; shard < 2; ++shard) {
      absl::Notification done;
      logs_->Append(SessionId(99), Epoch(1000 + shard), "", [&] { done.Notify(); });
      ASSERT_TRUE(done.WaitForNotificationWithTimeout(kDeadline));
    }
  }
  std::string Stored(Epoch epoch = Epoch(7)) {
    journal::Reader reader(logs_->At(epoch));
    std::string raw;
    for (;;) {
      absl::StatusOr<std::size_t> n = reader.ReadRaw(1 << 20, Seq(~std::uint64_t{0}), &raw);
      if (!n.ok() || *n == 0) return raw;
    }
  }
  journal::VerifyResult Verified(Epoch epoch = Epoch(7)) {
    return journal::Verify(logs_->At(epoch), epoch).value_or(journal::VerifyResult{});
  }
  static effect::SealLog Seal(std::uint64_t at_least = 0, Reason reason = Reason::kDroneLost) {
    effect::SealLog seal;
    seal.epoch = Epoch(7);
    seal.at_least = at_least;
    seal.reason = reason;
    seal.detail = "d1 was lost";
    seal.text = "waggle: d1 was lost";
    seal.test_code = 0;
    seal.deploy_code = 504;
    return seal;
  }

  test::TempDir directory_;
  LogListener listener_;
  journal::RecordMaker maker_;
  std::unique_ptr<LogStore> logs_;
};

}  // namespace waggle::queen
