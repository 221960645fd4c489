#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "drone/vcs/fetch.h"
#include "drone/vcs/source.h"

namespace waggle::vcs {

inline constexpr std::chrono::seconds kDefaultDeadline{600};
inline constexpr std::chrono::seconds kMaxDeadline{86'400};

enum class Verb { kResolve, kRead, kCheckout };

// The command line, checked. Usage:
//   waggle-git resolve  --mirrors DIR --url URL [--branch B] [--id SHA] [--fetch REFSPEC]
//   waggle-git read     --mirrors DIR --url URL --id SHA --path FILE --max-bytes N
//   waggle-git checkout --mirrors DIR --url URL [--branch B] [--id SHA] [--fetch REFSPEC] --target
//   ABSOLUTE_DIR [--own]
// and with each [--deadline SECONDS] [--credentials].
struct Request {
  Verb verb = Verb::kResolve;
  std::string mirrors;
  Source source;
  Wanted wanted;
  std::string path;
  std::size_t max_bytes = 0;
  std::string target;
  std::chrono::seconds deadline = kDefaultDeadline;
  bool own_objects = false;  // see CheckOut
  bool credentials = false;  // to be read from standard input
};

extern const char* const kUsage;

// InvalidArgument names the option, the value and what is accepted.
absl::StatusOr<Request> ParseRequest(const std::vector<std::string>& arguments);

}  // namespace waggle::vcs
