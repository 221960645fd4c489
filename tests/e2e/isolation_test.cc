// What a job can reach of its host, its drone and its neighbours, in every kind of isolation that works here.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class Isolation : public HiveFixture {
 protected:
  void SetUp() override {
    // Users of jobs pass through: the directories of a test are its owner's alone.
    for (const std::string& path : {temp_.path(), temp_ / "d"}) ::chmod(path.c_str(), 0711);
    // Not those of drones that run beside this test.
    users_ = absl::StrCat(80000 + (::getpid() % 500) * 20, "-", 80019 + (::getpid() % 500) * 20);
    StartQueen();
  }

  void StartBee(const std::string& mode, const Words& flags = {}, int slots = 2) {
    Words all = {"--isolation-default", mode, "--isolation-users", users_};
    all.insert(all.end(), flags.begin(), flags.end());
    StartDrone("bee", slots, all);
  }

  std::string users_;
};

// Starts the drone in this kind of isolation; skips loudly where it does not work.
class Kinds : public Isolation, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    Isolation::SetUp();
    StartDrone("bee", 2, {"--isolation-users", users_});
    const std::string log = Drone("bee").Err();
    if (log.find(absl::StrCat(GetParam(), " works")) == std::string::npos)
      GTEST_SKIP() << GetParam() << " does not work here:\n" << log;
    StopBee();
    StartBee(GetParam());
  }
  void StopBee() {
    Drone("bee").Signal(SIGQUIT);
    EXPECT_TRUE(Drone("bee").Wait().has_value());
  }
  std::string RunJob(const std::string& script, const std::string& state = "passed") {
    const std::uint64_t job = Submit(TestJob({script}));
    WaitForState(job, state);
    return Raw(job);
  }
  bool bubblewrap() const { return std::string(GetParam()) == "bubblewrap"; }
};

