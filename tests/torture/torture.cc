// waggle_torture: a real hive under everything at once, for minutes or hours. Queen and drones are killed,
// frozen and told to end, every link is cut, slowed and swallowed, cables break; meanwhile people submit with
// keys, watch, cancel and ask. Then all is healed, and everything is compared with what must have happened.
//
//   waggle_torture [--minutes N] [--seed S]
//
// The seed gives the same plan of jobs and faults; what meets what is the machine's. Exit code 0: no
// violation.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/support/check_history.h"
#include "tests/support/remote_queen.h"
#include "tests/torture/clients.h"
#include "tests/torture/harm.h"
#include "tests/torture/rpc.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMiB = 1 << 20;
constexpr int kDrones = 3, kSlots = 3;
constexpr Millis kTurn = 20ms;
constexpr Duration kProgress = 5s;
constexpr Millis kHealed = 180s;  // until every job is over after the last fault

struct Options {
  double minutes = 0.4;
  std::uint64_t seed = 0;
};
Options& TheOptions() {
  static Options options;
  return options;
}

class Torture : public RemoteFixture {
 protected:
  void SetUp() override {
    seed_ = TheOptions().seed;
    networks_ = NetNamespace::Available();
    if (!networks_.ok()) {
      std::printf("NO NETWORKS OF THEIR OWN: %s\n", std::string(networks_.message()).c_str());
    }
    StartTheQueen();
    history_ = *History::Create(temp_ / "history");
    for (int i = 0; i < kDrones; ++i) AddDrone(i);
    const std::string watch = "unix:" + temp_ / "watch.sock";
    links_.push_back(std::make_unique<HurtLink>(*ChaosProxy::Create({watch}, Socket(), seed_), nullptr,
                                                sim::MixBits(seed_ + 100), &tally_));
    ASSERT_TRUE(Eventually([this] { return Connected() == kDrones; }));
  }

  void TearDown() override {
    clients_.reset();
    links_.clear();
    if (HasFailure()) {
      for (const auto& victim : victims_) {
        const std::string log = victim->child().Err();
        std::cerr << "=== " << victim->name() << "\n"
                  << log.substr(log.size() - std::min<std::size_t>(log.size(), 6000));
      }
    }
    victims_.clear();
    HiveFixture::TearDown();
  }

  std::string Socket() const { return absl::StrCat("unix:", QueenData(), "/queen.sock"); }

  void StartTheQueen() {
    const Words argv = {Binary("queen"), "serve", "--data", QueenData(), "--lease", "5s", "--listen"};
    Child first = Start(With(argv, {"0.0.0.0:0", "--http", "127.0.0.1:0"}));
    ASSERT_TRUE(Eventually([&] {
      where_ = ListensAt(first.Err());
      return !where_.https.empty() || !first.Running();
    })) << first.Err();
    first.Signal(SIGTERM);
    EXPECT_EQ(first.Wait(), 0);
    const Words again = With(argv, {where_.grpc, "--http", where_.https});
    victims_.push_back(std::make_unique<Victim>(
        "queen", [this, again] { return Start(again); }, seed_, &tally_));
    ASSERT_TRUE(Eventually([&] { return !ListensAt(victims_[0]->child().Err()).https.empty(); }));
  }

  static Words With(Words argv, const Words& more) {
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }

  // One drone of this host, and others that are enrolled, each in a network of its own where that can be had.
  void AddDrone(int number) {
    const std::string name = absl::StrCat("drone", number);
    const std::uint64_t seed = sim::MixBits(seed_ + static_cast<std::uint64_t>(number));
    const Words words = {"--data", DroneData(name), "--name", name, "--slots", std::to_string(kSlots)};
    std::unique_ptr<ChaosProxy> proxy;
    NetNamespace* cable = nullptr;
    std::function<Child()> start;
    if (number == 0 || !networks_.ok()) {
      const std::string socket = absl::StrCat("unix:", temp_ / name, ".sock");
      proxy = *ChaosProxy::Create({socket}, Socket(), seed);
      start = [this, socket, words] {
        return Start(With({Binary("drone"), "serve", "--queen", socket}, words));
      };
    } else {
      const Outcome enrolled = Start({Binary("drone"), "enroll", "https://" + where_.https, "--token",
                                      Invite("drone", name), "--data", DroneData(name), "--name", name})
                                   .Finish();
      ASSERT_EQ(enrolled.code, 0) << enrolled;
      networks_of_drones_.push_back(*NetNamespace::Create());
      cable = networks_of_drones_.back().get();
      // Inside, the proxy stands where the drone was told that the queen is.
      const std::string port = where_.grpc.substr(where_.grpc.rfind(':'));
      cable->Inside([&] {
        proxy =
            *ChaosProxy::Create({"tcp:127.0.0.1" + port}, absl::StrCat("tcp:", cable->host_ip(), port), seed);
      });
      start = [this, cable, words] {
        std::optional<Child> child;
        cable->Inside([&] { child.emplace(Start(With({Binary("drone"), "serve"}, words))); });
        return std::move(*child);
      };
    }
    links_.push_back(std::make_unique<HurtLink>(std::move(proxy), cable, seed, &tally_));
    victims_.push_back(std::make_unique<Victim>(name, start, seed, &tally_));
  }

