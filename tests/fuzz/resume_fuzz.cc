// The resume handshake: both real cores, a Hello and a Welcome over the wire. What the queen believes of a
// drone's attempts and what its daemon finds on its disk drift apart in every way (forgotten, further, lost,
// foreign, from before a restart of either), and either message may be harmed. What must hold of each answer
// is said in Judge().
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <set>

#include "drone/core/drone_core.h"
#include "drone/link/convert.h"
#include "proto/waggle_proto.h"
#include "queen/api/convert.h"
#include "tests/fuzz/fuzz.h"
#include "tests/queen/core/hive_fixture.h"

namespace waggle::fuzz {
namespace {

using queen::Action;
using queen::AttemptRow;

constexpr const char* kDrone = "d0";
constexpr std::uint32_t kCapacity = 6;
constexpr int kRounds = 4;
constexpr waggle::Time kDaemonTime{std::chrono::hours(1)};

// Overwrites some bytes of a message; most inputs leave it whole.
bool Harm(Input& in, std::string* bytes) {
  if (in.Pick(8) != 7 || bytes->empty()) return false;
  for (std::size_t n = 1 + in.Pick(3); n > 0; --n)
    (*bytes)[in.U16() % bytes->size()] = static_cast<char>(in.U8());
  return true;
}

class Handshake : public queen::HiveTest {
 public:
  explicit Handshake(Input& in) : in_(in) {}
  void TestBody() override {}

  void Play() {
    SetUp();
    drones_[kDrone].identity = std::string(32, 'a');
    DroneUp(kDrone, kCapacity);
    for (std::size_t n = 1 + in_.Pick(kCapacity); n > 0; --n) Begin(static_cast<JobType>(1 + in_.Pick(3)));
    for (int round = 0; round < kRounds && !in_.done(); ++round) {
      Part();
      Meet();
    }
  }

 private:
  struct Before {
    queen::ShadowStore store;
    std::map<Epoch, queen::effect::SealLog> seals;
  };
  struct Daemon {
    drone::DroneCore core{drone::Info{1.0, kCapacity, {}}};
    std::map<Epoch, bool> alive;  // what is on its disk, and whether its shim lives
  };

  // ---- before ----

  void Begin(JobType type) {
    const std::string name = "j" + std::to_string(ids_.size());
    Submit(name, {.type = type});
    if (!Current(name)) return;
    const std::size_t stage = in_.Pick(5);
    if (stage >= 1) Accept(name);
    if (stage >= 2) Starts(name);
    if (stage >= 3) AsksForGrant(name, type == JobType::kTestAndDeploy ? 0 : -1);
    if (stage == 4) Cancel(name, in_.Flag());
  }

  // The link is gone for a while, and one of the two may begin anew.
  void Part() {
    if (DroneIsUp()) Disconnect(kDrone);
    switch (in_.Pick(6)) {
      case 0:
        Advance(std::chrono::milliseconds(in_.U16()));
        break;
      case 1:
        AdvancePastLease();
        break;
      case 2:
        Restart();
        break;
      case 3:
        AdvancePastLease();
        SealsComplete();
        Restart();
        break;
      case 4:
        AdvancePastLease();
        DroneUp("d1");
        break;
      default:
        break;
    }
    if (in_.Flag()) SealsComplete();
  }

  bool DroneIsUp() { return drones_[kDrone].connection && !closed_.contains(drones_[kDrone].connection); }

  // What the daemon finds: mostly what the queen gave it.
  std::map<Epoch, drone::event::Recovered> Disk() {
    std::map<Epoch, drone::event::Recovered> disk;
    for (const auto& [epoch, row] : store_.attempts) {
      if (in_.Pick(8) != 7) disk[epoch] = Found(epoch, row.job);
    }
    while (in_.Pick(8) == 7) {  // of another queen, or of this one after her backup
      const Epoch epoch(Number(in_, store_.counters.epoch + 1) >> 3);
      if (epoch) disk[epoch] = Found(epoch, JobId(1 + in_.U8()));
    }
    return disk;
  }
  drone::event::Recovered Found(Epoch epoch, JobId job) {
    drone::event::Recovered found;
    found.job = job;
    found.held.epoch = epoch;
    found.alive = in_.Pick(4) != 3;
    found.held.state = found.alive  ? drone::HeldState::kAccepted
                       : in_.Flag() ? drone::HeldState::kFinished
                                    : drone::HeldState::kLost;
    found.held.last = Seq(in_.U8());
    if (!found.alive) found.held.counter = drone::kCounterAfterShim;
    if (found.held.state == drone::HeldState::kLost) found.detail = "found without a shim";
    return found;
  }

  // ---- the handshake ----

