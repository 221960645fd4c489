// The drone against a queen that says anything: messages of hive.proto through the real conversion into the
// real core, between what its shims, spools, streams and its operator do. The shell's part is played here,
// rightly: it answers what it is told to do and keeps the account that the core must never contradict.
// Over 400 lines: what is done and what must then hold share one account.
#include <google/protobuf/stubs/logging.h>

#include <set>

#include "common/base/limits.h"
#include "drone/core/drone_core.h"
#include "drone/link/convert.h"
#include "proto/waggle_proto.h"
#include "queen/api/convert.h"
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {
namespace {

namespace effect = drone::effect;
namespace event = drone::event;
using drone::Held;
using drone::HeldState;

constexpr std::uint32_t kCapacity = 2;
constexpr int kSteps = 300;

class Daemon {
 public:
  explicit Daemon(Input& in) : in_(in) {}

  void Play() {
    for (std::size_t n = in_.Pick(3); n > 0; --n) Recover();
    Step(event::Begin{Epoch(Number(in_, 3) >> 2)});
    for (int step = 0; step < kSteps && !in_.done() && !exited_; ++step) Act();
  }

 private:
  // One attempt directory and what is in it, as the shell knows it.
  struct Attempt {
    bool process = false;    // its shim lives
    bool starting = false;   // StartAttempt is not answered yet
    bool connected = false;  // to the shim
    bool killed = false;
    bool granted = false;  // on this connection
    std::uint64_t last = 0;
    std::uint32_t counter = 0;
    std::uint8_t state = 1;
  };

  // ---- what happens ----

  void Act() {
    switch (in_.Pick(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Hear(Make());
      case 4: {
        v1::FromQueen noise;
        if (noise.ParseFromString(std::string(in_.Text()))) Hear(std::move(noise));
        return;
      }
      case 5:
        return HearBulk();
      case 6:
        return Wake();
      case 7:
        return AnswerStart();
      case 8:
      case 9:
        return ShimSays();
      case 10:
        return ShimEnds();
      case 11:
        return BulkMoves();
      case 12:
        if (control_ == Control::kClosed) return;
        control_ = Control::kClosed;
        return Step(
            event::ControlLost{static_cast<event::ControlLost::Why>(in_.Pick(16) == 15 ? in_.Pick(3) : 0),
                               std::string(in_.Text()), Jitter()});
      case 13:
        now_ += std::chrono::milliseconds(in_.U16());
        return;
      case 14:
        return Connects();
      case 15:
        if (in_.Pick(4) != 0) return;
        if (in_.Flag()) return Step(event::Drain{});
        return in_.Flag() ? Step(event::Stop{}) : Step(event::Detach{});
    }
  }

  void Recover() {
    event::Recovered recovered;
    recovered.job = JobId(in_.U8());
    recovered.held.epoch = Epoch(1 + in_.Pick(4));
    if (attempts_.contains(recovered.held.epoch)) return;
    recovered.alive = in_.Flag();
    recovered.held.state = recovered.alive ? HeldState::kAccepted
                           : in_.Flag()    ? HeldState::kFinished
                                           : HeldState::kLost;
    recovered.held.last = Seq(in_.U8());
    recovered.held.counter = recovered.alive ? 0 : drone::kCounterAfterShim;
    recovered.detail = "found without a shim";
    attempts_[recovered.held.epoch] = {.process = recovered.alive, .last = recovered.held.last.value()};
    recovered_ += recovered.alive;
    Step(recovered);
  }

  void Hear(v1::FromQueen message) {
    if (control_ == Control::kClosed) return;
    auto heard = drone::FromProto(message, 1'700'000'000'000);
    if (!heard) return;  // passed over
    if (const auto* grant = std::get_if<drone::Grant>(&*heard)) granted_.insert(grant->epoch);
    if (const auto* welcome = std::get_if<drone::Welcome>(&*heard)) {
      for (const auto& d : welcome->attempts) {
        if (d.granted) granted_.insert(d.epoch);
      }
    }
    Step(event::FromQueen{*std::move(heard)});
  }

  void HearBulk() {
    if (!bulk_open_) return;
    v1::BulkDown message;
    const std::uint64_t epoch = AnyEpoch(), seq = Number(in_, SentOf(epoch));
    switch (in_.Pick(4)) {
      case 0:
      case 1:
        message.mutable_ack()->set_epoch(epoch);
        message.mutable_ack()->set_seq(seq);
        break;
      case 2:
        message.mutable_resume_from()->set_epoch(epoch);
        message.mutable_resume_from()->set_seq(seq);
        break;
      case 3:
        message.mutable_fenced()->set_epoch(epoch);
        break;
    }
    Step(event::FromBulk{*drone::FromProto(message)});
  }

  void Wake() {
    Require(wake_.has_value() || control_ == Control::kOpen, "a drone without a link wants to be woken");
    if (!wake_) return;
    now_ = std::max(now_, *wake_);
    Step(event::Timer{Jitter()});
    if (!exited_ && wake_) Require(*wake_ > now_ || ++idle_wakes_ < 8, "waking up gets it somewhere");
    if (wake_ && *wake_ > now_) idle_wakes_ = 0;
  }

  void AnswerStart() {
    for (auto& [epoch, a] : attempts_) {
      if (!a.starting) continue;
      a.starting = false;
      if (in_.Pick(4) == 3) {
        const Epoch failed = epoch;
        attempts_.erase(failed);
        return Step(event::StartFailed{failed, std::string("no \xE2\x82\xAC") + Long()});
      }
      a.process = true;
      return Step(event::Started{epoch, JobId(epoch.value() + 100)});
    }
  }

  void Connects() {
    Attempt* a = AnyShim();
    if (a == nullptr) return;
    a->connected = !a->connected;
    a->granted = false;
    if (a->connected) return Step(event::ShimConnected{chosen_});
    Step(event::ShimDisconnected{chosen_});
  }

  void ShimSays() {
    Attempt* a = AnyShim();
    if (a == nullptr || !a->connected) return;
    if (in_.Flag()) {
      a->last += in_.U8();
      return Step(event::ShimWatermark{chosen_, Seq(a->last)});
    }
    Held held;
    held.epoch = chosen_;
    a->state = std::max<std::uint8_t>(a->state, static_cast<std::uint8_t>(1 + in_.Pick(5)));
    held.state = static_cast<HeldState>(a->state);
    held.last = Seq(a->last);
    held.phase = static_cast<Phase>(in_.Pick(kPhaseCount));
    held.wants_grant = in_.Flag();
    held.counter = ++a->counter;
    held.started = static_cast<WallMillis>(in_.U32());
    held.test_code = in_.U8() - 1;
    Step(event::ShimStatus{held});
  }

  // By itself, or because it was killed.
  void ShimEnds() {
    Attempt* a = AnyShim();
    if (a == nullptr) return;
    Held held;
    held.epoch = chosen_;
    held.state = in_.Flag() ? HeldState::kFinished : HeldState::kLost;
    held.last = Seq(a->last - std::min<std::uint64_t>(a->last, in_.Pick(3)));
    a->process = a->connected = false;
    Step(event::ShimGone{held, "killed by signal 9 \xE2\x82\xAC" + Long()});
  }

  void BulkMoves() {
    if (!bulk_open_) return;
    if (in_.Pick(4) == 3) {
      bulk_open_ = false;
      asked_.reset();
      return Step(event::BulkLost{"reset", Jitter()});
    }
    if (!asked_) return Step(event::BulkReady{});
    const effect::SendRecords asked = *std::exchange(asked_, std::nullopt);
    switch (in_.Pick(8)) {
      case 6:
        return Step(event::RecordsSent{asked.epoch, Seq(), 0});
      case 7:
        return Step(event::SpoolDamaged{asked.epoch, Seq(asked.from.value() - 1), "checksum"});
      default: {
        const std::uint64_t most = asked.to.value() - asked.from.value();
        const std::uint64_t upto = asked.from.value() + std::min<std::uint64_t>(most, in_.U8());
        sent_[asked.epoch] = upto;
        const std::size_t bytes =
            std::clamp<std::size_t>(in_.U32() % (2 * limits::kMiB), 48, asked.max_bytes);
        return Step(event::RecordsSent{asked.epoch, Seq(upto), bytes});
      }
    }
  }

  // ---- messages ----

  std::uint64_t AnyEpoch() { return in_.Pick(8) == 7 ? Number(in_, 5) : 1 + in_.Pick(8); }
  std::uint64_t SentOf(std::uint64_t epoch) { return sent_.contains(Epoch(epoch)) ? sent_[Epoch(epoch)] : 0; }

  v1::FromQueen Make() {
    v1::FromQueen message;
    const std::size_t kind = control_ == Control::kOpening && in_.Pick(4) != 3 ? 0 : in_.Pick(12);
    switch (kind) {
      case 0: {
        v1::Welcome* welcome = message.mutable_welcome();
        welcome->set_protocol(in_.Pick(32) == 31 ? in_.U8() : 1);
        welcome->set_session(in_.U8());
        welcome->set_lease_ms(static_cast<std::int64_t>(Number(in_, 30'000)));
        welcome->set_heartbeat_busy_ms(static_cast<std::int64_t>(Number(in_, 5'000)));
        welcome->set_heartbeat_idle_ms(static_cast<std::int64_t>(Number(in_, 15'000)));
        for (std::size_t n = in_.Pick(5); n > 0; --n) {
          v1::Disposition* d = welcome->add_attempts();
          d->set_epoch(AnyEpoch());
          d->set_action(
              static_cast<v1::Disposition::Action>(in_.Pick(16) == 15 ? in_.U8() : 1 + in_.Pick(5)));
          d->set_acked_seq(Number(in_, SentOf(d->epoch())));
          d->set_cancel(in_.Flag());
          d->set_granted(in_.Flag());
        }
        break;
      }
      case 1:
      case 2:
      case 3:
        message.mutable_assign()->set_epoch(AnyEpoch());
        message.mutable_assign()->set_attempt(in_.U8());
        message.mutable_assign()->set_document("document");
        break;
      case 4:
        message.mutable_cancel()->set_epoch(AnyEpoch());
        message.mutable_cancel()->set_by("alice");
        message.mutable_cancel()->set_now(in_.Flag());
        break;
      case 5:
        message.mutable_grant()->set_epoch(AnyEpoch());
        break;
      case 6:
        message.mutable_heartbeat_ack()->set_nonce(in_.U64());
        break;
      case 7:
        message.mutable_verdict()->set_epoch(AnyEpoch());
        message.mutable_verdict()->set_state(static_cast<v1::JobState>(in_.U8()));
        break;
      case 8:
        message.mutable_query_info();
        break;
      case 9:
        message.mutable_forget()->set_epoch(AnyEpoch());
        break;
      default:
        message.mutable_fenced()->set_epoch(AnyEpoch());
        break;
    }
    return message;
  }

  static const std::string& Long() {  // longer than what a message may say, of characters of three bytes
    static const std::string text = [] {
      std::string out;
      while (out.size() < limits::kReasonBytes) out += "\xE2\x82\xAC";
      return out;
    }();
    return text;
  }

  double Jitter() { return in_.U8() / 256.0; }
  Attempt* AnyShim() {
    std::size_t skip = in_.Pick(4);
    for (int round = 0; round < 2; ++round) {
      for (auto& [epoch, a] : attempts_) {
        if (!a.process || (round == 0 && skip-- > 0)) continue;
        chosen_ = epoch;
        return &a;
      }
    }
    return nullptr;
  }

  // ---- what must hold ----

  void Step(drone::Event event) {
    if (exited_) return;
    drone::Effects effects = core_.Step(now_, event);
    wake_ = effects.wake;
    for (const drone::Effect& e : effects.list) {
      Require(!exited_, "nothing follows the exit");
      std::visit([this](const auto& what) { Perform(what); }, e);
    }
    if (exited_) return;
    Require(core_.in_flight() <= limits::kWindowPerDrone, "what is on its way is within the window");
    Require(core_.running() <= kCapacity + recovered_, "no more attempts run than there are slots");
    Require(core_.held() == attempts_.size(), "the core holds what is on the disk");
    Require(core_.connected() == (control_ == Control::kOpen && welcomed_),
            "it knows whether it is connected");
  }

  void Perform(const effect::OpenControl& e) {
    Require(control_ == Control::kClosed, "one control stream at a time");
    control_ = Control::kOpening;
    welcomed_ = false;
    v1::FromDrone message;
    drone::ToProto(e.hello, message.mutable_hello());
    message.mutable_hello()->set_protocol_min(1);
    message.mutable_hello()->set_protocol_max(1);
    message.mutable_hello()->set_identity(std::string(32, 'a'));
    message.mutable_hello()->set_name("d1");
    Said(message, /*hello=*/true);
  }
  void Perform(const effect::CloseControl&) { control_ = Control::kClosed; }
  void Perform(const effect::OpenBulk&) {
    if (control_ == Control::kOpening) control_ = Control::kOpen;
    welcomed_ = true;
    Require(!bulk_open_, "one bulk stream at a time");
    bulk_open_ = true;
    asked_.reset();
  }
  void Perform(const effect::CloseBulk&) { bulk_open_ = false; }
  void Perform(const effect::SendControl& e) {
    Require(control_ != Control::kClosed, "nothing is said without a stream");
    v1::FromDrone message;
    drone::ToProto(e.message, {}, &message);
    Said(message, /*hello=*/false);
  }
  void Perform(const effect::SendRecords& e) {
    Require(bulk_open_ && !asked_, "records are asked for when the stream takes them");
    Require(attempts_.contains(e.epoch), "of an attempt that is there");
    Require(e.from.value() >= 1 && e.from <= e.to && e.to.value() <= attempts_[e.epoch].last,
            "that the spool has");
    Require(e.max_bytes >= limits::kRecordPayload && e.max_bytes <= limits::kLogBatch, "in one message");
    asked_ = e;
  }
  void Perform(const effect::TrimSpool& e) {
    Require(attempts_.contains(e.epoch), "only the spool of an attempt that is there is trimmed");
    Require(e.acked.value() <= attempts_[e.epoch].last, "and of nothing that it does not have");
  }
  void Perform(const effect::StartAttempt& e) {
    Require(!attempts_.contains(e.assign.epoch), "an attempt is started once");
    Require(static_cast<bool>(e.assign.epoch), "and has a number");
    attempts_[e.assign.epoch].starting = true;
  }
  void Perform(const effect::GrantShim& e) {
    Attempt& a = attempts_.at(e.epoch);
    Require(granted_.contains(e.epoch), "only the queen grants");
    Require(a.connected && !std::exchange(a.granted, true), "once on each connection");
  }
  void Perform(const effect::CancelShim& e) {
    Require(attempts_.contains(e.cancel.epoch) && attempts_[e.cancel.epoch].connected,
            "to a shim that hears it");
  }
  void Perform(const effect::KillTree& e) { attempts_.at(e.epoch).killed = true; }
  void Perform(const effect::DeleteAttempt& e) {
    const Attempt& a = attempts_.at(e.epoch);
    Require(!a.process && !a.starting, "an attempt is deleted when nothing of it lives");
    attempts_.erase(e.epoch);
    sent_.erase(e.epoch);
    if (asked_ && asked_->epoch == e.epoch) stale_ask_ = true;
  }
  void Perform(const effect::Note&) {}
  void Perform(const effect::Exit&) { exited_ = true; }

  // Whatever it is told, it never says what its own queen refuses: that would end every session it opens.
  static void Said(const v1::FromDrone& message, bool hello) {
    v1::FromDrone heard;
    Require(heard.ParseFromString(message.SerializeAsString()), "what the drone says can be read");
    auto event = queen::FromProto(heard, queen::ConnectionId(1), true, hello);
    Require(event.ok(), event.status().ToString());
  }

  enum class Control { kClosed, kOpening, kOpen };

  Input& in_;
  drone::DroneCore core_{drone::Info{1.0, kCapacity, {{"os", "linux"}}}};
  Time now_{std::chrono::hours(1)};
  std::optional<Time> wake_;
  int idle_wakes_ = 0;
  Control control_ = Control::kClosed;
  bool welcomed_ = false, bulk_open_ = false, exited_ = false, stale_ask_ = false;
  std::optional<effect::SendRecords> asked_;
  std::map<Epoch, Attempt> attempts_;
  std::map<Epoch, std::uint64_t> sent_;
  std::set<Epoch> granted_;
  std::uint32_t recovered_ = 0;
  Epoch chosen_;
};

}  // namespace

void Run(std::string_view input) {
  google::protobuf::SetLogHandler(nullptr);
  Input in(input);
  Daemon(in).Play();
}

}  // namespace waggle::fuzz
