// The connections of a drone and of watchers are cut again and again, each at a random byte: every job still
// ends once, and everybody has every byte once. What everybody saw is written down and judged by the checker.
#include <gmock/gmock.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/sim/random.h"
#include "tests/support/chaos_proxy.h"
#include "tests/support/check_history.h"
#include "tests/support/history.h"
#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

constexpr std::uint64_t kJobs = 40;
constexpr std::uint64_t kWatchEvery = 5;  // jobs per watcher
constexpr std::size_t kStdoutBytes = 150'000, kStderrBytes = 20'000;
constexpr std::int64_t kFarthestCut = 200'000;  // bytes: more than a job prints
constexpr Millis kLongestPeace = 100ms;         // a cut that was not reached by then is aimed anew

class ChaosNetwork : public HiveFixture {
 protected:
  void SetUp() override {
    StartQueen();
    history_ = *History::Create(temp_ / "history");
    const std::string queen = absl::StrCat("unix:", QueenData(), "/queen.sock");
    drone_link_ = *ChaosProxy::Create({"unix:" + temp_ / "drone.sock"}, queen, 1);
    watch_link_ = *ChaosProxy::Create({"unix:" + temp_ / "watch.sock"}, queen, 2);
    drone_ = Start({Binary("drone"), "serve", "--queen", "unix:" + temp_ / "drone.sock", "--data",
                    DroneData("bee"), "--name", "bee", "--slots", "4"});
    ASSERT_TRUE(Eventually([&] { return !Drones().empty() || !drone_->Running(); }));
    ASSERT_TRUE(drone_->Running()) << drone_->Err();
  }

  void TearDown() override {
    if (HasFailure() && drone_) {
      const std::string log = drone_->Err();
      std::cerr << "=== drone\n" << log.substr(log.size() > 6000 ? log.size() - 6000 : 0) << "\n";
    }
    drone_.reset();
    HiveFixture::TearDown();
  }

  static std::string Printed(std::uint64_t job, const std::string& stream) {
    const bool out = stream == "stdout";
    return NoiseBytes(out ? kStdoutBytes : kStderrBytes, static_cast<std::uint32_t>(2 * job + (out ? 0 : 1)));
  }

  // A job that prints its own noise in pieces, both outputs at the same time.
  void SubmitPrinter(std::uint64_t expected) {
    const std::string out = temp_ / absl::StrCat("noise/", expected, ".out");
    const std::string err = temp_ / absl::StrCat("noise/", expected, ".err");
    WriteText(out, Printed(expected, "stdout"));
    WriteText(err, Printed(expected, "stderr"));
    const std::string print =
        absl::StrCat("for i in 0 1 2 3 4; do tail -c +$((i * ", kStdoutBytes / 5, " + 1)) ", out,
                     " | head -c ", kStdoutBytes / 5, "; sleep 0.1; done & cat ", err, " >&2; wait\n");
    const std::uint64_t job = Submit(TestJob({WitnessStart(Witness()) + AwaitFile(Gate("go")) +
                                              "set +o pipefail\n" + print + WitnessEnd(Witness())}));
    ASSERT_EQ(job, expected);
    history_->Append({.actor = "submitter", .op = Op::kSubmit, .job = job});
  }

  Child StartWatcher(std::uint64_t job) {
    env_["WAGGLE_QUEEN"] = "unix:" + temp_ / "watch.sock";
    Child watcher = StartWaggle({"watch", "-o", "json", std::to_string(job)});
    env_["WAGGLE_QUEEN"] = QueenData();
    return watcher;
  }

  // Aims at a random byte of both links, again when it was hit or is too far, until every job came to its
  // end.
  void CutUntilAllEnded() {
    sim::Random random(20'261'121, "cuts");
    auto ended = [this] { return Lines(ReadText(Witness())).size() == 2 * kJobs && AllOver(); };
    const bool all = Eventually(
        [&] {
          const std::uint64_t drone_cuts = drone_link_->counts().cut, watch_cuts = watch_link_->counts().cut;
          drone_link_->CutAfter(random.Percent(80) ? Way::kUp : Way::kDown,
                                static_cast<std::uint64_t>(random.Skewed(1, kFarthestCut)));
          watch_link_->CutAfter(random.Percent(80) ? Way::kDown : Way::kUp,
                                static_cast<std::uint64_t>(random.Skewed(1, kFarthestCut)));
          Eventually(
              [&] {
                return drone_link_->counts().cut > drone_cuts && watch_link_->counts().cut > watch_cuts;
              },
              kLongestPeace);
          return ended();
        },
        150s);
    EXPECT_TRUE(all) << "jobs have not ended";
    drone_link_->Heal();
    watch_link_->Heal();
  }