  void Meet() {
    Daemon daemon;
    Epoch highest(0);
    for (const auto& [epoch, found] : Disk()) {
      daemon.alive[epoch] = found.alive;
      daemon.core.Step(kDaemonTime, found);
      highest = std::max(highest, epoch);
    }
    const drone::Hello greeting = Greeting(daemon, highest);

    v1::FromDrone hello;
    drone::ToProto(greeting, hello.mutable_hello());
    hello.mutable_hello()->set_protocol_min(1);
    hello.mutable_hello()->set_protocol_max(1);
    hello.mutable_hello()->set_identity(drones_[kDrone].identity);
    hello.mutable_hello()->set_name(kDrone);
    std::string bytes = hello.SerializeAsString();
    const bool whole = !Harm(in_, &bytes);
    v1::FromDrone heard;
    if (!heard.ParseFromString(bytes)) return;
    const queen::ConnectionId connection(1'000 + ++connections_);
    auto event = queen::FromProto(heard, connection, /*local=*/true, /*hello_wanted=*/true);
    Require(event.ok() || !whole, event.status().ToString());
    if (!event.ok()) return;

    const Before before{store_, seals_};
    Step(*event);
    if (whole) drones_[kDrone].connection = connection;
    const auto welcomes = SentTo<queen::to_drone::Welcome>(connection);
    if (welcomes.empty()) {
      Require(closed_.contains(connection) && !whole,
              "a greeting is answered or refused, a right one answered");
      return;
    }
    Require(welcomes.size() == 1, "and answered once");
    const auto& said = std::get<queen::event::Hello>(*event);
    Judge(said, welcomes.front(), before);
    if (whole) {
      drones_[kDrone].session = welcomes.front().session;
      Answer(daemon, welcomes.front());
    } else {
      Step(queen::event::Disconnected{connection});  // its daemon is not this one
    }
  }

  // Shims that were found again say how far they are, or stay silent and are not waited for any longer.
  drone::Hello Greeting(Daemon& daemon, Epoch highest) {
    std::vector<drone::Effects> steps;
    steps.push_back(daemon.core.Step(kDaemonTime, drone::event::Begin{highest}));
    for (const auto& [epoch, alive] : daemon.alive) {
      if (!alive || in_.Pick(4) == 3) continue;
      drone::Held held;
      held.epoch = epoch;
      held.state = static_cast<drone::HeldState>(1 + in_.Pick(3));
      held.last = Seq(in_.U8());
      held.counter = 1 + in_.U8();
      held.wants_grant = in_.Flag();
      steps.push_back(daemon.core.Step(kDaemonTime, drone::event::ShimConnected{epoch}));
      steps.push_back(daemon.core.Step(kDaemonTime, drone::event::ShimStatus{held}));
    }
    for (int wakes = 0; wakes < 4; ++wakes) {
      for (const drone::Effects& step : steps) {
        for (const drone::Effect& effect : step.list) {
          if (const auto* open = std::get_if<drone::effect::OpenControl>(&effect)) return open->hello;
        }
      }
      if (const auto wake = steps.back().wake) {
        steps.push_back(daemon.core.Step(*wake, drone::event::Timer{}));
      }
    }
    Require(false, "a daemon greets its queen");
    return {};
  }

  // Each attempt of the Hello is answered once, what the queen waits for goes on, what she never gave is
  // kept, and what she waits for and the drone does not have is not waited for any longer.
  void Judge(const queen::event::Hello& hello, const queen::to_drone::Welcome& welcome,
             const Before& before) {
    Require(welcome.attempts.size() == hello.attempts.size(), "one answer for each attempt");
    std::set<Epoch> listed;
    for (std::size_t i = 0; i < hello.attempts.size(); ++i) {
      const queen::HeldAttempt& held = hello.attempts[i];
      const queen::Disposition& answer = welcome.attempts[i];
      Require(answer.epoch == held.epoch, "in their order");
      const bool again = !listed.insert(held.epoch).second;
      const bool over = held.state == queen::HeldState::kFinished || held.state == queen::HeldState::kLost;
      const bool goes_on = answer.action == Action::kContinue || answer.action == Action::kSendFinal;
      const auto row = before.store.attempts.find(held.epoch);
      if (row == before.store.attempts.end()) {
        Require(!goes_on, "nothing goes on that the queen never gave");
        if (held.epoch.value() > before.store.counters.epoch) {
          Require(answer.action == Action::kUnknown, "what came after her memory ends is kept");
        }
        continue;
      }
      Require(answer.action != Action::kSendFinal || over, "the final record of what is over only");
      Require(answer.action != Action::kFenced || !over, "what is over has nothing left to kill");
      if (!Live(row->second, before) || !Own(row->second, before, hello.identity) || again) continue;
      Require(goes_on, "what the queen waits for goes on");
      Require(answer.granted == row->second.granted, "with its grant");
    }
    for (const auto& [epoch, row] : before.store.attempts) {
      if (!Live(row, before) || !Own(row, before, hello.identity) || listed.contains(epoch)) continue;
      const queen::JobRow& job = store_.jobs.at(row.job);
      Require(job.attempt != epoch || IsTerminal(job.state) || seals_.contains(epoch),
              "an attempt that its drone does not have is given up");
      Require(!row.granted || job.state != JobState::kQueued,
              "and a deploy that was granted is never repeated");
    }
    for (const queen::HeldAttempt& held : hello.attempts) {
      if (held.epoch.value() <= std::uint64_t{1} << 60) {
        Require(store_.counters.epoch >= std::min(held.epoch, hello.highest_epoch).value(),
                "an epoch that was used is not given again");
      }
    }
  }
  // The queen waits for it and has not given it up.
  static bool Live(const AttemptRow& row, const Before& before) {
    const queen::JobRow& job = before.store.jobs.at(row.job);
    return !row.log_closed && !before.seals.contains(row.epoch) && job.attempt == row.epoch &&
           !IsTerminal(job.state);
  }
  static bool Own(const AttemptRow& row, const Before& before, const std::string& identity) {
    const auto drone = before.store.drones.find(row.drone);
    return drone != before.store.drones.end() && drone->second.identity == identity;
  }

  // The daemon's side: nothing is killed or deleted that the queen has not given up.
  void Answer(Daemon& daemon, const queen::to_drone::Welcome& welcome) {
    v1::FromQueen message;
    queen::ToProto(queen::ToDrone(welcome), &message);
    message.mutable_welcome()->set_protocol(1);
    for (v1::Disposition& d : *message.mutable_welcome()->mutable_attempts()) d.set_acked_seq(Number(in_, 3));
    std::string bytes = message.SerializeAsString();
    const bool whole = !Harm(in_, &bytes);
    v1::FromQueen heard;
    if (!heard.ParseFromString(bytes)) return;
    const auto down = drone::FromProto(heard, wall_);
    Require(down.has_value() || !whole, "a drone understands its queen");
    if (!down) return;
    std::map<Epoch, Action> said;
    if (const auto* taken = std::get_if<drone::Welcome>(&*down)) {
      for (const auto& d : taken->attempts) said[d.epoch] = static_cast<Action>(d.action);
    }
    const auto given_up = [&said](Epoch epoch) {
      const auto answer = said.find(epoch);
      return answer != said.end() && (answer->second == Action::kForget || answer->second == Action::kFenced);
    };
    std::set<Epoch> ended;
    const drone::Effects effects = daemon.core.Step(kDaemonTime, drone::event::FromQueen{*down});
    for (const drone::Effect& effect : effects.list) {
      if (const auto* kill = std::get_if<drone::effect::KillTree>(&effect)) {
        Require(given_up(kill->epoch), "no tree is killed that the queen has not given up");
        ended.insert(kill->epoch);
      } else if (const auto* gone = std::get_if<drone::effect::DeleteAttempt>(&effect)) {
        Require(given_up(gone->epoch) && !daemon.alive.at(gone->epoch),
                "nothing is deleted that lives or that the queen has not given up");
        ended.insert(gone->epoch);
      }
    }
    if (!whole) return;
    for (const auto& [epoch, action] : said) {
      Require(action != Action::kFenced || ended.contains(epoch), "what was given up is ended at once");
    }
  }

  Input& in_;
  std::uint64_t connections_ = 0;
};

}  // namespace

void Run(std::string_view input) {
  GTEST_FLAG_SET(break_on_failure, true);  // an expectation of the fixture is a promise too
  google::protobuf::SetLogHandler(nullptr);
  Input in(input);
  Handshake(in).Play();
}

// Stages of six jobs, then partings of every kind with a disk that has everything.
std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (std::uint8_t type = 0; type < 3; ++type) {
    for (std::uint8_t parting = 0; parting < 6; ++parting) {
      std::string& seed = seeds.emplace_back();
      ByteWriter w(&seed);
      w.U8(4);
      for (std::uint8_t stage = 0; stage < 5; ++stage) {
        w.U8(type);
        w.U8(stage);
        if (stage == 4) w.U8(0);
      }
      for (int round = 0; round < 3; ++round) {
        w.U8(parting);
        if (parting == 0) w.U16(400);
        w.U8(static_cast<std::uint8_t>(round % 2));
        for (std::uint8_t held = 0; held < 5; ++held) {
          w.U8(0);                  // it is there
          w.U8(held == 4 ? 3 : 0);  // its shim lives
          if (held == 4) w.U8(static_cast<std::uint8_t>(round % 2));
          w.U8(9);  // records
        }
        w.U8(0);  // nothing foreign
        for (int shim = 0; shim < 4; ++shim) {
          w.U8(0);  // says where it is
          w.U8(1);
          w.U8(9);
          w.U8(static_cast<std::uint8_t>(round));
          w.U8(0);
        }
        w.U8(0);  // a whole Hello
        for (int answer = 0; answer < 5; ++answer) w.U8(9);
        w.U8(0);  // a whole Welcome
      }
    }
  }
  return seeds;
}

}  // namespace waggle::fuzz