  void StartClients() {
    const double minutes = TheOptions().minutes;
    Clients::Config config;
    config.queen = Socket();
    config.watch = "unix:" + temp_ / "watch.sock";
    config.noisy = NOISY_BINARY;
    config.witness = temp_ / "witness";
    config.seed = seed_;
    // At 20 minutes: 50 MB a job, as many as come; 8 GB are read again in the end.
    config.most_bytes = static_cast<std::uint64_t>(std::min(50e6, 5e6 * minutes));
    config.all_bytes = static_cast<std::uint64_t>(std::min(8e9, 400e6 * minutes));
    config.most_jobs = static_cast<std::uint64_t>(200 * minutes);
    config.lasts = Duration(static_cast<std::int64_t>(minutes * 60e9));
    config.at_once = kDrones * kSlots + 3;
    clients_ = std::make_unique<Clients>(config, history_.get(), &tally_);
  }

  void Hurt() {
    const Time begin = BootClock::now();
    const Time end = begin + Duration(static_cast<std::int64_t>(TheOptions().minutes * 60e9));
    Time progress = begin + kProgress;
    for (Time now = begin; now < end; now = BootClock::now()) {
      for (const auto& victim : victims_) victim->Turn(now);
      for (const auto& link : links_) link->Turn(now);
      if (now >= progress) {
        Progress("harm", now - begin);
        progress = now + kProgress;
      }
      std::this_thread::sleep_for(kTurn);
    }
  }

  void Heal() {
    for (const auto& link : links_) link->Heal();
    for (const auto& victim : victims_) victim->Heal();
    const Time begin = BootClock::now();
    Time progress = begin + kProgress;
    clients_->StopSubmitting();
    std::size_t open = 0;
    const bool over = Eventually(
        [&] {
          for (const auto& victim : victims_) victim->Supervise();
          if (BootClock::now() >= progress) {
            Progress("heal", BootClock::now() - begin);
            progress = BootClock::now() + kProgress;
          }
          open = 0;
          for (const Json& job : Jobs()) open += job["finished_at"] == 0 ? 1 : 0;
          return open == 0;
        },
        kHealed);
    if (!over)
      tally_.Violation(absl::StrCat(open, " jobs are not over ", kHealed / 1s, " s after the last fault"));
    clients_->Finish();
    const bool back = Eventually([this] { return Connected() == kDrones; }, 30s);
    if (!back) tally_.Violation(absl::StrCat(Connected(), " drones of ", kDrones, " have come back"));
  }

  int Connected() {
    int connected = 0;
    for (const Json& drone : Drones()) {
      connected += drone["connected_at"] != 0 && drone["state"] != "lost" ? 1 : 0;
    }
    return connected;
  }

  void Progress(const char* what, Duration since) {
    const Tally::Figures figures = tally_.figures();
    std::printf("%s %4lld s: %zu jobs submitted, %llu faults, %.0f MiB compared, %zu violations\n", what,
                static_cast<long long>(since / 1s), clients_->jobs().size(),
                static_cast<unsigned long long>(figures.all_faults),
                static_cast<double>(figures.bytes) / static_cast<double>(kMiB), figures.violations.size());
    std::fflush(stdout);
  }

  void JudgeJobs() {
    for (const Planned& job : clients_->jobs()) {
      v1::Job facts;
      if (!clients_->Get(job.id, &facts)) {
        tally_.Violation(absl::StrCat("the queen does not answer for job ", job.id));
        continue;
      }
      JudgeJob(job, facts);
    }
    const std::vector<HistoryEntry> witness = *LoadWitness(temp_ / "witness");
    for (const HistoryEntry& entry : witness) history_->Append(entry);
    const std::vector<HistoryEntry> history = *LoadHistory(history_->path());
    for (const Violation& violation : CheckHistory(history)) {
      tally_.Violation(absl::StrCat("history: ", Name(violation.rule), ": ", violation.text));
    }
  }

  void JudgeJob(const Planned& job, const v1::Job& facts) {
    const std::string state = StateName(facts.state());
    ++ends_[facts.reason().empty() ? state : absl::StrCat(state, " (", facts.reason(), ")")];
    auto bad = [&](const std::string& why) {
      tally_.Violation(absl::StrCat("job ", job.id, " is ", state, " (", facts.reason(), "): ", why, ": ",
                                    facts.detail()));
    };
    for (const v1::Attempt& attempt : facts.attempts()) {
      history_->Append({.actor = "judge",
                        .op = Op::kAttempt,
                        .job = job.id,
                        .attempt = attempt.number(),
                        .state = StateName(attempt.state()),
                        .reason = attempt.reason()});
    }
    const bool fails = job.kind == Planned::Kind::kFails;
    const bool lost = facts.reason() == "drone_lost" || facts.reason() == "shim_lost";
    const bool deploys = job.kind == Planned::Kind::kDeploy;
    if (facts.state() == v1::PASSED && fails) bad("its command failed");
    if (facts.state() == v1::FAILED && (!fails || facts.failed_code() != 3))
      bad("its commands did not fail so");
    if (facts.state() == v1::CANCELED && !job.canceled) bad("nobody canceled it");
    if (facts.state() == v1::ERRORED && !lost && !(deploys && facts.reason() == "unknown"))
      bad("no fault does that");
    const bool whole = facts.state() == v1::PASSED || facts.state() == v1::FAILED;
    if (facts.attempt() == 0) return;  // canceled in the queue
    Follower stored(Socket(), job.id, job.printed, "stored log", &tally_);
    if (!stored.ReadStored(facts.attempt())) bad("its log cannot be read");
    stored.Judge(whole);
    const Outcome verified = Waggle({"verify", std::to_string(job.id)});
    if (verified.code != 0) bad("verify: " + verified.out + verified.err);
  }

