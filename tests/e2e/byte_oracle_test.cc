// The byte oracle over the whole path: one job prints a GiB of every kind of content on both outputs; live
// watchers, one of whom joins late, leaves and resumes, and everybody who asks afterwards get each stream
// exactly. Queen, drone and shim stay small meanwhile.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <sstream>
#include <thread>

#include "common/rpc/channel.h"
#include "tests/support/hive_fixture.h"
#include "tests/support/noisy_stream.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::test {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kDefaultMiB =
    1024;  // of both streams, the largest log a job may have; or WAGGLE_ORACLE_MIB
constexpr std::uint64_t kKey = 20'261'121;
constexpr long kQueenKiB = 64 * 1024, kDroneKiB = 64 * 1024, kShimKiB = 8 * 1024;
constexpr Millis kLong = 200s;  // for the job

std::uint64_t TotalBytes() {
  const char* mib = std::getenv("WAGGLE_ORACLE_MIB");
  return (mib != nullptr ? std::strtoull(mib, nullptr, 10) : kDefaultMiB) * kMiB;
}

// The most memory a process ever had; 0: it is gone.
long PeakKiB(pid_t pid) {
  const std::string status = ReadText("/proc/" + std::to_string(pid) + "/status");
  const std::size_t at = status.find("VmHWM:");
  return at == std::string::npos ? 0 : std::strtol(status.c_str() + at + 6, nullptr, 10);
}

// Follows a job on its own connection, feeding both checkers, until the end of the job. With a seed it leaves
// after random amounts and comes back behind the last record it saw. One thread calls Run; the rest is for
// after that, but received().
class Watcher {
 public:
  Watcher(const std::string& queen_data, std::uint64_t job, const NoisyPlan& out, const NoisyPlan& err,
          std::optional<std::uint32_t> leaves = std::nullopt)
      : stub_(v1::Logs::NewStub(rpc::OpenChannel("unix:" + queen_data + "/queen.sock"))),
        job_(job),
        leaves_(leaves),
        random_(leaves.value_or(0)),
        out_(out),
        err_(err) {}

  void Run() {
    while (!ended_ && problem_.empty()) WatchOnce();
  }
  std::uint64_t received() const { return received_.load(); }
  int resumed() const { return resumed_; }

  // What is wrong, nothing: all is as it should be.
  std::string Problem() {
    if (!problem_.empty()) return problem_;
    if (final_ != v1::PASSED) return "the job ended in state " + std::to_string(final_);
    if (std::optional<NoisyFault> fault = out_.Finish()) return "standard output: " + Text(*fault);
    if (std::optional<NoisyFault> fault = err_.Finish()) return "standard error: " + Text(*fault);
    return "";
  }

 private:
  void WatchOnce() {
    grpc::ClientContext context;
    v1::WatchRequest request;
    request.set_job(job_);
    request.set_follow(true);
    request.set_after_epoch(epoch_);
    request.set_after_seq(seq_);
    auto reader = stub_->Watch(&context, request);
    const std::uint64_t leave_at =
        leaves_ ? received_.load() + 1 + random_() % (12 * kMiB) : std::numeric_limits<std::uint64_t>::max();
    v1::WatchEvent event;
    while (problem_.empty() && reader->Read(&event)) {
      if (event.has_batch()) Take(event.batch());
      if (event.has_end()) {
        if (ended_) problem_ = "a second end";
        ended_ = true;
        final_ = event.end().job().state();
      }
      if (!ended_ && received_.load() >= leave_at) {
        ++resumed_;
        context.TryCancel();
        break;
      }
    }
    while (reader->Read(&event)) {  // what was on its way is not looked at: it comes again
    }
    const grpc::Status status = reader->Finish();
    const bool left = status.error_code() == grpc::StatusCode::CANCELLED && leaves_;
    if (!status.ok() && !left && problem_.empty()) problem_ = status.error_message();
  }

  void Take(const v1::Batch& batch) {
    epoch_ = batch.epoch();
    for (const v1::Fragment& fragment : batch.fragments()) {
      if (fragment.seq() != seq_ + 1) {
        problem_ = "record " + std::to_string(fragment.seq()) + " follows " + std::to_string(seq_);
        return;
      }
      seq_ = fragment.seq();
      if (fragment.kind() != v1::Fragment::STDOUT && fragment.kind() != v1::Fragment::STDERR) continue;
      NoisyChecker& checker = fragment.kind() == v1::Fragment::STDOUT ? out_ : err_;
      if (fragment.offset() != checker.fed()) {
        problem_ = "offset " + std::to_string(fragment.offset()) + " after " + std::to_string(checker.fed());
        return;
      }
      checker.Feed(fragment.data());
      received_ += fragment.data().size();
    }
  }

