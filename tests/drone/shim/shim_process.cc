#include "shim_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/journal/reader.h"
#include "common/journal/reserve.h"
#include "common/journal/scan.h"
#include "common/process/cgroup.h"
#include "common/process/tree.h"
#include "gtest/gtest.h"

namespace waggle::shim {
namespace {

using namespace std::chrono_literals;
using journal::Kind;

constexpr Duration kPatience = 20s;
constexpr std::uint32_t kFirstTestUser = 71000;  // not those of drones that run beside this test

sockaddr_un Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  EXPECT_LT(path.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

std::string Describe(const Record& r) {
  const std::string number = r.header.command == journal::kNoCommand ? "-" : absl::StrCat(r.header.command);
  switch (r.header.kind) {
    case Kind::kStdout:
      return "out " + number;
    case Kind::kStderr:
      return "err " + number;
    case Kind::kCommandStart:
      return "start " + number;
    case Kind::kCommandEnd:
      return absl::StrCat("end ", number, " ", journal::DecodeCommandEnd(r.payload)->exit_code);
    case Kind::kPhase: {
      auto e = journal::DecodePhaseEvent(r.payload);
      std::string out = absl::StrCat("phase ", std::string(Name(static_cast<Phase>(r.header.phase))));
      if (e->end)
        absl::StrAppend(&out, " end ", e->code, e->ran_nothing ? " nothing" : "", " next=", e->next);
      return out;
    }
    case Kind::kStatus:
      return "status " + r.payload;
    case Kind::kComment:
      return "comment " + r.payload;
    case Kind::kWarning:
      return "warning " + journal::DecodeWarning(r.payload)->title;
    case Kind::kMarker:
      return "marker " + number;
    case Kind::kFinal:
      return "final";
    default:
      return "?";
  }
}

}  // namespace

bool Eventually(const std::function<bool()>& condition) {
  for (Time end = BootClock::now() + kPatience; BootClock::now() < end; ::poll(nullptr, 0, 1)) {
    if (condition()) return true;
  }
  return condition();
}

bool NoneMarked(const std::string& key) {
  return Eventually([&] { return process::FindMarked(key).empty(); });
}

void ExpectNothingLeft(const ShimProcess& shim) {
  auto final = shim.Final();
  ASSERT_TRUE(final.has_value());
  EXPECT_EQ(final->processes_left, 0u);
  EXPECT_TRUE(NoneMarked(shim.dir()));
}

void ExpectWholeLog(const ShimProcess& shim) {
  const Epoch epoch = shim.Records().at(0).header.epoch;
  auto verified = journal::Verify({shim.dir(), std::string(kSpoolPrefix)}, epoch);
  ASSERT_TRUE(verified.ok());
  EXPECT_TRUE(verified->complete) << verified->problem;
  ExpectNothingLeft(shim);
}

Step Script(std::string text, std::string name) {
  Step step;
  step.name = std::move(name);
  step.command = std::move(text);
  return step;
}

ShimProcess::ShimProcess(const std::string& disk) {
  std::string path = "/tmp/shim_test_XXXXXX";
  dir_ = ::mkdtemp(path.data());
  EXPECT_EQ(::chmod(dir_.c_str(), 0711), 0);  // users of sandboxes pass through
  if (!disk.empty()) {
    mounted_ = ::mount("tmpfs", dir_.c_str(), "tmpfs", 0, disk.c_str()) == 0;
    EXPECT_TRUE(mounted_) << "a tmpfs cannot be mounted: " << std::strerror(errno)
                          << "; this test has to run as root";
  }
  const std::string reserve = absl::StrCat(dir_, "/", std::string(kReserveName));
  EXPECT_TRUE(journal::MakeReserve(reserve, limits::kSpoolReserve).ok());
  listen_.Reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = Address(absl::StrCat(dir_, "/", std::string(kSocketName)));
  EXPECT_EQ(::bind(listen_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(listen_.get(), 4), 0);
  auto log = Open(absl::StrCat(dir_, "/", std::string(kShimLog)), O_CREAT | O_WRONLY | O_APPEND);
  EXPECT_TRUE(log.ok());

  process::SpawnOptions options;
  options.argv = {WAGGLE_SHIM_PATH, "--lead", dir_};
  options.env = process::Environment{{"SHIM_OWN", "1"}};
  options.stderr_fd = log->get();
  options.extra = process::SpawnOptions::ExtraFd{listen_.get(), kListenFd};
  auto process = process::Spawn(options);
  EXPECT_TRUE(process.ok()) << process.status();
  process_ = *std::move(process);
}

ShimProcess::~ShimProcess() {
  if (!reaped_ && process_.pid > 0) {
    ::kill(process_.pid, SIGKILL);
    ::waitpid(process_.pid, nullptr, 0);
  }
  process::KillMarked(dir_, 10s);
  // A shim that was killed leaves its cgroup, which the daemon takes away.
  auto cgroup = process::Cgroup::Adopt(process::AttemptCgroup(dir_));
  if (cgroup.ok()) {
    EXPECT_TRUE((*cgroup)->Remove(10s).ok());
  }
  if (mounted_) {
    EXPECT_EQ(::umount2(dir_.c_str(), MNT_DETACH), 0);
  }
  if (::testing::Test::HasFailure()) return;  // the directory tells what happened
  process::SpawnOptions remove;
  remove.argv = {"rm", "-rf", dir_};
  process::RunCaptured(remove, {}, 20s, 1000).IgnoreError();
}

Start ShimProcess::NewStart(JobType type) const {
  Start start;
  start.job = JobId(1);
  start.epoch =
      Epoch(static_cast<std::uint64_t>(::getpid()) << 20 | static_cast<std::uint64_t>(process_.pid));
  start.type = type;
  start.header = "drone test";
  start.base_directory = dir_;
  start.job_directory = dir_ + "/job";
  start.env = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
               {"HOME", dir_},
               {"TMPDIR", dir_ + "/tmp/job"},
               {"WAGGLE_ATTEMPT_KEY", dir_}};
  start.wall = 60s;
  start.silence = 60s;
  start.cleanup = 10s;
  start.interrupt = 150ms;
  start.terminate = 150ms;
  return start;
}

void ShimProcess::Isolate(Isolation mode, const std::vector<std::string>& shown, Start* start) const {
  if (mode == Isolation::kNone) return;
  start->sandbox.mode = mode;
  start->sandbox.program = "/usr/bin/bwrap";
  start->sandbox.read_only = shown;
  if (::geteuid() == 0) {
    start->sandbox.first_user = kFirstTestUser;
    start->sandbox.last_user = kFirstTestUser + 99;
  }
  start->base_directory = dir_ + "/work";
  start->job_directory = dir_ + "/work/job";
  start->env["HOME"] = dir_ + "/home";
  start->env["TMPDIR"] = dir_ + "/tmp";
  EXPECT_TRUE(MakeDirectories(start->base_directory).ok());
}

std::string WhyNot(Isolation mode) {
  process::SpawnOptions options;
  options.argv = {WAGGLE_SHIM_PATH,
                  "--probe",
                  std::string(Name(mode)),
                  "/tmp",
                  ::geteuid() == 0 ? absl::StrCat(kFirstTestUser) : "0",
                  "/usr/bin/bwrap"};
  auto answer = process::RunCaptured(options, "", 20s, 10000);
  if (!answer.ok()) return std::string(answer.status().message());
  return answer->exit_code == 0 ? "" : "no: " + answer->out;
}

void ShimProcess::Connect() {
  reader_ = FrameReader();
  peer_.Reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = Address(absl::StrCat(dir_, "/", std::string(kSocketName)));
  ASSERT_EQ(::connect(peer_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
}

void ShimProcess::SendBytes(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ASSERT_GT(n, 0);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool ShimProcess::ReadMore(Time deadline) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - BootClock::now());
  pollfd fd{peer_.get(), POLLIN, 0};
  if (left.count() <= 0 || ::poll(&fd, 1, static_cast<int>(left.count())) <= 0) return false;
  char chunk[4096];
  ssize_t n = ::recv(peer_.get(), chunk, sizeof chunk, 0);
  if (n <= 0) return false;
  reader_.Feed(std::string_view(chunk, static_cast<std::size_t>(n)));
  return true;
}

std::optional<Status> ShimProcess::AwaitStatus(const std::function<bool(const Status&)>& condition) {
  const Time deadline = BootClock::now() + kPatience;
  do {
    while (auto frame = reader_.Next()) {
      if (auto* watermark = std::get_if<Watermark>(&*frame)) {
        EXPECT_GE(watermark->last, watermark_);
        watermark_ = watermark->last;
      }
      auto* status = std::get_if<Status>(&*frame);
      if (status != nullptr && condition(*status)) return *status;
    }
  } while (ReadMore(deadline));
  return std::nullopt;
}

bool ShimProcess::AwaitEnd() {
  const Time deadline = BootClock::now() + kPatience;
  while (ReadMore(deadline)) {
  }
  return BootClock::now() < deadline;
}

int ShimProcess::AwaitExit() {
  pollfd fd{process_.pidfd.get(), POLLIN, 0};
  if (::poll(&fd, 1, static_cast<int>(kPatience / 1ms)) <= 0) return -1;
  int status = 0;
  ::waitpid(process_.pid, &status, 0);
  reaped_ = true;
  return process::ExitCode(status);
}

int ShimProcess::RunToEnd(const Start& start) {
  Connect();
  Send(start);
  return AwaitExit();
}

std::vector<Record> ShimProcess::Records() const {
  journal::Reader reader({dir_, std::string(kSpoolPrefix)});
  std::vector<Record> out;
  std::uint64_t offsets[2] = {0, 0};
  for (;;) {
    std::string raw;
    auto count = reader.ReadRaw(1 << 20, Seq(~0ULL), &raw);
    if (!count.ok() || *count == 0) break;
    journal::ForEachRecord(raw, [&](const journal::RecordView& r) {
      EXPECT_EQ(r.header.seq, Seq(out.size() + 1));
      if (journal::IsOutput(r.header.kind)) {
        std::uint64_t& offset = offsets[r.header.kind == Kind::kStdout ? 0 : 1];
        EXPECT_EQ(r.header.offset, offset);
        offset += r.payload.size();
      }
      out.push_back({r.header, std::string(r.payload)});
    });
  }
  return out;
}

bool ShimProcess::AwaitRecords(const std::function<bool(const std::vector<Record>&)>& condition) const {
  return Eventually([&] { return condition(Records()); });
}

bool ShimProcess::AwaitOutput(const std::string& text) const {
  return Eventually([&] { return Out().find(text) != std::string::npos; });
}

std::string ShimProcess::Output(Kind kind, std::optional<std::uint32_t> command) const {
  std::string out;
  for (const Record& r : Records()) {
    if (r.header.kind == kind && (!command || r.header.command == *command)) out += r.payload;
  }
  return out;
}

std::vector<std::string> ShimProcess::Transcript() const {
  std::vector<std::string> out;
  for (const Record& r : Records()) out.push_back(Describe(r));
  return out;
}

std::vector<journal::CommandEnd> ShimProcess::Ends() const {
  std::vector<journal::CommandEnd> out;
  for (const Record& r : Records()) {
    if (r.header.kind == Kind::kCommandEnd) out.push_back(journal::DecodeCommandEnd(r.payload).value());
  }
  return out;
}

std::vector<std::string> ShimProcess::Texts(Kind kind) const {
  std::vector<std::string> out;
  for (const Record& r : Records()) {
    if (r.header.kind == kind) out.push_back(r.payload);
  }
  return out;
}

std::optional<journal::Final> ShimProcess::Final() const {
  std::vector<Record> records = Records();
  if (records.empty() || records.back().header.kind != Kind::kFinal) return std::nullopt;
  auto final = journal::DecodeFinal(records.back().payload);
  if (final) {
    EXPECT_EQ(final->last, records.back().header.seq);
  }
  return final;
}

std::uint64_t ShimProcess::Missing() const {
  std::uint64_t missing = 0;
  for (const std::string& payload : Texts(Kind::kMarker))
    missing += journal::DecodeGap(payload)->missing_bytes;
  return missing;
}

std::string ShimProcess::ShimLog() const {
  return ReadFile(absl::StrCat(dir_, "/", std::string(kShimLog)), 1 << 20).value_or("");
}

}  // namespace waggle::shim
