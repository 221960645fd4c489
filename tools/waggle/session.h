#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/waggle/address.h"
#include "tools/waggle/ids.h"
#include "tools/waggle/output.h"
#include "tools/waggle/text.h"

namespace waggle::cli {

class Client;

// Flags every command takes.
struct GlobalOptions {
  Address queen;
  bool json = false;
  bool quiet = false;
  int verbose = 0;
  ColorMode color = ColorMode::kAuto;
  bool mirroring = false;  // the command leaves with the job's code, so trouble of ours is 125
};

// The surroundings of one command: where it prints and how it reaches the queen. One thread.
class Session {
 public:
  explicit Session(GlobalOptions options);
  ~Session();

  // Connects at the first call. On an error the command returns Fail(status).
  absl::StatusOr<Client*> Connect();

  // The job a target names, with its attempts. InvalidArgument for a run.
  absl::StatusOr<std::uint64_t> JobId(const Target& target);

  // Prints the error and gives the exit code of it.
  int Fail(const absl::Status& status);
  // The same for what the person typed: 2, or 125 in a mirroring command.
  int FailUsage(const absl::Status& status);
  // Flushes; `code`, unless the output could not be written.
  int Done(int code = 0);

  const GlobalOptions options;
  Output out;
  Output err;
  const Style out_style;
  const Style err_style;

 private:
  std::unique_ptr<Client> client_;
};

}  // namespace waggle::cli
