#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/journal/events.h"
#include "common/journal/record.h"
#include "common/process/spawn.h"
#include "drone/shim/protocol.h"

namespace waggle::shim {

// Phases as indices of Start::phases.
inline constexpr int kEnvironment = 0, kPrepare = 1, kTest = 2, kDeploy = 3, kCleanup = 4;

struct Record {
  journal::RecordHeader header;
  std::string payload;
};

// A real waggle-shim in a fresh attempt directory, with this process as its daemon. Every wait has a
// deadline.
class ShimProcess {
 public:
  // With `disk` the directory is a file system of its own: options of a tmpfs mount, such as "size=2m". The
  // reserve of the attempt is in it, as a daemon makes it.
  explicit ShimProcess(const std::string& disk = "");
  ~ShimProcess();  // kills it if it still runs

  // A Start with a small environment, short escalation and the directories of this attempt.
  Start NewStart(JobType type = JobType::kTest) const;

  // Has it run the job in this kind of isolation, which also sees the directories `shown`. The places of the
  // job are work/, work/job/, home/ and tmp/ then.
  void Isolate(Isolation mode, const std::vector<std::string>& shown, Start* start) const;

  void Connect();
  void Disconnect() {
    peer_.Reset();
    reader_ = FrameReader();
  }
  void Send(const Frame& frame) { SendBytes(EncodeFrame(frame)); }
  void SendBytes(std::string_view bytes);
  // The next Status that meets `condition`; others are passed over. Watermarks are remembered.
  std::optional<Status> AwaitStatus(const std::function<bool(const Status&)>& condition);
  bool AwaitEnd();  // the connection was closed by the shim
  std::uint64_t watermark() const { return watermark_; }

  // Exit code of the shim (128 + signal), −1 at the deadline.
  int AwaitExit();
  // Connect, Send(start), AwaitExit.
  int RunToEnd(const Start& start);

  // The journal as it is now: checks order, offsets and checksums.
  std::vector<Record> Records() const;
  bool AwaitRecords(const std::function<bool(const std::vector<Record>&)>& condition) const;
  bool AwaitOutput(const std::string& text) const;

  std::string Output(journal::Kind kind, std::optional<std::uint32_t> command = std::nullopt) const;
  std::string Out() const { return Output(journal::Kind::kStdout); }
  std::string Err() const { return Output(journal::Kind::kStderr); }
  // "phase test", "start 0", "out", "end 0 7", "phase test end 7 cleanup", "status …", "final": one line per
  // record.
  std::vector<std::string> Transcript() const;
  std::vector<journal::CommandEnd> Ends() const;
  std::vector<std::string> Texts(journal::Kind kind) const;
  std::optional<journal::Final> Final() const;
  std::uint64_t Missing() const;  // bytes that markers declare

  const std::string& dir() const { return dir_; }
  pid_t pid() const { return process_.pid; }
  std::string ShimLog() const;

 private:
  bool ReadMore(Time deadline);  // false: deadline or end

  std::string dir_;
  bool mounted_ = false;
  UniqueFd listen_, peer_;
  process::Process process_;
  bool reaped_ = false;
  FrameReader reader_;
  std::uint64_t watermark_ = 0;
};

// Why this kind of isolation does not work here; "" = it does.
std::string WhyNot(Isolation mode);

Step Script(std::string text, std::string name = "");
bool Eventually(const std::function<bool()>& condition);
// No process with this attempt's key is left.
bool NoneMarked(const std::string& key);
// Of an attempt that ended.
void ExpectNothingLeft(const ShimProcess& shim);
void ExpectWholeLog(const ShimProcess& shim);  // and nothing left

}  // namespace waggle::shim
