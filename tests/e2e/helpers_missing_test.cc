// A drone whose helpers are missing, broken, of another machine, or hang: it says so at its start where it
// can, and a job ends or goes elsewhere with the reason.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Helpers : public HiveFixture {
 protected:
  void SetUp() override {
    fs::create_directories(bin_);
    for (const char* program : {"drone", "waggle-shim", "waggle-git"})
      fs::copy_file(Binary(program), bin_ + program);
  }
  Child StartBee(const Words& flags = {}) {
    Words argv = {bin_ + "drone", "serve",          "--queen", QueenData(),
                  "--data",       DroneData("bee"), "--name",  "bee"};
    argv.insert(argv.end(), flags.begin(), flags.end());
    return Start(argv);
  }
  // Takes the place of a helper in one step, also while it runs.
  void Replace(const std::string& helper, const std::string& content) {
    WriteText(bin_ + "new", content);
    ::chmod((bin_ + "new").c_str(), 0755);
    fs::rename(bin_ + "new", bin_ + helper);
  }
  std::uint64_t SubmitRepository() {
    GitRepo repo = MakeRepo("p");
    repo.Write(".waggle.yml", "test: 'true'\n");
    repo.Commit("Start");
    const Outcome outcome = Waggle({"submit"}, repo.path());
    EXPECT_EQ(outcome.code, 0) << outcome;
    return 1;
  }

  // A shim that is replaced by this under a running drone: the job says why, and the drone is used again.
  void ExpectBrokenLater(const std::string& content, const Words& why) {
    StartQueen();
    Child bee = StartBee();
    ASSERT_TRUE(Eventually([&] { return !Drones().empty(); }));
    Replace("waggle-shim", content);
    const Json job = WaitForState(Submit(TestJob({"true"})), "errored");
    for (const std::string& word : why) EXPECT_THAT(std::string(job["detail"]), HasSubstr(word));
    EXPECT_TRUE(job["reason"] == "rejected" || job["reason"] == "shim_lost") << job["reason"];
    EXPECT_EQ(job["attempts"].size(), 3u);
    EXPECT_TRUE(bee.Running());
    Replace("waggle-shim", ReadText(Binary("waggle-shim")));
    WaitForState(Submit(TestJob({"true"})), "passed");
  }

  const std::string bin_ = temp_ / "bin/";
};

std::string OtherMachine() {
  std::string elf(128, '\0');
  elf.replace(0, 20,
              std::string("\x7f"
                          "ELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xf3\0",
                          20));  // RISC-V
  return elf;
}

TEST_F(Helpers, ADroneWithoutAWorkingShimDoesNotStart) {
  auto expect_refused = [&](const std::string& why, int code = 78) {
    Child bee = StartBee();
    const Outcome outcome = bee.Finish(30s);
    EXPECT_EQ(outcome.code, code) << outcome;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("error: cannot use " + bin_ + "waggle-shim: "), HasSubstr(why),
                                   HasSubstr("next: ")));
  };
  fs::remove(bin_ + "waggle-shim");
  expect_refused("it is missing");
  fs::copy_file(Binary("waggle-shim"), bin_ + "waggle-shim");
  ::chmod((bin_ + "waggle-shim").c_str(), 0644);
  expect_refused("ermission denied");
  Replace("waggle-shim", OtherMachine());
  expect_refused("Exec format error");
  Replace("waggle-shim", "#!/bin/sh\nkill -SEGV $$\n");
  expect_refused("it ended with code 139");
  Replace("waggle-shim", "#!/bin/sh\necho another program\n");
  expect_refused("did not answer as the program it should be");
  Replace("waggle-shim", "#!/bin/sh\nexec sleep 1000\n");
  expect_refused("did not end in time", 1);  // perhaps the host is slow: a supervisor may try again
}

TEST_F(Helpers, ADroneWithoutGitWarnsAndRunsWhatNeedsNoRepository) {
  StartQueen();
  Replace("waggle-git", OtherMachine());
  Child bee = StartBee();
  WaitForState(Submit(TestJob({"true"})), "passed");
  EXPECT_THAT(bee.Err(),
              AllOf(HasSubstr("jobs with a repository will fail here: cannot use " + bin_ + "waggle-git"),
                    HasSubstr("Exec format error")));
}

TEST_F(Helpers, AShimThatCannotBeStartedLaterIsSaidByTheJob) {
  ExpectBrokenLater(OtherMachine(), {"bee refused the job: ", "Exec format error"});
}

TEST_F(Helpers, AShimThatEndsAtOnceIsSaidByTheJobWithItsLastWords) {
  ExpectBrokenLater("#!/bin/sh\necho boom >&2; exit 3\n", {"exited with code 3", "boom"});
}

TEST_F(Helpers, AJobOfABrokenDroneIsRunByAnotherOne) {
  StartQueen();
  Child bee = StartBee({"--speed", "9"});
  StartDrone("well");
  ASSERT_TRUE(Eventually([&] { return Drones().size() == 2; }));
  Replace("waggle-shim", OtherMachine());
  const Json job = WaitForState(Submit(TestJob({"true"})), "passed");
  EXPECT_EQ(job["drone"], "well");
  EXPECT_EQ(job["attempts"].size(), 2u);
}

TEST_F(Helpers, AGitHelperThatBreaksOrHangsEndsTheJobWithTheReason) {
  StartQueen();
  Child bee = StartBee();
  ASSERT_TRUE(Eventually([&] { return !Drones().empty(); }));
  Replace("waggle-git", "#!/bin/sh\necho 'error: cosmic ray' >&2; exit 1\n");
  SubmitRepository();
  const Json job = WaitForState(1, "errored");
  EXPECT_EQ(job["reason"], "source");
  EXPECT_THAT(Waggle({"logs", "1"}).out + std::string(job["detail"]), HasSubstr("cosmic ray"));
  Replace("waggle-git", "#!/bin/sh\ntouch " + Gate("hangs") + "; exec sleep 1000\n");
  ASSERT_EQ(Waggle({"submit"}, temp_ / "repo/p").code, 0);
  WaitForState(2, "started");
  ASSERT_TRUE(Eventually([&] { return Exists(Gate("hangs")); }));
  EXPECT_EQ(Waggle({"cancel", "2", "--now"}).code, 0);
  WaitForState(2, "canceled");
  EXPECT_TRUE(Eventually([&] { return JobProcesses("bee").empty(); }));
  ASSERT_EQ(Waggle({"submit"}, temp_ / "repo/p").code, 0);
  WaitForState(3, "started");
  ASSERT_TRUE(Eventually([&] {
    for (pid_t pid : JobProcesses("bee")) {
      if (CommandLineOf(pid) == "sleep 1000") return ::kill(pid, SIGKILL) == 0;
    }
    return false;
  }));
  EXPECT_EQ(WaitForState(3, "errored")["reason"], "source");
  Replace("waggle-git", OtherMachine());
  ASSERT_EQ(Waggle({"submit"}, temp_ / "repo/p").code, 0);
  EXPECT_EQ(WaitForState(4, "errored")["reason"], "source");
  Replace("waggle-git", ReadText(Binary("waggle-git")));
  ASSERT_EQ(Waggle({"submit"}, temp_ / "repo/p").code, 0);
  WaitForState(5, "passed");
}

}  // namespace
}  // namespace waggle::test
