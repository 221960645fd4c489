#include "tests/sim/queen.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "queen/core/verdict.h"
#include "tests/sim/drone.h"

namespace waggle::sim {
namespace {

template <typename T>
void MoveAll(std::vector<T>& from, std::vector<T>& to) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  from.clear();
}

}  // namespace

QueenHost::QueenHost(World& world, Oracle& oracle, queen::ShadowStore& store)
    : world_(world),
      oracle_(oracle),
      store_(store),
      random_(world.plan.seed, "queen"),
      clock_(world, world.plan.clock_ppm[0], Random(world.plan.seed, "queen clock")) {}

void QueenHost::Later(Nanos delay, std::function<void()> what) {
  world_.After(delay, [this, life = life_, what = std::move(what)] {
    if (life != life_) return;
    process_.Run([this, life, what] {
      if (life == life_ && hive_ != nullptr && !dying_) what();
    });
  });
}

Nanos QueenHost::DiskTime() {
  return world_.now() < slow_until_ ? random_.Between(100 * kMilli, 4 * kSecond)
                                    : random_.Skewed(100 * kMicro, 30 * kMilli);
}

void QueenHost::Start() {
  if (hive_ != nullptr) return;
  world_.Note(10, "queen starts");
  ++life_;
  ++lives_;
  dying_ = false;
  step_planned_ = logs_planned_ = sync_planned_ = committing_ = false;
  commit_waits_ = starved_ = disk_trouble_ = look_planned_ = false;
  queen::Snapshot snapshot = store_.Load();
  std::vector<Epoch> open;
  for (const queen::AttemptRow& attempt : snapshot.attempts) {
    if (!attempt.log_closed) open.push_back(attempt.epoch);
  }
  std::vector<std::pair<Epoch, Seq>> late;
  for (const auto& [job, attempt] : snapshot.awaited) {
    late.emplace_back(attempt.epoch, queen::LastBeforeSeal(attempt));
  }
  hive_ = std::make_unique<queen::Hive>(queen::HiveConfig{}, std::move(snapshot), clock_.Local());
  OpenLogs(open, late);
  if (!dying_) Append(hive_->Start(clock_.Local(), clock_.Wall()));
  if (dying_) return Gone(down_, false);
  StartCommit();
  ArmTimer();
  if (world_.disk.Full("/q")) LookAtDisk();
}

void QueenHost::Ask(const std::function<queen::Event(queen::RequestId)>& make, Done done) {
  if (hive_ == nullptr || dying_ || process_.paused()) return done(nullptr);
  if (commit_waits_) {
    const queen::AnswerValue refused = absl::ResourceExhaustedError("her disk is full");
    return done(&refused);
  }
  const queen::RequestId id(++next_request_);
  waiting_[id] = std::move(done);
  Post(make(id));
}

void QueenHost::Post(queen::Event event) {
  if (hive_ == nullptr || dying_) return;
  inbox_.push_back(std::move(event));
  if (std::exchange(step_planned_, true)) return;
  Later(random_.Skewed(5 * kMicro, 5 * kMilli), [this] { StepAll(); });
}

// As Mailbox::StepLoop.
void QueenHost::StepAll() {
  step_planned_ = false;
  while (!inbox_.empty() && !world_.failed()) {
    queen::Event event = std::move(inbox_.front());
    inbox_.pop_front();
    world_.NoteValue(1000, "queen", event);
    NoteHeard(event);
    const Duration late = wake_ ? clock_.Local() - *wake_ : Duration(0);
    queen::Effects effects = hive_->Step(clock_.Local(), clock_.Wall(), event);
    CheckSteps(event, effects, late);
    Append(std::move(effects));
  }
  StartCommit();
  ArmTimer();
}

void QueenHost::Append(queen::Effects effects) {
  wake_ = effects.wake_at;
  queen::WriteBatch& rows = effects.rows;
  MoveAll(rows.jobs, pending_.rows.jobs);
  MoveAll(rows.attempts, pending_.rows.attempts);
  MoveAll(rows.drones, pending_.rows.drones);
  MoveAll(rows.runs, pending_.rows.runs);
  MoveAll(rows.documents, pending_.rows.documents);
  MoveAll(rows.submissions, pending_.rows.submissions);
  MoveAll(rows.peers, pending_.rows.peers);
  MoveAll(rows.invitations, pending_.rows.invitations);
  MoveAll(rows.restores, pending_.rows.restores);
  if (rows.counters) pending_.rows.counters = rows.counters;
  MoveAll(effects.after, pending_.after);
}