  bool AllOver() {
    for (const Json& job : Jobs()) {
      if (!IsOver(job["state"])) return false;
    }
    return true;
  }

  static bool IsOver(const std::string& state) {
    return state == "passed" || state == "failed" || state == "errored" || state == "canceled";
  }

  // What a watcher printed, as entries of the history.
  void TakeWatcher(std::uint64_t job, Child& watcher) {
    const Outcome outcome = watcher.Finish();
    EXPECT_EQ(outcome.code, 0) << outcome;
    const std::string actor = absl::StrCat("watcher ", job);
    std::uint64_t attempt = 0;
    for (const std::string& text : Lines(outcome.out)) {
      const Json line = Json::parse(text);
      if (line["event"] == "end") {
        history_->Append({.actor = actor, .op = Op::kState, .job = job, .state = line["state"]});
      }
      if (line["event"] != "output") continue;
      attempt = line["attempt"];
      HistoryEntry entry{.actor = actor, .op = Op::kOutput, .job = job, .attempt = attempt};
      entry.stream = line["stream"];
      entry.offset = line["offset"];
      if (line.contains("data")) {
        entry.data = line["data"];
      } else {
        ASSERT_TRUE(absl::Base64Unescape(line["data_base64"].get_ref<const std::string&>(), &entry.data));
      }
      history_->Append(std::move(entry));
    }
    history_->Append({.actor = actor, .op = Op::kWatchEnd, .job = job, .attempt = attempt});
  }

  // What the queen says of a job at the end.
  void TakeEnd(std::uint64_t job) {
    const Json facts = Show(job);
    history_->Append({.actor = "show",
                      .op = Op::kState,
                      .job = job,
                      .state = facts["state"],
                      .reason = facts.value("reason", "")});
    std::uint64_t attempt = 0;
    for (const Json& one : facts["attempts"]) {
      history_->Append({.actor = "show",
                        .op = Op::kAttempt,
                        .job = job,
                        .attempt = ++attempt,
                        .state = one["state"],
                        .reason = one.value("reason", "")});
    }
    EXPECT_EQ(facts["state"], "passed") << facts.dump(2);
    EXPECT_LE(attempt, 3u) << facts.dump(2);  // an assignment that was cut never ran, and is made again
    for (const char* stream : {"stdout", "stderr"}) {
      const std::string stored = Raw(job, {"--stream", stream});
      EXPECT_TRUE(stored == Printed(job, stream)) << "job " << job << ", " << stream << ": " << stored.size();
      history_->Append({.actor = "logs",
                        .op = Op::kStored,
                        .job = job,
                        .attempt = attempt,
                        .stream = stream,
                        .data = stored});
    }
  }

  std::string Witness() const { return temp_ / "witness"; }

  std::unique_ptr<History> history_;
  std::unique_ptr<ChaosProxy> drone_link_, watch_link_;
  std::optional<Child> drone_;
};

TEST_F(ChaosNetwork, JobsEndOnceWithEveryByteHoweverOftenConnectionsAreCut) {
  std::map<std::uint64_t, Child> watchers;
  for (std::uint64_t job = 1; job <= kJobs; ++job) {
    SubmitPrinter(job);
    if (job % kWatchEvery == 0) watchers.emplace(job, StartWatcher(job));
  }
  Open("go");
  CutUntilAllEnded();
  for (auto& [job, watcher] : watchers) TakeWatcher(job, watcher);
  for (std::uint64_t job = 1; job <= kJobs; ++job) TakeEnd(job);
  const std::vector<HistoryEntry> witness = *LoadWitness(Witness());
  EXPECT_EQ(witness.size(), 2 * kJobs);  // each ran once, however many attempts it took
  for (const HistoryEntry& entry : witness) history_->Append(entry);

  const std::vector<HistoryEntry> history = *LoadHistory(history_->path());
  const std::vector<Violation> violations = CheckHistory(history);
  EXPECT_TRUE(violations.empty()) << Summary(history, violations);
  const ChaosCounts drone = drone_link_->counts(), watch = watch_link_->counts();
  std::printf("cuts: %llu of the drone's %llu connections, %llu of the watchers' %llu; %s",
              static_cast<unsigned long long>(drone.cut), static_cast<unsigned long long>(drone.accepted),
              static_cast<unsigned long long>(watch.cut), static_cast<unsigned long long>(watch.accepted),
              Summary(history, violations).c_str());
  EXPECT_GT(drone.cut, 15u);
  EXPECT_GT(watch.cut, 15u);
  for (std::uint64_t job = 1; job <= kJobs; job += 7) ExpectVerified(job);
}

}  // namespace
}  // namespace waggle::test