  const std::unique_ptr<v1::Logs::Stub> stub_;
  const std::uint64_t job_;
  const std::optional<std::uint32_t> leaves_;
  std::mt19937 random_;
  NoisyChecker out_, err_;
  std::atomic<std::uint64_t> received_ = 0;
  std::uint64_t epoch_ = 0, seq_ = 0;  // the last record taken
  int resumed_ = 0;
  bool ended_ = false;
  int final_ = 0;
  std::string problem_;
};

// Watches how much memory the shims of a drone take; they are gone when the job is.
class ShimMeter {
 public:
  explicit ShimMeter(pid_t drone) : thread_([this, drone] { Run(drone); }) {}
  ~ShimMeter() { Stop(); }
  long Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return peak_;
  }

 private:
  void Run(pid_t drone) {
    pid_t shim = 0;
    const std::string children =
        "/proc/" + std::to_string(drone) + "/task/" + std::to_string(drone) + "/children";
    while (!stop_) {
      if (shim == 0) {
        std::istringstream list(ReadText(children));
        for (pid_t child = 0; list >> child;) {
          if (CommandLineOf(child).find("waggle-shim --lead") != std::string::npos) shim = child;
        }
      }
      if (shim != 0) peak_ = std::max(peak_, PeakKiB(shim));
      std::this_thread::sleep_for(5ms);
    }
  }

  std::atomic<bool> stop_ = false;
  long peak_ = 0;  // KiB; the thread's until Stop
  std::thread thread_;
};

class ByteOracle : public HiveFixture {
 protected:
  // `waggle logs --raw` into the checker, through a pipe: nothing of the size of the log is kept.
  void ExpectStored(std::uint64_t job, const std::string& stream, std::uint64_t bytes) {
    const std::string logs = Binary("waggle") + " logs --raw --stream " + stream + " " + std::to_string(job);
    Child check =
        Start({"bash", "-c",
               "set -o pipefail; " + logs + " | '" NOISY_BINARY "' check --key " + std::to_string(kKey) +
                   " --stream " + stream + " --bytes " + std::to_string(bytes)});
    const Outcome outcome = check.Finish(kLong);
    EXPECT_EQ(outcome.code, 0) << stream << ": " << outcome;
  }

  std::string RawSize(std::uint64_t job) {
    return Start({"bash", "-c",
                  "set -o pipefail; " + Binary("waggle") + " logs --raw " + std::to_string(job) + " | wc -c"})
        .Finish(kLong)
        .out;
  }
};

TEST_F(ByteOracle, EveryByteOfEveryKindComesExactlyOnce) {
  const std::uint64_t total = TotalBytes(), err_bytes = total / 4, out_bytes = total - err_bytes;
  const NoisyPlan out{kKey, NoisyStream::kStdout, NoisyContent::kMixed, out_bytes};
  const NoisyPlan err{kKey, NoisyStream::kStderr, NoisyContent::kMixed, err_bytes};
  StartQueen();
  Child& drone = StartDrone("bee");
  ShimMeter shim(drone.pid());
  const auto start = std::chrono::steady_clock::now();
  const std::uint64_t job =
      Submit(TestJob({AwaitFile(Gate("go")) + "exec '" NOISY_BINARY "' print --key " + std::to_string(kKey) +
                      " --stdout " + std::to_string(out_bytes) + " --stderr " + std::to_string(err_bytes)}));
  Watcher steady(QueenData(), job, out, err), restless(QueenData(), job, out, err, 7);
  std::thread steady_thread([&] { steady.Run(); });
  Open("go");
  EXPECT_TRUE(Eventually([&] { return steady.received() > total / 16 || !drone.Running(); }));
  std::thread restless_thread([&] { restless.Run(); });  // joins late
  steady_thread.join();
  restless_thread.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_EQ(steady.Problem(), "");
  EXPECT_EQ(restless.Problem(), "");
  EXPECT_GT(restless.resumed(), 3);

  ExpectStored(job, "stdout", out_bytes);
  ExpectStored(job, "stderr", err_bytes);
  EXPECT_EQ(RawSize(job), std::to_string(total) + "\n");
  ExpectVerified(job);

  const long queen_kib = PeakKiB(Queen().pid()), drone_kib = PeakKiB(drone.pid()), shim_kib = shim.Stop();
  std::printf(
      "%llu MiB in %.1f s at both watchers, %d resumptions; peak memory: queen %ld, drone %ld, shim %ld "
      "KiB\n",
      static_cast<unsigned long long>(total / kMiB), seconds, restless.resumed(), queen_kib, drone_kib,
      shim_kib);
  RecordProperty("seconds", std::to_string(seconds));
  EXPECT_GT(shim_kib, 0);
#ifndef __SANITIZE_ADDRESS__  // it keeps what was freed
  EXPECT_LT(queen_kib, kQueenKiB);
  EXPECT_LT(drone_kib, kDroneKiB);
  EXPECT_LT(shim_kib, kShimKiB);
#endif
}

}  // namespace
}  // namespace waggle::test
