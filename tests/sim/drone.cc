#include "tests/sim/drone.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/numbers.h"
#include "tests/sim/queen.h"
#include "tests/sim/wire.h"

namespace waggle::sim {
namespace {

constexpr Nanos kStaysDown = 10 * kMinute;
constexpr std::size_t kReadBytes = 64 * 1024;  // less than a batch may hold: reads cost what they may return

}  // namespace

DroneHost::DroneHost(World& world, Oracle& oracle, QueenHost& queen, std::size_t number)
    : world_(world),
      oracle_(oracle),
      queen_(queen),
      number_(number),
      peer_{absl::StrCat("d", number), absl::StrCat("identity of d", number), !world.plan.remote[number]},
      host_(absl::StrCat("/d", number)),
      name_(peer_.name),
      random_(world.plan.seed, "drone", number),
      clock_(world, world.plan.clock_ppm[number + 1], Random(world.plan.seed, "drone clock", number)) {}

DroneHost::DroneHost(const DroneHost& original, std::size_t copy, bool data)
    : world_(original.world_),
      oracle_(original.oracle_),
      queen_(original.queen_),
      number_(original.number_),
      peer_(original.peer_),
      host_(absl::StrCat(original.host_, "-", copy)),
      name_(absl::StrCat(original.name_, "-", copy)),
      random_(world_.plan.seed, host_),
      clock_(world_, world_.plan.clock_ppm[number_ + 1], Random(world_.plan.seed, "drone clock", copy)),
      boot_(original.boot_ + 1'000'000 * copy) {
  if (!data) return;
  world_.disk.Copy(original.host_, host_);
  facts_ = original.facts_;
  for (auto& [epoch, facts] : facts_) facts.shim = nullptr;
  highest_ = original.highest_;
}

void DroneHost::Later(Nanos delay, std::function<void()> what) {
  world_.After(delay, [this, life = life_, what = std::move(what)] {
    if (life != life_ || core_ == nullptr) return;
    process_.Run([this, life, what] {
      if (life == life_ && core_ != nullptr) what();
    });
  });
}

void DroneHost::StartDaemon() {
  if (core_ != nullptr || unplugged_) return;
  world_.Note(20, name_, " daemon starts");
  peer_.place = absl::StrCat(host_, " since boot ", boot_);
  ++life_;
  dying_ = draining_ = false;
  drone::Info info{1.0, world_.plan.slots[number_], {}};
  if (world_.plan.gpu[number_]) info.labels["gpu"] = "yes";
  core_ = std::make_unique<drone::DroneCore>(info);
  Recover();
  if (world_.now() < paused_until_) EmitPause();
  Emit(drone::event::Begin{highest_});
  Settle();
}

void DroneHost::Emit(drone::Event event) {
  (answers_ != nullptr ? *answers_ : events_).push_back(std::move(event));
}

void DroneHost::Input(drone::Event event) {
  Emit(std::move(event));
  if (!settling_) Settle();
}

// As Daemon::Settle in drone/app.
void DroneHost::Settle() {
  settling_ = true;
  while (!events_.empty() && core_ != nullptr && !dying_) {
    drone::Event event = std::move(events_.front());
    events_.pop_front();
    world_.NoteValue(2000, name_, event);
    drone::Effects effects = core_->Step(clock_.Local(), event);
    wake_ = effects.wake;
    std::deque<drone::Event> answers;
    answers_ = &answers;
    for (drone::Effect& effect : effects.list) {
      if (kill_after_ && (*kill_after_)-- == 0) {
        world_.Sometimes(Rare::crash_between_effects);
        dying_ = true;
      }
      if (dying_ || core_ == nullptr) break;
      Perform(effect);
    }
    answers_ = nullptr;
    events_.insert(events_.begin(), std::make_move_iterator(answers.begin()),
                   std::make_move_iterator(answers.end()));
  }
  settling_ = false;
  if (dying_) {
    DaemonGone(down_);
  } else if (core_ != nullptr) {
    ArmTimer();
  }
}

void DroneHost::ArmTimer() {
  const std::uint64_t timer = ++timer_;
  if (!wake_) return;
  Later(clock_.WorldTimeOf(*wake_) - world_.now(), [this, timer] {
    if (timer == timer_) Input(drone::event::Timer{random_.Unit()});
  });
}

void DroneHost::DaemonGone(Nanos down) {
  if (core_ == nullptr) return;
  world_.Note(21, name_, " daemon is gone");
  core_.reset();
  ++life_;
  dying_ = false;
  kill_after_.reset();
  process_.Reset();
  events_.clear();
  entries_.clear();
  if (control_ != nullptr) control_->Die(Side::kDrone);
  if (bulk_ != nullptr) bulk_->Die(Side::kDrone);
  control_ = bulk_ = nullptr;
  StartLater(down);
}

void DroneHost::StartLater(Nanos down) {
  world_.After(down, [this, life = life_] {
    if (life == life_) StartDaemon();
  });
}

void DroneHost::Perform(drone::Effect& effect) {
  world_.NoteValue(2100, name_, effect);
  std::visit([this](auto& e) { Perform(e); }, effect);
}

// ---- link ----

std::shared_ptr<Connection> DroneHost::Connect(bool bulk) {
  std::shared_ptr<Connection> connection = queen_.Connect(*this, bulk);
  connection->Slow(slow_extra_, slow_until_);
  return connection;
}

void DroneHost::Perform(drone::effect::OpenControl& e) {
  if (control_ != nullptr) control_->Close(Side::kDrone);
  control_ = Connect(/*bulk=*/false);
  const std::uint64_t id = control_->id();
  control_->OnLost(Side::kDrone, [this, id] {
    Later(0, [this, id] {
      if (control_ == nullptr || control_->id() != id) return;
      const auto why = queen_.WhyClosed(id);
      control_ = nullptr;
      // Who is deposed or refused leaves. It stays away until a person comes, or whoever watches over it
      // tries again.
      const bool again = random_.OneIn(2) || world_.now() > world_.plan.chaos_end;
      if (why == drone::event::ControlLost::Why::kDeposed) world_.Sometimes(Rare::clone_deposed);
      if (why != drone::event::ControlLost::Why::kCut)
        down_ = again ? random_.Skewed(kSecond, kMinute) : kStaysDown;
      Input(drone::event::ControlLost{why, "the stream ended", random_.Unit()});
    });
  });
  world_.Note(22, name_, " says hello on stream ", id, " with ", e.hello.attempts.size(), " attempts");
  for (const drone::Held& held : e.hello.attempts) {
    world_.Note(26, name_, " holds attempt ", held.epoch.value(), " up to record ", held.last.value());
  }
  control_->Send(Side::kDrone, [this, id, hello = e.hello] { queen_.HearControl(id, hello); });
}

void DroneHost::Perform(drone::effect::CloseControl&) {
  if (control_ != nullptr) control_->Close(Side::kDrone);
  control_ = nullptr;
  world_.Sometimes(Rare::lease_over_on_drone);
}

void DroneHost::Perform(drone::effect::OpenBulk& e) {
  if (bulk_ != nullptr) bulk_->Close(Side::kDrone);
  bulk_ = Connect(/*bulk=*/true);
  const std::uint64_t id = bulk_->id();
  bulk_->OnLost(Side::kDrone, [this, id] {
    Later(0, [this, id] {
      if (bulk_ == nullptr || bulk_->id() != id) return;
      bulk_ = nullptr;
      Input(drone::event::BulkLost{"the stream ended", random_.Unit()});
    });
  });
  bulk_->Send(Side::kDrone, [this, id, session = e.session] { queen_.HearBulkHello(*this, id, session); });
  BulkReadyLater(id);
}

void DroneHost::Perform(drone::effect::CloseBulk&) {
  if (bulk_ != nullptr) bulk_->Close(Side::kDrone);
  bulk_ = nullptr;
}

void DroneHost::BulkReadyLater(std::uint64_t connection) {
  Later(random_.Skewed(10 * kMicro, 100 * kMilli), [this, connection] {
    if (bulk_ != nullptr && bulk_->id() == connection) Input(drone::event::BulkReady{});
  });
}

void DroneHost::Perform(drone::effect::SendControl& e) {
  if (control_ == nullptr) return;
  control_->Send(Side::kDrone,
                 [this, id = control_->id(), message = e.message] { queen_.HearControl(id, message); });
}

void DroneHost::Perform(drone::effect::SendRecords& e) {
  Entry& entry = entries_[e.epoch];
  const Seq before(e.from.value() - 1);
  std::string packed;
  const bool fresh = entry.reader == nullptr;
  if (fresh) entry.reader = std::make_unique<journal::Reader>(SpoolOf(e.epoch));
  absl::Status found =
      !fresh && entry.reader->next() == e.from ? absl::OkStatus() : entry.reader->SeekTo(e.from);
  absl::StatusOr<std::size_t> count = std::size_t{0};
  if (found.ok()) {
    count = entry.reader->ReadRaw(std::min(e.max_bytes, kReadBytes), e.to, &packed);
    found = count.status();
  }
  // As Attempts::Read: a loss of the host's power may take the front of a spool whose names were not synced
  // yet.
  const bool trimmed = absl::IsOutOfRange(found) && facts_.at(e.epoch).boot == boot_;
  const bool damaged = absl::IsDataLoss(found) || (absl::IsOutOfRange(found) && !trimmed);
  if (trimmed && !oracle_.Flipped(e.epoch)) {
    world_.Fail("I6", absl::StrCat("the queen asks for record ", e.from.value(), " of attempt ",
                                   e.epoch.value(), ", which she had acknowledged"));
  }
  if (trimmed || damaged) {
    if (!trimmed) world_.Sometimes(Rare::spool_damaged);
    return Emit(drone::event::SpoolDamaged{e.epoch, before, std::string(found.message()), trimmed});
  }
  const Seq upto(before.value() + count.value_or(0));
  const std::size_t bytes = packed.size();
  if (bytes > 0 && bulk_ != nullptr) {
    bulk_->Send(Side::kDrone, [this, id = bulk_->id(), epoch = e.epoch, packed = std::move(packed)] {
      queen_.HearRecords(id, epoch, packed);
    });
    BulkReadyLater(bulk_->id());
  }
  Emit(drone::event::RecordsSent{e.epoch, upto, bytes});
}

void DroneHost::HearControl(std::uint64_t connection, drone::ControlDown message) {
  process_.Run([this, connection, message = std::move(message)]() mutable {
    if (core_ == nullptr || control_ == nullptr || control_->id() != connection) return;
    if (auto* assign = std::get_if<drone::Assign>(&message)) assign->received = clock_.Wall();
    if (auto* welcome = std::get_if<drone::Welcome>(&message)) {
      for (const drone::Disposition& d : welcome->attempts) {
        world_.Note(25, name_, " is welcomed with attempt ", d.epoch.value(), ", action ",
                    static_cast<int>(d.action), ", acknowledged ", d.acked.value());
        if (d.action == drone::Disposition::Action::kForget) world_.Sometimes(Rare::forgotten);
        if (d.action == drone::Disposition::Action::kSendFinal) world_.Sometimes(Rare::send_final);
        if (d.action == drone::Disposition::Action::kFenced) fenced_.insert(d.epoch);
      }
    }
    if (const auto* fenced = std::get_if<drone::Fenced>(&message)) fenced_.insert(fenced->epoch);
    Input(drone::event::FromQueen{std::move(message)});
  });
}

void DroneHost::HearBulk(std::uint64_t connection, const drone::BulkDown& message) {
  process_.Run([this, connection, message] {
    if (core_ == nullptr || bulk_ == nullptr || bulk_->id() != connection) return;
    if (const auto* fenced = std::get_if<drone::Fenced>(&message)) fenced_.insert(fenced->epoch);
    Input(drone::event::FromBulk{message});
  });
}

void DroneHost::Perform(drone::effect::Note& e) {
  world_.Note(23, name_, ": ", e.text);
}

void DroneHost::Perform(drone::effect::Exit& e) {
  if (draining_ && e.code == 0) {
    world_.Sometimes(Rare::drained);
    if (!facts_.empty() || core_->held() > 0) {
      world_.Fail("I13",
                  absl::StrCat(name_, " drained and left with ", facts_.size(), " attempts on its disk"));
    }
  }
  // Its last words are flushed before the streams close.
  if (control_ != nullptr) control_->Close(Side::kDrone);
  control_ = nullptr;
  dying_ = true;
  down_ = std::max(down_, 200 * kMilli);
}

}  // namespace waggle::sim
