// The queen against drones that say anything: messages of hive.proto, right ones, wrong ones and noise,
// through the real conversion into the real core, between submissions, cancels, log ends, restarts and
// passing time. The fixture's store checks every row (verdicts stand, epochs and states only grow); what is
// said to drones and shown to people must survive the wire; and in the end nothing is stuck.
// Over 400 lines: what is done and what must then hold share one account.
#include <google/protobuf/stubs/logging.h>

#include <array>

#include "common/journal/events.h"
#include "common/journal/record.h"
#include "drone/link/convert.h"
#include "proto/waggle_proto.h"
#include "queen/api/convert.h"
#include "tests/fuzz/fuzz.h"
#include "tests/queen/core/hive_fixture.h"

namespace waggle::fuzz {
namespace {

using queen::ConnectionId;
using queen::JobRow;

constexpr std::size_t kDrones = 3;
constexpr int kSteps = 200;

// Whatever is set survives serializing and parsing: protobuf refuses text that is not UTF-8 only when it
// reads.
template <typename Message>
Message Wired(const Message& message) {
  Message out;
  Require(out.ParseFromString(message.SerializeAsString()),
          "what the queen says can be read by who hears it");
  return out;
}

class Queen : public queen::HiveTest {
 public:
  void TestBody() override {}
  void Play(Input& in) {
    SetUp();
    for (int step = 0; step < kSteps && !in.done(); ++step) {
      Act(in);
      CheckRows();
      if (step % 8 == 7) CheckWire();
    }
    Settle();
  }

 private:
  struct Stream {
    ConnectionId connection;
    bool greeted = false;
  };

  // ---- what happens ----

  void Act(Input& in) {
    switch (in.Pick(16)) {
      case 0:
        return SubmitOne(in);
      case 1:
        return Connect(in);
      case 2:
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
        return Say(in, Make(in));
      case 8: {
        v1::FromDrone noise;
        if (noise.ParseFromString(std::string(in.Text()))) Say(in, noise);
        return;
      }
      case 9:
        return Hang(streams_[in.Pick(kDrones)]);
      case 10:
        return Advance(std::chrono::milliseconds(in.U16() * 10));
      case 11:
        if (!ids_.empty()) Cancel(AnyJob(in), in.Flag(), "wrong branch \xE2\x82\xAC");
        return;
      case 12:
        return EndLog(in);
      case 13:
        return SealsComplete();
      case 14:
        if (in.Pick(4) == 0) {
          for (Stream& stream : streams_) stream = {};
          Restart();
        }
        return;
      case 15:
        return Show(in);
    }
  }

  void SubmitOne(Input& in) {
    if (ids_.size() >= 40) return;
    queen::JobOptions options;
    options.priority = static_cast<std::int8_t>(in.U8());
    options.type = static_cast<JobType>(1 + in.Pick(3));
    options.local_only = in.Pick(8) == 7;
    if (in.Pick(4) == 3) options.needs["os"] = "linux";
    Submit("j" + std::to_string(ids_.size()), options);
  }

