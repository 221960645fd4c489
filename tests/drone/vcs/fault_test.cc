#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/drone/vcs/vcs_fixture.h"

// The network path over `git daemon`, silent servers, kills and leftovers.
namespace waggle::vcs {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class FaultTest : public VcsTest {
 protected:
  ~FaultTest() override {
    if (daemon_ > 0) {
      ::kill(daemon_, SIGTERM);
      ::waitpid(daemon_, nullptr, 0);
    }
  }

  // Serves every repository of the fixture; returns the address without the repository's name. The port was
  // free a moment ago; if it is taken meanwhile, another one is tried.
  std::string Serve() {
    for (int attempt = 0; attempt < 10; ++attempt) {
      int port = Listener().port();
      std::string log = absl::StrCat(Path("daemon"), attempt);
      daemon_ = ::fork();
      if (daemon_ == 0) {
        int fd = ::open(log.c_str(), O_WRONLY | O_CREAT, 0600);
        ::dup2(fd, 2);
        std::string base = "--base-path=" + Path("."), number = absl::StrCat("--port=", port);
        ::execlp("git", "git", "daemon", "--verbose", "--reuseaddr", "--export-all", "--listen=127.0.0.1",
                 base.c_str(), number.c_str(), nullptr);
        ::_exit(127);
      }
      bool ready = Eventually([&] {
        return Read(log).find("Ready to rumble") != std::string::npos ||
               ::waitpid(daemon_, nullptr, WNOHANG) != 0;
      });
      if (ready && ::kill(daemon_, 0) == 0) return absl::StrCat("git://127.0.0.1:", port, "/");
    }
    ADD_FAILURE() << "git daemon does not start";
    return "";
  }