void QueenHost::ArmTimer() {
  const std::uint64_t timer = ++timer_;
  if (!wake_) return;
  Later(clock_.WorldTimeOf(*wake_) - world_.now(), [this, timer] {
    if (timer == timer_) Post(queen::event::Tick{});
  });
}

// A drone is heard when the core is told so, and it is not one that is refused.
void QueenHost::NoteHeard(const queen::Event& event) {
  std::visit(
      [this](const auto& e) {
        std::uint64_t stream = 0;
        if constexpr (requires { e.connection; }) stream = e.connection.value();
        if constexpr (std::is_same_v<std::decay_t<decltype(e)>, queen::event::Alive>) {
          auto bulk = bulk_.find(e.session);
          if (bulk != bulk_.end()) stream = bulk->second;
        }
        auto found = streams_.find(stream);
        if (found != streams_.end() && !oracle_.IsRevoked(found->second.peer))
          heard_[found->second.drone->number()] = clock_.Local();
      },
      event);
}

// What shows only in the moment of the decision.
void QueenHost::CheckSteps(const queen::Event& event, const queen::Effects& effects, Duration late) {
  if (const auto* complete = std::get_if<queen::event::LogComplete>(&event);
      complete != nullptr && lives_ > 1) {
    auto row = store_.attempts.find(complete->epoch);
    if (row != store_.attempts.end() && !row->second.log_closed)
      world_.Sometimes(Rare::verdict_after_restart);
  }
  for (const queen::AttemptRow& row : effects.rows.attempts) {
    if (IsTerminal(row.state) || row.detail.empty()) continue;
    if (absl::StrContains(row.detail, "did not answer")) world_.Sometimes(Rare::assignment_unanswered);
  }
  // Of a loss that is over a restored queen reads in a log.
  const bool read = std::holds_alternative<queen::event::LogComplete>(event);
  std::optional<std::size_t> lost;
  for (const queen::AttemptRow& row : effects.rows.attempts) {
    const bool revoked = absl::StrContains(row.detail, "an administrator revoked it");
    if (!absl::StrContains(row.detail, " was lost, ") || revoked) continue;
    auto before = store_.attempts.find(row.epoch);
    const bool said = !losses_.insert({row.epoch, row.detail}).second;
    if (read || said || (before != store_.attempts.end() && before->second.detail == row.detail)) continue;
    std::size_t number = 0;
    if (absl::SimpleAtoi(row.drone_name.substr(1), &number)) lost = number;
  }
  if (!lost) return;
  world_.Sometimes(Rare::drone_lost_by_lease);
  bool thinks = false;
  for (const auto& [id, stream] : streams_) {
    if (!stream.bulk && stream.drone->number() == *lost) thinks = thinks || stream.drone->ThinksConnected();
  }
  oracle_.LeaseOver(*lost, heard_.contains(*lost) ? clock_.Local() - heard_.at(*lost) : Duration::max(), late,
                    thinks);
}

void QueenHost::StartCommit() {
  if (committing_ || pending_.empty() || dying_) return;
  in_flight_ = std::exchange(pending_, Batch{});
  committing_ = true;
  Later(in_flight_.rows.empty() ? 0 : DiskTime(), [this] { Commit(); });
}

// As StorageGuard: it is told at once, and looks once a second while there is something to see.
void QueenHost::Starved() {
  starved_ = true;
  if (!std::exchange(look_planned_, true))
    Later(random_.Skewed(50 * kMicro, 5 * kMilli), [this] { LookAtDisk(); });
}

void QueenHost::LookAtDisk() {
  look_planned_ = false;
  const bool trouble = std::exchange(starved_, false) || world_.disk.Full("/q");
  if (trouble != disk_trouble_) {
    disk_trouble_ = trouble;
    logs_->Post([this, trouble] { trouble ? logs_->Hold() : logs_->GoOn(); });
    RunLogs();
    Post(queen::event::Storage{trouble ? "the queen's disk is full" : ""});
  }
  if (!trouble) return;
  look_planned_ = true;
  Later(kSecond, [this] { LookAtDisk(); });
}