  // A new control stream of this drone; its first message is a Hello, unless the input wants another.
  void Connect(Input& in) {
    Stream& stream = streams_[in.Pick(kDrones)];
    Hang(stream);
    stream = {ConnectionId(1'000 + ++connections_), false};
    Deliver(stream,
            in.Pick(8) == 7 ? Make(in) : MakeHello(in, static_cast<std::size_t>(&stream - streams_.data())));
  }

  void Say(Input& in, const v1::FromDrone& message) {
    Stream& stream = streams_[in.Pick(kDrones)];
    if (stream.connection) Deliver(stream, message);
  }

  // As the control stream does it.
  void Deliver(Stream& stream, const v1::FromDrone& message) {
    const ConnectionId connection = stream.connection;
    auto event =
        queen::FromProto(message, connection, /*local=*/connection.value() % 2 == 0, !stream.greeted);
    if (!event.ok()) {
      Require(!event.status().message().empty(), "a refusal says why");
      return Hang(stream);
    }
    stream.greeted = true;
    const auto before = store_.attempts;
    Step(*event);
    CheckOnlyItsOwn(connection, before, *event);
    if (closed_.contains(connection)) Hang(stream);
  }

  void Hang(Stream& stream) {
    if (stream.connection) Step(queen::event::Disconnected{stream.connection});
    stream = {};
  }

  // The log store found a final record that a drone sent, so its words are the drone's.
  void EndLog(Input& in) {
    if (log_sessions_.empty()) return;
    auto log =
        std::next(log_sessions_.begin(), static_cast<std::ptrdiff_t>(in.Pick(log_sessions_.size() % 256)));
    if (closed_logs_.contains(log->first)) return;
    journal::Final final;
    final.test_code = static_cast<std::int32_t>(Number(in, 0));
    final.deploy_code = static_cast<std::int32_t>(Number(in, 0));
    final.failed_code = static_cast<std::int32_t>(Number(in, 0));
    final.reason = static_cast<Reason>(in.Pick(13));
    final.detail = in.Text();
    final.failed_step = in.Text();
    final.started = static_cast<WallMillis>(Number(in, static_cast<std::uint64_t>(wall_)));
    final.finished = static_cast<WallMillis>(Number(in, static_cast<std::uint64_t>(wall_)));
    LogEnds(log->first, final, in.Pick(4) == 3 ? "a gap" : "");
  }

  // A record a drone sent, as a watcher gets it.
  void Show(Input& in) {
    journal::RecordHeader header;
    header.kind = static_cast<journal::Kind>(1 + in.Pick(11));
    header.seq = Seq(in.U64());
    header.offset = in.U64();
    header.boot_nanos = static_cast<std::int64_t>(in.U64());
    header.command = in.U32();
    header.phase = in.U8();
    const auto first = static_cast<std::int64_t>(in.U64());
    std::string payload(in.Text());
    if (in.Flag()) {
      const std::string word = payload;
      switch (header.kind) {
        case journal::Kind::kCommandStart:
          payload = journal::Encode(journal::CommandStart{word, word, word});
          break;
        case journal::Kind::kCommandEnd:
          payload = journal::Encode(journal::CommandEnd{1, 0, in.U64(), 0, 0, 0, word, 0});
          break;
        case journal::Kind::kPhase:
          payload = journal::Encode(journal::PhaseEvent{true, 1, word});
          break;
        case journal::Kind::kWarning:
          payload = journal::Encode(journal::Warning{word, word, word});
          break;
        case journal::Kind::kMarker:
          payload = journal::Encode(journal::Gap{in.U64(), word});
          break;
        default:
          break;
      }
    }
    v1::Fragment fragment;
    queen::ToProto(journal::RecordView{header, payload, {}}, in.U64(), first, &fragment);
    Wired(fragment);
  }

  // ---- messages ----

  std::string AnyJob(Input& in) {
    return std::next(ids_.begin(), static_cast<std::ptrdiff_t>(in.Pick(ids_.size())))->first;
  }
  std::uint64_t AnyEpoch(Input& in) {
    if (in.Pick(4) == 3) return Number(in, store_.counters.epoch);
    // The newest ones are the live ones.
    const std::uint64_t back = in.Pick(6);
    auto at = store_.attempts.rbegin();
    for (std::uint64_t i = 0; i < back && at != store_.attempts.rend(); ++i) ++at;
    return at == store_.attempts.rend() ? 1 : at->first.value();
  }

  void FillHeld(Input& in, v1::HeldAttempt* held) {
    held->set_epoch(AnyEpoch(in));
    held->set_state(static_cast<v1::HeldAttempt::State>(in.Pick(16) == 15 ? in.U8() : 1 + in.Pick(6)));
    held->set_last_seq(Number(in, 3));
    held->set_wants_grant(in.Flag());
    held->set_counter(static_cast<std::uint32_t>(in.Flag() ? ++counter_ : Number(in, counter_)));
    held->set_received_at(static_cast<std::int64_t>(Number(in, static_cast<std::uint64_t>(wall_))));
    held->set_started_at(static_cast<std::int64_t>(Number(in, static_cast<std::uint64_t>(wall_))));
    held->set_finished_at(static_cast<std::int64_t>(Number(in, static_cast<std::uint64_t>(wall_))));
    held->set_test_code(static_cast<std::int32_t>(Number(in, UINT64_MAX)));
    held->set_deploy_code(static_cast<std::int32_t>(Number(in, UINT64_MAX)));
  }

  void FillInfo(Input& in, v1::Info* info) {
    constexpr double kSpeeds[] = {1, 0, 2.5, 1e12, 1e13, -1, 1e308, -0.0};
    info->set_speed(kSpeeds[in.Pick(std::size(kSpeeds))]);
    info->set_capacity(in.Pick(8) == 7 ? in.U32() : static_cast<std::uint32_t>(in.Pick(5)));
    if (in.Flag()) (*info->mutable_labels())["os"] = "linux";
    if (in.Pick(8) == 7) (*info->mutable_labels())[std::string(in.Text())] = std::string(in.Text());
    if (in.Pick(8) == 7) info->add_plugins()->set_name(std::string(in.Text()));
  }

  v1::FromDrone MakeHello(Input& in, std::size_t who) {
    v1::FromDrone message;
    v1::Hello* hello = message.mutable_hello();
    hello->set_protocol_min(1);
    hello->set_protocol_max(1);
    hello->set_identity(std::string(32, static_cast<char>('a' + who)));
    hello->set_name("d" + std::to_string(in.Pick(16) == 15 ? in.Pick(kDrones) : who));
    hello->set_host("host");
    hello->set_version("1");
    if (in.Pick(8) == 7) hello->set_highest_epoch(Number(in, store_.counters.epoch));
    if (in.Pick(4) != 3) FillInfo(in, hello->mutable_info());
    for (std::size_t n = in.Pick(5); n > 0; --n) FillHeld(in, hello->add_attempts());
    if (in.Pick(16) == 15) hello->set_host(std::string(in.Text()));
    if (in.Pick(16) == 15) hello->set_name(std::string(in.Text()));
    if (in.Pick(16) == 15) hello->set_protocol_max(in.U8());
    return Parsed(message);
  }

  v1::FromDrone Make(Input& in) {
    v1::FromDrone message;
    switch (in.Pick(7)) {
      case 0:
        return MakeHello(in, in.Pick(kDrones));
      case 1:
        FillInfo(in, message.mutable_info());
        break;
      case 2:
        message.mutable_heartbeat()->set_nonce(in.U64());
        message.mutable_heartbeat()->set_load1(in.Flag() ? 1.5 : static_cast<double>(in.U64()));
        break;
      case 3:
        message.mutable_accept()->set_epoch(AnyEpoch(in));
        message.mutable_accept()->set_received_at(
            static_cast<std::int64_t>(Number(in, static_cast<std::uint64_t>(wall_))));
        break;
      case 4:
        message.mutable_reject()->set_epoch(AnyEpoch(in));
        message.mutable_reject()->set_reason(std::string(in.Text()) + (in.Flag() ? Long() : ""));
        break;
      case 5:
        FillHeld(in, message.mutable_status()->mutable_attempt());
        break;
      case 6:
        message.mutable_shim_lost()->set_epoch(AnyEpoch(in));
        message.mutable_shim_lost()->set_last_seq(Number(in, 3));
        message.mutable_shim_lost()->set_detail(std::string(in.Text()) + (in.Flag() ? Long() : ""));
        break;
    }
    return Parsed(message);
  }

  // Characters of three bytes: a cut at a limit in bytes hits the middle of one.
  static const std::string& Long() {
    static const std::string text = [] {
      std::string out;
      while (out.size() < 2 * limits::kReasonBytes) out += "\xE2\x82\xAC";
      return out;
    }();
    return text;
  }

  // As it comes out of the transport; what no parser takes comes as an empty message.
  static v1::FromDrone Parsed(const v1::FromDrone& message) {
    v1::FromDrone out;
    if (!out.ParseFromString(message.SerializeAsString())) out.Clear();
    return out;
  }

  // ---- what must hold ----

  // A message about an attempt of another drone changes nothing of it.
  void CheckOnlyItsOwn(ConnectionId connection, const std::map<Epoch, queen::AttemptRow>& before,
                       const queen::Event& event) {
    Epoch epoch;
    if (const auto* e = std::get_if<queen::event::Accept>(&event)) epoch = e->epoch;
    if (const auto* e = std::get_if<queen::event::Reject>(&event)) epoch = e->epoch;
    if (const auto* e = std::get_if<queen::event::Status>(&event)) epoch = e->attempt.epoch;
    if (const auto* e = std::get_if<queen::event::ShimLost>(&event)) epoch = e->epoch;
    auto was = before.find(epoch);
    if (was == before.end()) return;
    for (const auto& welcome : SentTo<queen::to_drone::Welcome>(connection)) {
      const queen::DroneRow& row = store_.drones.at(was->second.drone);
      if (row.session == welcome.session) return;
    }
    const queen::AttemptRow& now = store_.attempts.at(epoch);
    Require(now.state == was->second.state && now.granted == was->second.granted &&
                now.counter == was->second.counter && now.detail == was->second.detail,
            "a drone changes no attempt that it does not hold");
  }
  void CheckRows() {
    const queen::FleetView fleet = Fleet();
    Require(fleet.drones.size() <= kDrones + 1, "one row for each drone");
    std::uint64_t queued = 0;
    for (const auto& [name, id] : ids_) {
      const JobRow& row = Job(name);
      queued += !IsTerminal(row.state) && !row.attempt;
      if (IsTerminal(row.state)) {
        Require(row.times.finished >= row.times.queued && row.times.finished != 0, "it ended after it began");
      } else if (row.attempt) {
        Require(store_.attempts.contains(row.attempt), "its attempt is stored");
        Require(!store_.attempts.at(row.attempt).log_closed, "a closed log has a verdict");
      } else {
        Require(row.state == JobState::kQueued, "a job without an attempt waits");
      }
      Require(row.attempts <= 1 + limits::kInfrastructureRetries, "attempts are bounded");
    }
    Require(fleet.queued == queued, "every job without an attempt is in the queue");
    for (const auto& [epoch, row] : store_.attempts) {
      Require(row.log_closed || !IsTerminal(row.state) || seals_.contains(epoch), "somebody seals its log");
    }
    answers_.clear();
  }

  // What drones hear and people see.
  void CheckWire() {
    for (const queen::DroneView& view : Fleet().drones) {
      v1::Drone drone;
      queen::ToProto(view, &drone);
      Wired(drone);
    }
    for (const auto& [name, id] : ids_) {
      v1::Job job;
      queen::ToProto(Job(name), &job);
      Wired(job);
    }
    for (const auto& [epoch, row] : store_.attempts) {
      v1::Attempt attempt;
      queen::ToProto(row, &attempt);
      Wired(attempt);
    }
    for (const auto& [connection, messages] : sent_) {
      for (std::size_t i = said_[connection]; i < messages.size(); ++i) {
        v1::FromQueen message;
        queen::ToProto(messages[i], &message);
        v1::FromQueen heard = Wired(message);
        Require(drone::FromProto(heard, wall_).has_value(), "a drone understands its queen");
      }
      said_[connection] = messages.size();
    }
    if (sent_.empty()) said_.clear();  // a restart
  }

  // Every drone is gone for good: each job waits for another or has its verdict, whatever was said before.
  void Settle() {
    for (Stream& stream : streams_) Hang(stream);
    AdvancePastLease();
    Advance(limits::kSealDeadline + std::chrono::seconds(1));
    SealsComplete();
    CheckRows();
    CheckWire();
    for (const auto& [epoch, row] : store_.attempts)
      Require(row.log_closed, "every log is closed in the end");
    for (const auto& [name, id] : ids_) {
      const JobRow& row = Job(name);
      Require(IsTerminal(row.state) || (row.state == JobState::kQueued && !row.attempt),
              "a job without a drone waits or is over");
    }
  }

  std::array<Stream, kDrones> streams_;
  std::map<ConnectionId, std::size_t> said_;
  std::uint64_t connections_ = 0;
  std::uint32_t counter_ = 0;
};

}  // namespace

void Run(std::string_view input) {
  GTEST_FLAG_SET(break_on_failure, true);  // an expectation of the fixture is a promise too
  google::protobuf::SetLogHandler(nullptr);
  Input in(input);
  Queen().Play(in);
}

}  // namespace waggle::fuzz
