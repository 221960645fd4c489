// A drone whose every word is the name of a file, or would be one to whoever expands it: the queen opens
// nothing but what is below her data directory. And one that says more than anybody wants to know.
#include <gmock/gmock.h>
#include <signal.h>

#include "absl/strings/match.h"
#include "common/base/clock.h"
#include "common/journal/record.h"
#include "tests/common/journal/record_maker.h"
#include "tests/e2e/hostile_fixture.h"

namespace waggle::test {
namespace {

using journal::RecordMaker;

class HostilePaths : public HostileFixture {
 protected:
  // What may be read of a system while a program runs: about itself, the time zone, libraries.
  bool MayOpen(const std::string& path) const {
    for (const std::string& allowed :
         {QueenData() + "/", std::string("/proc/"), std::string("/sys/"), std::string("/etc/localtime"),
          std::string("/usr/share/zoneinfo/"), std::string("/etc/ld.so.cache"), std::string("/lib/"),
          std::string("/usr/lib/")}) {
      if (path.starts_with(allowed)) return true;
    }
    return path == QueenData() || !path.starts_with('/');
  }
  // The first text in quotes of a line of strace.
  static std::string PathIn(const std::string& line) {
    const std::size_t begin = line.find('"');
    const std::size_t end = line.find('"', begin + 1);
    return end == std::string::npos ? "" : line.substr(begin + 1, end - begin - 1);
  }
  // As many words as there are fields, all of them this one.
  void SayEverywhere(const std::string& text) {
    v1::FromDrone hello = Raw().Hello();
    hello.mutable_hello()->set_host(text);
    hello.mutable_hello()->set_version(text);
    hello.mutable_hello()->set_boot_id(text);
    hello.mutable_hello()->set_place(text);
    (*hello.mutable_hello()->mutable_info()->mutable_labels())["path"] = text;
    (*hello.mutable_hello()->mutable_info()->mutable_labels())[text] = text;
    auto* plugin = hello.mutable_hello()->mutable_info()->add_plugins();
    plugin->set_name(text);
    plugin->set_version(text);
    hello.mutable_hello()->mutable_info()->set_intake_reason(text);
    Raw().Join(hello);
    Raw().control().Say(RejectOf(GiveRawAJob(), text));  // and it is given again
    const std::uint64_t epoch = Raw().NextAssigned();
    Raw().control().Say(AcceptOf(epoch));
    Raw().control().Say(StatusOf(epoch, v1::HeldAttempt::RUNNING, 1));
    RecordMaker maker{Epoch(epoch)};
    Raw().OpenBulk().Say(RecordsOf(epoch, maker.Out(text + "\n")));
    Raw().control().Say(ShimLostOf(epoch, 1, text));
    EXPECT_EQ(Waggle({"cancel", std::to_string(job_), "--now", "--no-wait", "--reason", text}).code, 0);
    EXPECT_TRUE(Eventually([&] { return StateOf(job_) != "started"; }));
    Raw().Leave();
  }
};

TEST_F(HostilePaths, OpenNothingOfTheQueensHost) {
  if (Start({"strace", "-qq", "-o", "/dev/null", "true"}).Finish().code != 0) {
    GTEST_SKIP() << "SKIPPED, nothing was tested: this needs strace, and to be allowed to trace";
  }
  const std::string canary = temp_ / "canary", trace = temp_ / "trace";
  WriteText(canary, "secret of the queen's host");
  Child strace = Start({"strace", "-f", "-qq", "-e", "trace=%file", "-s", "4096", "-o", trace, "-p",
                        std::to_string(Queen().pid())});
  // It is attached as soon as it sees something.
  ASSERT_TRUE(Eventually([&] {
    return Waggle({"submit", "--job", WriteJob(For("healthy"))}).code == 0 && !ReadText(trace).empty();
  })) << strace.Err();
  for (const std::string& text :
       {canary, "@" + canary, "file://" + canary, "${" + canary + "}", "{{" + canary + "}}",
        "$(cat " + canary + ")", "../../../../../../../../" + canary, "!include " + canary}) {
    SayEverywhere(text);
  }
  strace.Signal(SIGINT);
  strace.Wait();
  std::size_t opened = 0;
  for (const std::string& line : Lines(ReadText(trace))) {
    EXPECT_FALSE(absl::StrContains(line, "canary")) << line;
    if (!absl::StrContains(line, "open")) continue;
    ++opened;
    EXPECT_TRUE(MayOpen(PathIn(line))) << line;
  }
  EXPECT_GT(opened, 5u) << "what is measured can be seen";
}

// A ratio, because how fast this machine is says nothing: a drone beside the flood is not starved.
TEST_F(HostilePaths, AFloodOfOneDroneDoesNotStarveAnother) {
  constexpr int kJobs = 15, kBound = 5;
  auto time_jobs = [&] {
    const Time begin = BootClock::now();
    for (int i = 0; i < kJobs; ++i) WaitForState(Submit(For("healthy", "seq 1 2000")), "passed");
    return BootClock::now() - begin;
  };
  StartDrone("loud", 2, {"--label", "who=loud"});
  const Duration calm = time_jobs();
  std::vector<std::uint64_t> floods;
  const std::string print = "yes $(head -c 1000 /dev/zero | tr '\\0' x)";
  for (int i = 0; i < 2; ++i) floods.push_back(Submit(For("loud", print)));
  for (const std::uint64_t flood : floods) {
    ASSERT_TRUE(Eventually([&] { return StateOf(flood) == "started"; }));
  }
  const Duration loud = time_jobs();
  for (const std::uint64_t flood : floods) Waggle({"cancel", std::to_string(flood), "--now"});
  std::uintmax_t bytes = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(QueenData() + "/logs")) {
    if (file.is_regular_file()) bytes += file.file_size();
  }
  std::printf("[ figures  ] %d jobs in %.1f s, beside %.0f MB of others in %.1f s\n", kJobs,
              std::chrono::duration<double>(calm).count(), static_cast<double>(bytes) / 1e6,
              std::chrono::duration<double>(loud).count());
  EXPECT_GT(bytes, 10'000'000u) << "no flood";
  EXPECT_LT(loud, kBound * calm + std::chrono::seconds(2));
}

}  // namespace
}  // namespace waggle::test