// As Mailbox::WriteLoop: one transaction, then what the batch says.
void QueenHost::Commit() {
  if (!in_flight_.rows.empty()) {
    commit_waits_ = world_.disk.Full("/q");
    if (commit_waits_) {
      world_.Sometimes(Rare::commit_waited_for_space);
      Starved();
      return Later(200 * kMilli, [this] { Commit(); });
    }
    world_.Note(11, "queen commits ", in_flight_.rows.jobs.size(), " job and ",
                in_flight_.rows.attempts.size(), " attempt rows");
    oracle_.BeforeCommit(in_flight_.rows);
    store_.Apply(in_flight_.rows);
    oracle_.AfterCommit(in_flight_.rows);
  }
  Batch batch = std::exchange(in_flight_, Batch{});
  for (const queen::Effect& effect : batch.after) {
    if (kill_after_ && (*kill_after_)-- == 0) {
      world_.Sometimes(Rare::crash_between_effects);
      dying_ = true;
    }
    if (dying_ || world_.failed()) break;
    Perform(effect);
  }
  committing_ = false;
  if (dying_) return Gone(down_, false);
  StartCommit();
}

void QueenHost::StorageFailed(const absl::Status& status) {
  if (dying_) return;
  world_.Note(12, "queen leaves: ", std::string(status.message()));
  // At her start she leaves when there is no room even for the file of a log.
  if (!absl::IsResourceExhausted(status)) world_.Sometimes(Rare::queen_left_by_sync_error);
  dying_ = true;
  down_ = random_.Between(100 * kMilli, 3 * kSecond);
  // Her own code may still be on the stack.
  world_.After(0, [this, life = life_] {
    if (life == life_) Gone(down_, false);
  });
}

void QueenHost::Gone(Nanos down, bool commit_kept) {
  if (hive_ == nullptr) return;
  world_.Note(13, "queen is gone");
  if (committing_ && !in_flight_.rows.empty()) {
    if (commit_kept) {
      world_.Sometimes(Rare::commit_kept_unanswered);
      oracle_.BeforeCommit(in_flight_.rows);
      store_.Apply(in_flight_.rows);
      oracle_.AfterCommit(in_flight_.rows);
    } else {
      world_.Sometimes(Rare::commit_lost_in_crash);
    }
  }
  ++life_;
  hive_.reset();
  logs_.reset();
  process_.Reset();
  kill_after_.reset();
  inbox_.clear();
  pending_ = in_flight_ = Batch{};
  std::map<queen::RequestId, Done> unanswered;
  unanswered.swap(waiting_);
  bulk_.clear();
  sessions_.clear();
  heard_.clear();
  losses_.clear();
  for (auto& [id, stream] : streams_) stream.connection->Die(Side::kQueen);
  streams_.clear();
  for (auto& [id, done] : unanswered) done(nullptr);
  world_.After(down, [this, life = life_] {
    if (life == life_) Start();
  });
}

// ---- faults ----

void QueenHost::Kill(std::uint64_t after_effects, Nanos down) {
  if (hive_ == nullptr) return;
  down_ = down;
  kill_after_ = after_effects;
  const bool kept = random_.OneIn(2);
  world_.After(kSecond, [this, life = life_, down, kept] {
    if (life == life_ && kill_after_) Gone(down, kept);
  });
}

void QueenHost::LosePower(Nanos down) {
  Gone(down, random_.OneIn(2));
  world_.disk.LosePower("/q", random_);
  clock_.Boot();
  oracle_.QueenLostPower();
}

// As `queen restore`: logs stay. Numbers of jobs are always known, so that none is used twice here.
void QueenHost::Restore(const queen::ShadowStore& backup, Nanos down) {
  world_.Note(16, "a backup is restored");
  Gone(down, random_.OneIn(2));
  queen::Counters known = store_.counters;
  // Nobody could know better than a clock that was set back, and it may be set back here.
  const bool readable = restored_before_ || random_.OneIn(2);
  if (!readable) known.epoch = known.session = 0;
  restored_before_ = true;
  store_.Restore(backup, known);
  oracle_.BackupRestored();
}

void QueenHost::Pause(Nanos length) {
  if (hive_ == nullptr || process_.paused()) return;
  process_.Pause();
  world_.After(length, [this, life = life_] {
    if (life == life_) process_.Resume();
  });
}

void QueenHost::FlipLogBit() {
  const std::string path = world_.disk.FlipBit("/q/logs", random_);
  world_.Note(15, "a bit flips in ", path);
  oracle_.LogFlipped(path);
}

void QueenHost::SetDiskFull(bool full) {
  world_.disk.SetFull("/q", full);
  if (!full || hive_ == nullptr || std::exchange(look_planned_, true)) return;
  Later(random_.Between(0, kSecond), [this] { LookAtDisk(); });
}

void QueenHost::Heal() {
  SetDiskFull(false);
  world_.disk.FailSyncs("/q", 0);
  slow_until_ = 0;
  kill_after_.reset();
  process_.Resume();
  Start();
}

}  // namespace waggle::sim