INSTANTIATE_TEST_SUITE_P(Modes, Kinds, testing::Values("user", "bubblewrap"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Kinds, TheFirstLineSaysWhichAndTheDroneHasTheLabel) {
  const std::uint64_t job = Submit(TestJob({"true"}));
  WaitForState(job, "passed");
  const Outcome logs = Waggle({"logs", std::to_string(job)});
  EXPECT_THAT(logs.out, HasSubstr(absl::StrCat("isolation: ", GetParam())));
  EXPECT_EQ(Drones()[0]["labels"][absl::StrCat("isolation.", GetParam())], "yes");
}

// They run in there too, speak over their channel, and see what they share beside them.
TEST_P(Kinds, PluginsWorkWhereverTheyAre) {
  StopBee();
  const std::string shared = temp_ / "plugins";
  const std::string within = bubblewrap() ? DroneData("bee") + "/plugins" : shared;  // hidden from jobs
  auto install = [](const std::string& directory, const std::string& name) {
    WriteText(directory + "/lib.sh", "say() { printf '%s\\n' \"$1\" >&3; }\n");
    WriteText(directory + "/" + name + "/plugin.yaml",
              "name: " + name + "\nversion: 1.0.0\nphases: [test]\n");
    WriteText(directory + "/" + name + "/plugin",
              "#!/bin/sh\n. \"${0%/*}/../lib.sh\"\nsay '{\"hello\":1}'\nid -u > " + name +
                  "\nsay '{\"env\":{\"" + name + "\":\"honey\"}}'\n");
    ::chmod((directory + "/" + name + "/plugin").c_str(), 0755);
    for (const std::string& path : {directory, directory + "/" + name}) ::chmod(path.c_str(), 0755);
  };
  install(shared, "one");
  install(within, "two");
  StartBee(GetParam(), {"--plugins-dirs", shared});
  Json job = TestJob(
      {"echo $one $two; test $(cat one) = $(id -u); cat " + DroneData("bee") + "/identity || echo hidden"});
  job["plugins"] = {{{"name", "one"}}, {{"name", "two"}}};
  const std::uint64_t id = Submit(job);
  WaitForState(id, "passed");
  EXPECT_THAT(Raw(id), HasSubstr("honey honey\n"));
  EXPECT_THAT(Raw(id), HasSubstr("hidden\n"));
}

// J1: what a job reads of its host, its drone and its neighbour.
TEST_P(Kinds, NothingOfTheDroneTheQueenOrANeighbourIsRead) {
  const std::string neighbour_ready = "touch \"$HOME/secret\" secret; echo s3cret > secret; echo ready; " +
                                      std::string("export TOKEN=hunter2; exec sleep 60");
  const std::uint64_t neighbour = Submit(TestJob({neighbour_ready}));
  WaitForState(neighbour, "started");
  ASSERT_TRUE(Eventually([&] { return Raw(neighbour).find("ready") != std::string::npos; }));
  const std::string data = DroneData("bee");
  Words paths = {"/etc/shadow",
                 "/etc/gshadow",
                 "/root",
                 "/root/.bashrc",
                 "/root/.ssh",
                 "/root/.profile",
                 data,
                 data + "/identity",
                 data + "/lock",
                 data + "/drone.sock",
                 data + "/highest-epoch",
                 data + "/attempts",
                 data + "/attempts.bad",
                 data + "/work",
                 data + "/mirrors",
                 data + "/spare",
                 data + "/used",
                 data + "/trash",
                 data + "/tls",
                 data + "/tls/key.pem",
                 QueenData(),
                 QueenData() + "/queen.db",
                 QueenData() + "/queen.db-wal",
                 QueenData() + "/queen.sock",
                 QueenData() + "/logs",
                 QueenData() + "/mirrors",
                 QueenData() + "/tls",
                 temp_ / "home"};
  for (const auto& entry : fs::recursive_directory_iterator(data)) paths.push_back(entry.path());
  for (const auto& entry : fs::directory_iterator(QueenData())) paths.push_back(entry.path());
  for (const pid_t pid : {Drone("bee").pid(), Queen().pid(), ::getpid(), ::getppid()}) {
    for (const char* name : {"environ", "mem", "maps", "fd", "cwd", "root", "exe"})
      paths.push_back(absl::StrCat("/proc/", pid, "/", name));
  }
  for (const pid_t pid : JobProcesses("bee")) {
    for (const char* name : {"environ", "mem", "cwd", "root", "fd"})
      paths.push_back(absl::StrCat("/proc/", pid, "/", name));
  }
  EXPECT_GE(paths.size(), 60u);
  std::string script =
      "reads=0\nprobe() {\n"
      "  case \"$1\" in \"$HOME\"*|\"$TMPDIR\"*|\"$CI_WORKSPACE\"*) return 0;; esac\n"
      "  if [ -d \"$1\" ]; then n=$(ls -A \"$1/.\" 2>/dev/null | head -c 9) || true\n"
      "  else n=$(head -c 9 \"$1\" 2>/dev/null | tr -d '\\0') || true; fi\n"
      "  [ -z \"$n\" ] || { echo \"READ $1: $n\"; reads=$((reads+1)); }\n}\n";
  for (const std::string& path : paths) absl::StrAppend(&script, "probe '", path, "'\n");
  absl::StrAppend(
      &script, "echo \"reads=$reads\"; grep -l hunter2 /proc/[0-9]*/environ 2>/dev/null && exit 7; true\n");
  const std::string out = RunJob(script);
  // In bubblewrap the way to the job's own places is there, and nothing beside it.
  const Words lines = absl::StrSplit(out, '\n');
  for (const std::string& line : lines) {
    if (line.find("READ ") != 0) continue;
    const bool way =
        bubblewrap() &&
        (line.find("READ " + data + ": attempts") == 0 || line.find("READ " + data + "/attempts: ") == 0 ||
         line.find("READ " + data + "/work: ") == 0 || line.find("READ " + data + ": work") == 0 ||
         line.find("READ /proc/") == 0);  // numbers in there are others
    EXPECT_TRUE(way) << line;
  }
  EXPECT_THAT(out, Not(HasSubstr("s3cret")));
  EXPECT_THAT(out, HasSubstr("reads="));
  Waggle({"cancel", std::to_string(neighbour), "--now"});
}

// J5, J7: neither killed nor traced nor talked to.
TEST_P(Kinds, TheDroneItsShimsAndSocketsAreOutOfReach) {
  const std::string data = DroneData("bee");
  std::string script =
      "cat > a.c <<'C'\n"
      "#include <stdio.h>\n#include <stdlib.h>\n#include <signal.h>\n#include <string.h>\n"
      "#include <sys/ptrace.h>\n#include <sys/socket.h>\n#include <sys/un.h>\n"
      "int main(int c, char** v) {\n"
      "  int bad = 0;\n"
      "  for (int i = 1; i < c; i++) {\n"
      "    int p = atoi(v[i]);\n"
      "    if (v[i][0] == '/') {\n"
      "      struct sockaddr_un a = {AF_UNIX}; strncpy(a.sun_path, v[i], sizeof a.sun_path - 1);\n"
      "      if (connect(socket(AF_UNIX, SOCK_STREAM, 0), (void*)&a, sizeof a) == 0) bad++, puts(v[i]);\n"
      "    } else {\n"
      "      if (kill(p, 0) == 0) bad++, printf(\"kill %d\\n\", p);\n"
      "      if (kill(p, SIGSTOP) == 0) bad++, printf(\"stop %d\\n\", p);\n"
      "      if (kill(p, SIGKILL) == 0) bad++, printf(\"kill9 %d\\n\", p);\n"
      "      if (ptrace(PTRACE_SEIZE, p, 0, 0) == 0) bad++, printf(\"ptrace %d\\n\", p);\n"
      "    }\n"
      "  }\n"
      "  printf(\"bad=%d\\n\", bad);\n"
      "}\nC\ngcc -o a a.c\n./a ";
  const std::uint64_t job = Submit(TestJob({AwaitFile("go"), "true"}));
  WaitForState(job, "started");
  for (pid_t pid : {Drone("bee").pid(), Queen().pid(), ::getpid()}) absl::StrAppend(&script, pid, " ");
  for (pid_t pid : ProcessesNaming("waggle-shim")) {
    // What has such a number in a pid namespace is the job's own.
    if (!bubblewrap() || pid > 300) absl::StrAppend(&script, pid, " ");
  }
  absl::StrAppend(&script, data, "/drone.sock ", QueenData(), "/queen.sock ");
  for (const auto& entry : fs::directory_iterator(data + "/attempts"))
    absl::StrAppend(&script, (entry.path() / "shim.sock").string(), " ");
  EXPECT_THAT(RunJob(script), HasSubstr("bad=0\n"));
  EXPECT_TRUE(Drone("bee").Running());
  Waggle({"cancel", std::to_string(job), "--now"});
}

// J2: nothing survives, whatever it does, and the receipt says how many were killed.
TEST_P(Kinds, NothingOutlivesItsJob) {
  RunJob(
      "for i in 1 2 3; do setsid -f sh -c 'setsid -f sleep 3571 >/dev/null 2>&1' >/dev/null 2>&1; done; "
      "sleep 0.2\n");
  for (pid_t pid : ProcessesNaming("sleep 3571")) ADD_FAILURE() << "still there: " << pid;
}

// J3: a bounded fork bomb, and a neighbour that goes on.
TEST_P(Kinds, ANeighbourOutlivesAForkBomb) {
  const std::uint64_t neighbour = Submit(TestJob({"for i in $(seq 20); do sleep 0.1; done; echo lives"}));
  RunJob(
      "bomb() { [ $1 -le 0 ] && exec sleep 3572; bomb $(($1-1)) & bomb $(($1-1)) & wait; }\n"
      "(bomb 6 >/dev/null 2>&1 &) ; sleep 0.5\n");
  WaitForState(neighbour, "passed");
  EXPECT_THAT(Raw(neighbour), HasSubstr("lives"));
  EXPECT_TRUE(ProcessesNaming("sleep 3572").empty());
}

// J6: lookalikes of exit codes and spools.
TEST_P(Kinds, ForgeriesDoNothing) {
  const std::string out = RunJob(
      "for d in . \"$HOME\" \"$TMPDIR\" \"$HOME/..\" /tmp; do for n in spool.000 spool.001 exit exit_code "
      "final "
      "attempt.bin shim.sock; do echo 0 > $d/$n 2>/dev/null || true; done; done; echo tried; exit 3",
      "failed");
  EXPECT_THAT(out, HasSubstr("tried"));
  const std::uint64_t job = Jobs().back()["id"];
  EXPECT_EQ(Show(job)["test_code"], 3) << Show(job).dump(2);
  ExpectVerified(job);
}

// Exit codes, signals and an interrupt arrive as they are.
TEST_P(Kinds, CodesAndSignalsAreExact) {
  for (const auto& [script, code] : std::vector<std::pair<std::string, int>>{{"exit 7", 7},
                                                                             {"kill -SEGV $$", 139},
                                                                             {"kill -KILL $$", 137},
                                                                             {"exit 139", 139},
                                                                             {"no-such", 127}}) {
    const std::uint64_t job = Submit(TestJob({script}));
    WaitForState(job, "failed");
    EXPECT_EQ(Show(job)["test_code"], code) << script;
  }
  const std::uint64_t job = Submit(TestJob({"trap 'echo got INT; exit 3' INT; echo ready; sleep 60 & wait"}));
  ASSERT_TRUE(Eventually([&] { return Raw(job).find("ready") != std::string::npos; }));
  Waggle({"cancel", std::to_string(job)});
  WaitForState(job, "canceled");
  EXPECT_THAT(Raw(job), HasSubstr("got INT"));
}

// J12: twenty traps of a first job, and a second one in the same place.
TEST_P(Kinds, TheNextJobFindsNothing) {
  StopBee();
  StartBee(GetParam(), {}, 1);  // one slot: the second job gets the place of the first
  RunJob(
      "umask 0\n"
      "for d in \"$HOME\" \"$TMPDIR\" . ..; do\n"
      "  echo 'echo trapped' > $d/.bashrc; echo trap > $d/.gitconfig; mkdir -p $d/.git/hooks $d/bin\n"
      "  echo trap > $d/.git/config; ln -s /etc $d/link; mkfifo $d/fifo; chmod 4777 $d/.bashrc; echo x > "
      "$d/.profile\n"
      "  mkdir -m 1777 $d/sticky; mkdir -m 0 $d/closed; cp /bin/true $d/bin/git; chmod 4755 $d/bin/git\n"
      "done\n"
      "chmod 777 \"$HOME\" \"$TMPDIR\" . ..; echo x > /tmp/left; true");
  const std::string out = RunJob(
      "for d in \"$HOME\" \"$TMPDIR\" . ..; do\n"
      "  for n in $(ls -A $d); do case $n in src|step-*) ;; *) echo \"FOUND $d/$n\";; esac; done\n"
      "  stat -c '%a %u' $d | grep -qx \"700 $(id -u)\" || echo \"FOUND mode $d $(stat -c '%a %u' $d)\"\n"
      "done\n"
      "[ ! -e /tmp/left ] || [ ! -O /tmp/left ] || echo FOUND /tmp/left; echo looked");
  EXPECT_THAT(out, HasSubstr("looked"));
  EXPECT_THAT(out, Not(HasSubstr("FOUND")));
  ::unlink("/tmp/left");
  EXPECT_TRUE(Eventually(
      [&] { return fs::is_empty(DroneData("bee") + "/trash") && fs::is_empty(DroneData("bee") + "/used"); }));
}

// J10: the checkout is the drone's own step.
TEST_P(Kinds, ACheckoutIsTheJobsAndNothingOfTheJobReachesIt) {
  GitRepo repo = MakeRepo("r");
  repo.Write("a.txt", "hello\n");
  repo.Commit("one");
  Json job =
      TestJob({"cat a.txt; git status --short; git log --oneline | wc -l; git fsck 2>&1; touch new; "
               "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m two; echo user $(id -u) "
               "$(stat -c %u .)"});
  job["repo"] = {{"url", repo.path()}};
  job["ref"] = {{"branch", repo.Git({"branch", "--show-current"})}};
  job["env"] = Json::object();
  for (const char* name : {"LD_PRELOAD",
                           "LD_LIBRARY_PATH",
                           "LD_AUDIT",
                           "GIT_DIR",
                           "GIT_CONFIG_GLOBAL",
                           "GIT_SSH_COMMAND",
                           "GIT_EXEC_PATH",
                           "GIT_ASKPASS",
                           "GIT_TEMPLATE_DIR",
                           "GIT_OBJECT_DIRECTORY",
                           "GIT_INDEX_FILE",
                           "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                           "GIT_PROXY_COMMAND",
                           "GIT_TRACE",
                           "GIT_CEILING_DIRECTORIES",
                           "PROMPT_COMMAND",
                           "ENV",
                           "PS4",
                           "IFS",
                           "CDPATH",
                           "PYTHONSTARTUP",
                           "PERL5OPT",
                           "SSL_CERT_FILE",
                           "SSL_CERT_DIR",
                           "XDG_CONFIG_HOME",
                           "MALLOC_CHECK_",
                           "GCONV_PATH",
                           "LOCPATH",
                           "BASH_ENV",
                           "HTTPS_PROXY"}) {
    job["env"][name] = "/nonexistent/trap";
  }
  // What the job's own git would stumble over is taken away again for its step alone.
  job["test"][0]["command"] =
      "for v in $(env | grep -E '^(GIT|LD|BASH_ENV|XDG)' | cut -d= -f1); do unset $v; done\n" +
      job["test"][0]["command"].get<std::string>();
  const std::uint64_t id = Submit(job);
  WaitForState(id, "passed");
  const std::string out = Raw(id);
  EXPECT_THAT(out, HasSubstr("hello\n1\n"));
  EXPECT_THAT(out, Not(HasSubstr("user 0")));
}

// A job can do what builds need.
TEST_P(Kinds, ABuildFindsWhatItNeeds) {
  const std::string out = RunJob(
      "cat > m.c <<'C'\n#include <stdio.h>\nint main(void) { puts(\"compiled\"); }\nC\n"
      "gcc -o m m.c && ./m\n"
      "printf 'cmake_minimum_required(VERSION 3.20)\\nproject(p C)\\nadd_executable(m m.c)\\n' > "
      "CMakeLists.txt\n"
      "cmake -S . -B b >/dev/null && cmake --build b >/dev/null && b/m\n"
      "python3 -c 'print(\"python\", 6*7)'\n"
      "f=$(mktemp) && echo temp > $f && cat $f; echo x > /tmp/w$$ && rm /tmp/w$$\n"
      "git init -q r && git -C r -c user.name=a -c user.email=a@b commit -q --allow-empty -m m && echo git\n"
      "getent passwd root >/dev/null && ls -la ~ >/dev/null && echo users\n"
      "test -r /etc/ssl/certs/ca-certificates.crt && test -r /etc/resolv.conf && echo net\n"
      "echo x > /dev/null; head -c 1 /dev/urandom | wc -c; touch /dev/shm/x$$ && rm /dev/shm/x$$ && echo "
      "shm\n"
      "sleep 30 >/dev/null 2>&1 & echo $! > pid; echo done\n");
  for (const char* word : {"compiled\ncompiled\n", "python 42", "temp", "git", "users", "net", "shm", "done"})
    EXPECT_THAT(out, HasSubstr(word));
}

TEST_P(Kinds, StepsShareTheirProcesses) {
  const std::uint64_t job =
      Submit(TestJob({"sleep 33 >/dev/null 2>&1 & echo $! > pid", "kill $(cat pid) && echo killed"}));
  WaitForState(job, "passed");
  EXPECT_THAT(Raw(job), HasSubstr("killed"));
}

// J13.
TEST_F(Isolation, WithoutNetworkThereIsNoRoute) {
  StartBee("auto");
  if (Drones()[0]["labels"].value("isolation.bubblewrap", "") != "yes")
    GTEST_SKIP() << "bubblewrap does not work here:\n" << Drone("bee").Err();
  Json job =
      TestJob({"cat /proc/net/dev; wc -l < /proc/net/route; "
               "python3 -c 'import socket; socket.create_connection((\"169.254.169.254\", 80), 2)' 2>&1 | "
               "tail -1 || true"});
  job["no_network"] = true;
  const std::uint64_t id = Submit(job);
  WaitForState(id, "passed");
  EXPECT_THAT(Raw(id), HasSubstr("Network is unreachable"));
  EXPECT_THAT(Raw(id), Not(HasSubstr("eth0")));
}

TEST_F(Isolation, WhatTheOwnerForbidsIsNotOffered) {
  StartBee("auto", {"--isolation-allow", "bubblewrap,user"});
  Json job = TestJob({"id -u"});
  job["isolation"] = "ISOLATION_NONE";
  const std::uint64_t id = Submit(job);
  ASSERT_TRUE(Eventually([&] {
    return Waggle({"show", std::to_string(id)}).out.find("isolation none") != std::string::npos;
  })) << Waggle({"show", std::to_string(id)}).out;
  EXPECT_EQ(StateOf(id), "queued");
}

TEST_F(Isolation, WhereNothingElseWorksAWarningSaysWhy) {
  StartBee("auto", {"--isolation-allow", "none"});
  const std::uint64_t id = Submit(TestJob({"id -u"}));
  WaitForState(id, "passed");
  const std::string out = Waggle({"logs", std::to_string(id)}).out;
  EXPECT_THAT(out, HasSubstr("isolation: none"));
  EXPECT_THAT(out, HasSubstr("the job is not isolated from its host"));
  EXPECT_THAT(out, HasSubstr("the owner of the host does not allow it"));
}

TEST_F(Isolation, WhatTheOwnerSharesIsThere) {
  const std::string shown = temp_ / "shown", cache = temp_ / "cache";
  fs::create_directories(shown);
  fs::create_directories(cache);
  ::chmod(cache.c_str(), 01777);
  ::chmod(shown.c_str(), 0755);
  WriteText(shown + "/f", "shown\n");
  ::chmod((shown + "/f").c_str(), 0644);
  StartBee("auto", {"--isolation-read-only", shown, "--isolation-writable", cache});
  if (Drones()[0]["labels"].value("isolation.bubblewrap", "") != "yes") GTEST_SKIP() << Drone("bee").Err();
  const std::uint64_t id =
      Submit(TestJob({"cat " + shown + "/f; ! touch " + shown + "/g; touch " + cache + "/made"}));
  WaitForState(id, "passed");
  EXPECT_THAT(Raw(id), HasSubstr("shown\n"));
  EXPECT_TRUE(fs::exists(cache + "/made"));
}

}  // namespace
}  // namespace waggle::test