  void JudgeRest() {
    const std::size_t listed = Jobs().size(), submitted = clients_->jobs().size();
    if (listed != std::min<std::size_t>(submitted, 1000)) {
      tally_.Violation(absl::StrCat("the queen lists ", listed, " jobs; ", submitted, " keys were used"));
    }
    for (int i = 0; i < kDrones; ++i) {
      const std::string name = absl::StrCat("drone", i), attempts = DroneData(name) + "/attempts";
      auto clean = [&] { return JobProcesses(name).empty() && std::filesystem::is_empty(attempts); };
      if (!Eventually(clean, 30s)) tally_.Violation(absl::StrCat("attempts or processes are left at ", name));
    }
    for (auto victim = victims_.rbegin(); victim != victims_.rend(); ++victim) {
      (*victim)->child().Signal(SIGTERM);
      const std::optional<int> code = (*victim)->child().Wait(20s);
      if (code != 0) tally_.Violation(absl::StrCat((*victim)->name(), " ends with ", code.value_or(-1)));
    }
    clients_.reset();
    links_.clear();
    if (!Eventually([&] { return ProcessesNaming(temp_.path() + "/").empty(); }, 20s)) {
      tally_.Violation("processes are left at the end");
    }
  }

  void PrintTable(Duration took) {
    const Tally::Figures figures = tally_.figures();
    auto row = [](const std::string& what, std::uint64_t count) {
      std::printf("  %-28s %12llu\n", what.c_str(), static_cast<unsigned long long>(count));
    };
    std::printf("\ntorture, seed %llu, %lld s\n", static_cast<unsigned long long>(seed_),
                static_cast<long long>(took / 1s));
    std::uint64_t jobs = 0;
    for (const auto& [end, count] : ends_) jobs += count;
    row("jobs", jobs);
    for (const auto& [end, count] : ends_) row("  " + end, count);
    row("submits without an answer", figures.repeated);
    row("faults", figures.all_faults);
    for (const auto& [kind, count] : figures.faults) row("  " + kind, count);
    row("watches resumed", figures.resumed);
    row("streams compared", figures.streams);
    row("MiB compared", figures.bytes / kMiB);
    row("differences", figures.differences);
    row("violations", figures.violations.size());
    std::printf("  replay with                  tools/torture --minutes %g --seed %llu\n",
                TheOptions().minutes, static_cast<unsigned long long>(seed_));
    for (const std::string& violation : figures.violations) std::printf("VIOLATION: %s\n", violation.c_str());
  }

  std::uint64_t seed_ = 1;
  absl::Status networks_;
  RemoteQueen where_;
  Tally tally_;
  std::unique_ptr<History> history_;
  std::vector<std::unique_ptr<NetNamespace>> networks_of_drones_;
  std::vector<std::unique_ptr<HurtLink>> links_;
  std::vector<std::unique_ptr<Victim>> victims_;  // the queen first
  std::unique_ptr<Clients> clients_;
  std::map<std::string, std::uint64_t> ends_;  // of jobs
};

TEST_F(Torture, NothingIsLostAndNothingHappensTwice) {
  const Time begin = BootClock::now();
  StartClients();
  Hurt();
  Heal();
  JudgeJobs();
  JudgeRest();
  PrintTable(BootClock::now() - begin);
  EXPECT_TRUE(tally_.figures().violations.empty());
}

}  // namespace
}  // namespace waggle::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  waggle::test::Options& options = waggle::test::TheOptions();
  options.seed = std::random_device{}();
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    const bool good = name == "--minutes" ? absl::SimpleAtod(value, &options.minutes) &&
                                                options.minutes > 0 && options.minutes <= 24 * 60
                                          : name == "--seed" && absl::SimpleAtoi(value, &options.seed);
    if (good) continue;
    std::fprintf(stderr,
                 "usage: waggle_torture [--minutes N] [--seed S]   N above 0, at most 1440; S an integer\n");
    return 2;
  }
  std::printf("torture for %g minutes, seed %llu\n", options.minutes,
              static_cast<unsigned long long>(options.seed));
  std::fflush(stdout);
  return RUN_ALL_TESTS();
}