 private:
  pid_t daemon_ = -1;
};

TEST_F(FaultTest, TheNetworkPathDoesWhatTheLocalOneDoes) {
  std::string source = MakeRepository("source");
  std::string one = Git(source, "rev-parse HEAD");
  Git(source, "tag -a v1 -m one");
  Git(source, "branch gone");
  Git(source, "update-ref refs/pull/141/merge " + one);
  std::string url = Serve() + "source";
  Outcome open = Resolve(url);
  EXPECT_EQ(open.out, "commit " + one + "\nbranch main\n") << open.err;
  EXPECT_EQ(Resolve(url, {"--branch", "v1"}).out, "commit " + one + "\nbranch v1\n");
  EXPECT_EQ(Resolve(url, {"--fetch", "+refs/pull/141/merge"}).out, "commit " + one + "\nbranch \n");

  Git(source, "commit -q --amend -m forced");
  std::string forced = Git(source, "rev-parse HEAD");
  Git(source, "branch -D gone");
  Git(source, "branch gone/below");
  EXPECT_EQ(Resolve(url, {"--branch", "main"}).out, "commit " + forced + "\nbranch main\n");
  EXPECT_EQ(Resolve(url, {"--branch", "gone"}).code, 3);
  EXPECT_EQ(Resolve(url, {"--branch", "gone/below"}).code, 0);
  Outcome checkout = Checkout(url, Path("target"), {"--id", one});
  EXPECT_EQ(checkout.code, 0) << checkout.err;
  EXPECT_EQ(Git(Path("target"), "describe"), "v1");

  std::string id(40, 'd');
  Outcome missing = Resolve(url, {"--branch", "main", "--id", id});
  EXPECT_EQ(missing.code, 3);
  EXPECT_THAT(missing.err, HasSubstr("(branch main was force-pushed, or the id is wrong)"));
  Git(Path("."), "init -q --bare empty");
  EXPECT_EQ(Resolve(url.substr(0, url.rfind('/')) + "/empty").code, 3);
  EXPECT_EQ(Resolve(url + "-that-is-not-there").code, 1);
}

TEST_F(FaultTest, ACommitBehindNoReferenceComesWhenTheServerAllowsIt) {
  std::string source = MakeRepository("source");
  Git(source, "checkout -q --detach");
  std::string hidden = Commit(source, "file", "hidden\n");
  Git(source, "checkout -q main");
  std::string url = Serve() + "source";
  EXPECT_EQ(Resolve(url, {"--id", hidden}).code, 3);
  Git(source, "config uploadpack.allowAnySHA1InWant true");
  Outcome outcome = Resolve(url, {"--id", hidden});
  EXPECT_EQ(outcome.out, "commit " + hidden + "\nbranch \n") << outcome.err;
}

TEST_F(FaultTest, ASilentServerEndsAtTheDeadline) {
  Listener silent;
  std::string url = absl::StrCat("git://127.0.0.1:", silent.port(), "/x");
  Outcome outcome = Resolve(url, {"--deadline", "1"});
  EXPECT_EQ(outcome.code, 124);
  EXPECT_THAT(outcome.err, HasSubstr("error: fetch of " + url + " took longer than 1 s"));
}

TEST_F(FaultTest, ATermSignalEndsItAtOnce) {
  Listener silent;
  Running running = Start(
      {"resolve", "--mirrors", Mirrors(), "--url", absl::StrCat("git://127.0.0.1:", silent.port(), "/x")});
  ASSERT_TRUE(Eventually([&] { return Read(running.err).find("fetching") != std::string::npos; }));
  ::kill(running.pid, SIGTERM);
  EXPECT_EQ(Wait(running).signal, SIGTERM);
}

TEST_F(FaultTest, AHeldMirrorLockIsWaitedForUntilTheDeadline) {
  std::string source = MakeRepository("source");
  ASSERT_EQ(Resolve(source).code, 0);
  std::string mirror = OnlyMirror();
  UniqueFd lock(::open((mirror.substr(0, mirror.size() - 4) + ".lock").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  Outcome outcome = Resolve(source, {"--deadline", "1"});
  EXPECT_EQ(outcome.code, 124);
  EXPECT_THAT(outcome.err,
              HasSubstr("error: waiting for another fetch of " + source + " took longer than 1 s"));

  Running patient = Start({"resolve", "--mirrors", Mirrors(), "--url", source});
  ASSERT_TRUE(Eventually([&] { return Read(patient.err).find("waiting") != std::string::npos; }));
  lock.Reset();
  EXPECT_EQ(Wait(patient).code, 0);
}

TEST_F(FaultTest, AKilledCheckoutLeavesNothingThatLooksCompleteAndARetryWorks) {
  std::string source = MakeRepository("source");
  for (int i = 0; i < 3000; ++i)
    Write(absl::StrCat(source, "/many/", i % 50, "/", i), absl::StrCat("content ", i));
  std::string commit = Commit(source, "zlast", "the end\n");
  ASSERT_EQ(Resolve(source).code, 0);
  bool killed = false;
  for (int attempt = 0; attempt < 20 && !killed; ++attempt) {
    fs::remove_all(Path("target"));
    Running running = Start(
        {"checkout", "--mirrors", Mirrors(), "--url", source, "--id", commit, "--target", Path("target")});
    ASSERT_TRUE(
        Eventually([&] { return fs::exists(Path("target.partial/many")) || fs::exists(Path("target")); }));
    ::kill(running.pid, SIGKILL);
    killed = Wait(running).signal == SIGKILL && !fs::exists(Path("target"));
  }
  ASSERT_TRUE(killed) << "every checkout was faster than its kill";
  Outcome retry = Checkout(source, Path("target"), {"--id", commit});
  EXPECT_EQ(retry.code, 0) << retry.err;
  EXPECT_EQ(Git(Path("target"), "status --porcelain"), "");
  EXPECT_FALSE(fs::exists(Path("target.partial")));
}

TEST_F(FaultTest, FetchesKilledAnywhereLeaveAMirrorThatTheNextOneUses) {
  std::string source = MakeRepository("source");
  std::string url = Serve() + "source";
  std::string commit;
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 30; ++i)
      Write(absl::StrCat(source, "/f", i), absl::StrCat(round, std::string(2000, 'a' + i % 26)));
    commit = Commit(source, "file", absl::StrCat("round ", round));
    Running running = Start({"resolve", "--mirrors", Mirrors(), "--url", round % 2 ? source : url});
    ASSERT_TRUE(Eventually([&] { return Read(running.err).find("fetching") != std::string::npos; }));
    for (int pause = 0; pause < round; ++pause) Read(running.err);  // a little later each round
    ::kill(running.pid, SIGKILL);
    Wait(running);
  }
  for (std::string address : {url, source}) {
    Outcome outcome = Resolve(address, {"--branch", "main"});
    EXPECT_EQ(outcome.out, "commit " + commit + "\nbranch main\n") << outcome.err;
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(Mirrors())) {
    if (entry.path().extension() == ".git") Git(entry.path().string(), "fsck --full");
  }
}

TEST_F(FaultTest, LeftoversOfADeadWriterDoNotStopTheNext) {
  std::string source = MakeRepository("source");
  ASSERT_EQ(Resolve(source).code, 0);
  std::string mirror = OnlyMirror();
  for (std::string name :
       {"/refs/heads/main.lock", "/packed-refs.lock", "/config.lock", "/objects/pack/pack_git2_AbCdEf"}) {
    Write(mirror + name, "half");
  }
  Write(mirror + ".new/HEAD", "half");
  std::string commit = Commit(source, "file", "two\n");
  Outcome outcome = Resolve(source, {"--branch", "main"});
  EXPECT_EQ(outcome.out, "commit " + commit + "\nbranch main\n") << outcome.err;
  EXPECT_FALSE(fs::exists(mirror + "/refs/heads/main.lock"));
  EXPECT_FALSE(fs::exists(mirror + "/objects/pack/pack_git2_AbCdEf"));
}

TEST_F(FaultTest, ADamagedMirrorIsMadeAnew) {
  std::string source = MakeRepository("source");
  ASSERT_EQ(Resolve(source).code, 0);
  fs::remove(OnlyMirror() + "/HEAD");
  Outcome outcome = Resolve(source);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("is damaged and made anew"));
}

TEST_F(FaultTest, AFullOrForbiddenPlaceIsAnErrorNotACrash) {
  std::string source = MakeRepository("source");
  Write(Path("plain"), "x");
  Outcome mirrors = Run({"resolve", "--mirrors", Path("plain/below"), "--url", source});
  EXPECT_EQ(mirrors.code, 1);
  EXPECT_THAT(mirrors.err, HasSubstr("error: "));
  Outcome target = Checkout(source, Path("plain/target"));
  EXPECT_EQ(target.code, 1);
  Outcome usage = Run({"resolve"});
  EXPECT_EQ(usage.code, 2);
  EXPECT_THAT(usage.err, HasSubstr("usage: waggle-git"));
}

}  // namespace
}  // namespace waggle::vcs
