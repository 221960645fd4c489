// What the kernel may do to a real queen and drone at the N-th system call of a kind: a sync or a write that
// fails, or a death in front of it. strace injects it. Nothing is acknowledged after an error, the process
// ends with the exit code of a failed disk, and the next start has everything that was acknowledged.
//
// WAGGLE_EVERY_CALL=1 tries every N up to kMostCalls instead of a few.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/vocabulary.h"
#include "tests/e2e/supervised_hive.h"

namespace waggle::test {
namespace {

constexpr int kKilled = 128 + SIGKILL;
constexpr int kMostCalls = 60;

enum class Whom {
  kNewQueen,  // from the first start on: she makes her files first
  kQueen,     // she has them, so the first calls are those of her work
  kDrone,     // the thread that does its work, not its shims
};

struct Fault {
  std::string name;
  Whom whom = Whom::kQueen;
  std::string calls;     // of strace: fdatasync,fsync
  std::string injected;  // error=EIO, signal=KILL
  std::vector<int> whens;
  bool dies = true;  // false: it may also go on
};

const std::vector<Fault>& Faults() {
  static const auto* faults = new std::vector<Fault>{
      {"first_start_sync_fails", Whom::kNewQueen, "fdatasync,fsync", "error=EIO", {1, 4, 7}},
      {"first_start_dies_before_a_sync", Whom::kNewQueen, "fdatasync,fsync", "signal=KILL", {2, 5, 8}},
      {"queen_sync_fails", Whom::kQueen, "fdatasync,fsync", "error=EIO", {1, 2, 3, 6}},
      {"queen_write_finds_no_space",
       Whom::kQueen,
       "pwrite64",
       "error=ENOSPC",
       {2, 9, 20, 40},
       /*dies=*/false},
      {"queen_dies_before_a_sync", Whom::kQueen, "fdatasync,fsync", "signal=KILL", {1, 3, 5}},
      {"queen_dies_before_a_write", Whom::kQueen, "pwrite64", "signal=KILL", {3, 27, 45, 60}},
      {"drone_sync_fails", Whom::kDrone, "fdatasync,fsync", "error=EIO", {1, 2}, /*dies=*/false},
      {"drone_dies_before_a_rename", Whom::kDrone, "rename,renameat,renameat2", "signal=KILL", {1, 2, 4, 7}},
      {"drone_dies_before_a_sync", Whom::kDrone, "fdatasync,fsync", "signal=KILL", {1, 3}},
      {"drone_dies_before_an_unlink", Whom::kDrone, "unlink,unlinkat", "signal=KILL", {1}},
  };
  return *faults;
}

struct Once {
  Fault fault;
  int when = 1;
};

bool EveryCall() {
  const char* every = std::getenv("WAGGLE_EVERY_CALL");
  return every != nullptr && *every != '\0';
}

std::vector<Once> AllOnce() {
  std::vector<Once> all;
  for (const Fault& fault : Faults()) {
    if (EveryCall()) {
      for (int when = 1; when <= kMostCalls; ++when) all.push_back({fault, when});
    } else {
      for (int when : fault.whens) all.push_back({fault, when});
    }
  }
  return all;
}

class KernelFault : public SupervisedHive, public ::testing::WithParamInterface<Once> {
 protected:
  void SetUp() override {
    Child probe = Start({"strace", "-qq", "-o", temp_ / "probe", "-e", "trace=none", "true"});
    const Outcome outcome = probe.Finish();
    if (outcome.code != 0) {
      GTEST_SKIP()
          << "SKIPPED, NOTHING WAS TESTED: strace cannot trace here (no strace, or ptrace is not permitted)\n"
          << outcome.err;
    }
    Queen().argv = {Binary("queen"), "serve", "--data", QueenData()};
    Bee().argv = {Binary("drone"),  "serve",  "--queen", QueenData(), "--data",
                  DroneData("bee"), "--name", "bee",     "--slots",   std::to_string(kSlots)};
  }

  bool HurtsDrone() const { return GetParam().fault.whom == Whom::kDrone; }
  Unit& Victim() { return HurtsDrone() ? Bee() : Queen(); }
  bool Kills() const { return GetParam().fault.injected == "signal=KILL"; }
  std::string Trace() const { return temp_ / "trace"; }

  // What strace counts, it counts for each thread.
  void Inject() {
    const Fault& fault = GetParam().fault;
    Victim().before = {
        "strace", "-qq",
        "-o",     Trace(),
        "-e",     "trace=" + fault.calls,
        "-e",     absl::StrCat("inject=", fault.calls, ":", fault.injected, ":when=", GetParam().when)};
    if (!HurtsDrone()) Victim().before.insert(Victim().before.begin() + 1, {"-f"});
    // A queen that does not get as far as to serve says so as a failed start.
    Victim().expected = {Kills() ? kKilled : exit_code::kStorageFailure};
    if (!Kills()) Victim().expected.push_back(exit_code::kRuntimeFailure);
    if (HurtsDrone() && !Kills()) Victim().expected.push_back(exit_code::kBadConfig);
    Victim().ended = [this](int) { Victim().before.clear(); };
  }

  bool Fired() {
    return Kills() ? !Victim().codes.empty() : absl::StrContains(ReadText(Trace()), "(INJECTED)");
  }
};

TEST_P(KernelFault, CostsNothingThatWasAcknowledged) {
  if (GetParam().fault.whom == Whom::kQueen) {
    Up(Queen());
    Ask({"jobs"});
    Stop(Queen());
  }
  Inject();
  Up(Queen());
  Up(Bee());
  const Jobs jobs = SubmitJobs();
  Judge(jobs);
  if (EveryCall() && !Fired()) GTEST_SKIP() << "there are not so many calls";
  EXPECT_TRUE(Fired()) << "there are not so many calls";
  if (GetParam().fault.dies) {
    EXPECT_EQ(Victim().codes.size(), 1u) << "it goes on behind an error";
  } else {
    EXPECT_LE(Victim().codes.size(), 1u);
  }
}

INSTANTIATE_TEST_SUITE_P(Each, KernelFault, ::testing::ValuesIn(AllOnce()),
                         [](const ::testing::TestParamInfo<Once>& info) {
                           return absl::StrCat(info.param.fault.name, "_", info.param.when);
                         });

}  // namespace
}  // namespace waggle::test
