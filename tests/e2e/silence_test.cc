// Drones that fall silent: cut off, frozen, killed, in mid-upload. When that is noticed is measured, and what
// an attempt that was given up still tries to say is not heard. With WAGGLE_EVERY_SILENCE=1 the lease is the
// default one and each fault is tried 200 times.
#include <gmock/gmock.h>
#include <signal.h>

#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "tests/support/net_namespace.h"
#include "tests/support/remote_queen.h"

namespace waggle::test {
namespace {

using From = NetNamespace::From;

bool EverySilence() {
  const char* every = std::getenv("WAGGLE_EVERY_SILENCE");
  return every != nullptr && *every == '1';
}

// Milliseconds, as the queen writes her times. With a lease of 30 s she gives up after 34.5 s of silence.
const WallMillis kLease = EverySilence() ? 30'000 : 2'000;
const WallMillis kLostAfter = kLease + kLease / 20 + std::chrono::milliseconds(limits::kLeaseMargin).count();
const WallMillis kBusyBeat = std::min<WallMillis>(5'000, kLease / 6);
constexpr WallMillis kNotice = 500;            // for what is due to be done: 35 s in all
constexpr WallMillis kStartElsewhere = 5'000;  // 40 s in all
constexpr WallMillis kDisconnected = 1'000;
constexpr Millis kTreeEnds = 10s;  // behind SIGCONT
const Millis kPatienceHere = Millis(kLostAfter) + kPatience;

enum class Fault : std::uint8_t {
  kCutBothWays,
  kItsWordsAreLost,
  kOursAreLost,
  kCutWhileUploading,
  kFrozen,
  kKilled,
};
constexpr Fault kFaults[] = {Fault::kCutBothWays,       Fault::kItsWordsAreLost, Fault::kOursAreLost,
                             Fault::kCutWhileUploading, Fault::kFrozen,          Fault::kKilled};
std::string_view Name(Fault fault) {
  switch (fault) {
    case Fault::kCutBothWays:
      return "cut both ways";
    case Fault::kItsWordsAreLost:
      return "its words are lost";
    case Fault::kOursAreLost:
      return "the queen's words are lost";
    case Fault::kCutWhileUploading:
      return "cut while it uploads";
    case Fault::kFrozen:
      return "frozen";
    case Fault::kKilled:
      return "killed";
  }
  return "";
}

// The first attempt prints until it is killed: some 10 MB a second, or a word now and then. Later ones pass.
std::string Script(bool uploads) {
  const std::string prints =
      uploads ? "head -c 1000000 /dev/zero | tr '\\0' x; echo; sleep 0.1" : "echo old; sleep 0.05";
  return absl::StrCat(
      "echo attempt $WAGGLE_ATTEMPT on $WAGGLE_DRONE\nif [ $WAGGLE_ATTEMPT = 1 ]; then while :; do ", prints,
      "; done; fi\n");
}
constexpr const char* kSecond = "attempt 2 on spare\n";

struct Bee {
  Fault fault;
  std::string name;
  std::unique_ptr<NetNamespace> net;
  std::unique_ptr<Child> daemon;
  std::uint64_t job = 0;
  WallMillis hurt = 0;
  std::string first_log;  // when it had been given up
};

// Drones on hosts of their own, each with one slot and faster than the one that stands by.
class Silence : public RemoteFixture {
 protected:
  void SetUp() override {
    if (const absl::Status available = NetNamespace::Available(); !available.ok()) {
      GTEST_SKIP() << "SKIPPED, nothing was tested: " << available.message();
    }
  }

  void StartHive(const std::vector<Fault>& faults) {
    for (const Fault fault : faults) {
      bees_.push_back(
          {.fault = fault, .name = absl::StrCat("bee", bees_.size()), .net = *NetNamespace::Create()});
    }
    const std::string host = bees_.front().net->host_ip();
    at_ = StartRemoteQueen({"0.0.0.0:0", "0.0.0.0:0"},
                           {"--lease", absl::StrCat(kLease / 1000, "s"), "--public-name", host});
    Words flags = {"--speed", "1"};
    for (const Bee& bee : bees_) flags.insert(flags.end(), {"--label", bee.name + "=yes"});
    StartDrone("spare", static_cast<int>(faults.size()), flags);
    for (Bee& bee : bees_) {
      const std::string https = host + at_.https.substr(at_.https.rfind(':'));
      EnrolDrone(https, bee.name);
      bee.net->Inside([&] {
        const Outcome route = Start({"ip", "route", "add", "default", "via", bee.net->host_ip()}).Finish();
        ASSERT_EQ(route.code, 0) << route;
      });
      Serve(bee);
    }
    ASSERT_TRUE(Eventually([&] { return Connected() == bees_.size() + 1; })) << bees_.front().daemon->Err();
  }

  void Serve(Bee& bee) {
    bee.net->Inside([&] {
      bee.daemon =
          std::make_unique<Child>(Start({Binary("drone"), "serve", "--data", DroneData(bee.name), "--slots",
                                         "1", "--speed", "9", "--label", bee.name + "=yes"}));
    });
  }
  std::size_t Connected() {
    std::size_t connected = 0;
    for (const Json& drone : Drones()) connected += drone["connected_at"] != 0 ? 1 : 0;
    return connected;
  }
  Json Listed(const std::string& name) {
    for (const Json& drone : Drones()) {
      if (drone["name"] == name) return drone;
    }
    return {};
  }

  // One job on each, which may run there and on the one that stands by.
  void GiveEachAJob() {
    for (Bee& bee : bees_) {
      Json job = TestJob({Script(bee.fault == Fault::kCutWhileUploading)});
      job["needs"] = {{bee.name, "yes"}};
      bee.job = Submit(job);
      ASSERT_TRUE(Eventually([&] { return Raw(bee.job).size() > 20; })) << Show(bee.job).dump(2);
    }
    for (Bee& bee : bees_) EXPECT_EQ(Show(bee.job)["drone"], bee.name);
  }

  static void Hurt(Bee& bee) {
    bee.hurt = WallNow();
    absl::Status done;
    switch (bee.fault) {
      case Fault::kCutBothWays:
      case Fault::kCutWhileUploading:
        done = bee.net->DropBothWays();
        break;
      case Fault::kItsWordsAreLost:
        done = bee.net->DropOneWay(From::kInside);
        break;
      case Fault::kOursAreLost:
        done = bee.net->DropOneWay(From::kHost);
        break;
      case Fault::kFrozen:
        bee.daemon->Signal(SIGSTOP);
        break;
      case Fault::kKilled:
        bee.daemon->Signal(SIGKILL);
        break;
    }
    EXPECT_TRUE(done.ok()) << done;
  }
  void Heal(Bee& bee) {
    if (bee.fault == Fault::kFrozen) bee.daemon->Signal(SIGCONT);
    if (bee.fault == Fault::kKilled) Serve(bee);
    EXPECT_TRUE(bee.net->Heal().ok());
  }

  // What the queen did, by her own times: lost neither early nor late, and run again elsewhere.
  void ExpectLostInTime(Bee& bee) {
    const Json facts = WaitForState(bee.job, "passed", kPatienceHere);
    ASSERT_EQ(facts["attempts"].size(), 2u) << facts.dump(2);
    const Json &first = facts["attempts"][0], &second = facts["attempts"][1];
    EXPECT_EQ(first["reason"], "drone_lost");
    EXPECT_EQ(second["drone"], "spare");
    const WallMillis lost = first["finished_at"].get<WallMillis>() - bee.hurt;
    const WallMillis elsewhere = second["started_at"].get<WallMillis>() - bee.hurt;
    // Whose words arrive is heard until it notices that no answer comes: after a lease, or gRPC's pings.
    const WallMillis heard =
        bee.fault == Fault::kOursAreLost
            ? std::min<WallMillis>(
                  kLease,
                  std::chrono::milliseconds(limits::kKeepaliveTime + limits::kKeepaliveTimeout).count())
            : 0;
    EXPECT_GE(lost, kLostAfter - kBusyBeat - kNotice) << Name(bee.fault);
    EXPECT_LE(lost, heard + kLostAfter + kNotice) << Name(bee.fault);
    EXPECT_LE(elsewhere, heard + kLostAfter + kStartElsewhere) << Name(bee.fault);
    Longest& longest = longest_[bee.fault];
    longest.lost = std::max(longest.lost, lost);
    longest.elsewhere = std::max(longest.elsewhere, elsewhere);
    bee.first_log = RawOf(bee, 1);
  }

  // The old attempt ends, and has written nothing since.
  void ExpectFenced(Bee& bee, Millis within) {
    EXPECT_TRUE(Eventually([&] { return JobProcesses(bee.name).empty(); }, within))
        << Name(bee.fault) << bee.daemon->Err();
    EXPECT_TRUE(Eventually([&] { return Listed(bee.name)["connected_at"] != 0; }));
    EXPECT_EQ(RawOf(bee, 2), kSecond);
    EXPECT_TRUE(RawOf(bee, 1) == bee.first_log) << Name(bee.fault);
    EXPECT_EQ(StateOf(bee.job), "passed");
    EXPECT_EQ(Show(bee.job)["attempts"].size(), 2u);
    ExpectVerified(bee.job);
  }
  std::string RawOf(const Bee& bee, int attempt) {
    return Waggle({"logs", "--raw", absl::StrCat(bee.job, "@", attempt)}).out;
  }

  struct Longest {
    WallMillis lost = 0, elsewhere = 0;
  };
  RemoteQueen at_;
  std::vector<Bee> bees_;
  std::map<Fault, Longest> longest_;
};

// All at once, because each takes a lease; again and again with drones that were healed.
TEST_F(Silence, IsNoticedInTimeAndTheJobRunsElsewhere) {
  std::vector<Fault> faults(std::begin(kFaults), std::end(kFaults));
  faults.insert(faults.end(), std::begin(kFaults), std::end(kFaults));
  StartHive(faults);
  const int rounds = EverySilence() ? 100 : 1;
  for (int round = 0; round < rounds && !HasFatalFailure(); ++round) {
    GiveEachAJob();
    for (Bee& bee : bees_) Hurt(bee);
    for (Bee& bee : bees_) {
      if (bee.fault != Fault::kKilled) continue;
      Json listed;
      ASSERT_TRUE(Eventually([&] { return (listed = Listed(bee.name))["state"] == "lost"; }));
      EXPECT_LE(listed["last_seen_at"].get<WallMillis>() - bee.hurt, kDisconnected);
    }
    for (Bee& bee : bees_) ExpectLostInTime(bee);
    for (Bee& bee : bees_) Heal(bee);
    for (Bee& bee : bees_) ExpectFenced(bee, bee.fault == Fault::kFrozen ? kTreeEnds : kPatience);
  }
  for (const auto& [fault, longest] : longest_) {
    std::printf("%s: lost after %.1f s, elsewhere after %.1f s at most\n", std::string(Name(fault)).c_str(),
                static_cast<double>(longest.lost) / 1000, static_cast<double>(longest.elsewhere) / 1000);
  }
}

// 9 s of a lease of 30 s, which is given up after 34.5 s.
TEST_F(Silence, ShorterThanTheLeaseCostsNothing) {
  constexpr Fault kShort[] = {Fault::kCutBothWays, Fault::kItsWordsAreLost, Fault::kOursAreLost,
                              Fault::kFrozen};
  StartHive({std::begin(kShort), std::end(kShort)});
  GiveEachAJob();
  const Millis freeze(kLease * 3 / 10);
  const int rounds = EverySilence() ? 50 : 5;
  for (int round = 0; round < rounds; ++round) {
    for (Bee& bee : bees_) Hurt(bee);
    const Time until = BootClock::now() + freeze;
    Eventually([&] { return BootClock::now() >= until; });
    for (Bee& bee : bees_) Heal(bee);
    for (Bee& bee : bees_) {
      // Until what it prints now arrives, all is as it was.
      const std::size_t before = RawOf(bee, 1).size();
      EXPECT_TRUE(Eventually([&] { return RawOf(bee, 1).size() > before; })) << Name(bee.fault);
    }
  }
  for (Bee& bee : bees_) {
    EXPECT_EQ(Show(bee.job)["attempts"].size(), 1u) << Name(bee.fault);
    EXPECT_EQ(StateOf(bee.job), "started") << Name(bee.fault);
  }
}

}  // namespace
}  // namespace waggle::test
