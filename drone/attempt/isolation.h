#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/vocabulary.h"
#include "drone/attempt/layout.h"
#include "drone/sandbox/plan.h"

// What keeps jobs apart on this host: what its owner wants, what works, and what a job gets. How it is done:
// drone/sandbox.
namespace waggle::attempt {

// What the owner of the host says.
struct IsolationRules {
  Isolation fallback = Isolation::kAuto;  // for jobs that ask for nothing
  std::set<Isolation> allow = {Isolation::kNone, Isolation::kUser, Isolation::kBubblewrap};
  std::vector<std::string> read_only, writable;  // see sandbox::Plan
  std::uint32_t first_user = 70000, last_user = 70511;
};

// "none,user"; "/opt/a,/srv/b"; "70000-70511". nullopt: it is not so written.
std::optional<std::set<Isolation>> ParseModes(std::string_view text);
std::optional<std::vector<std::string>> ParsePaths(std::string_view text);
std::optional<std::pair<std::uint32_t, std::uint32_t>> ParseUsers(std::string_view text);

// What holds on this host, found out once.
class Isolations {
 public:
  // Only `none`, without a warning.
  Isolations() = default;
  // Has `shim` try every allowed kind. Takes what a few processes need; a kind that hangs is given up after
  // kProbeLimit. FailedPrecondition: nothing that is allowed works, or the fallback does not.
  static absl::StatusOr<Isolations> Detect(const IsolationRules& rules, const std::string& shim,
                                           const Layout& layout, std::vector<std::string> hidden);

  // FailedPrecondition: a job cannot have this here, and why.
  absl::StatusOr<sandbox::Plan> For(Isolation asked, bool network) const;

  bool Works(Isolation mode) const { return why_not_.count(mode) == 0; }
  // "isolation.bubblewrap" = "yes" and so on: by these the queen knows which jobs to offer.
  std::map<std::string, std::string> Labels() const;
  // One line for the drone's log: what works, and why the others do not.
  std::string Summary() const;

 private:
  Isolation Strongest() const;

  IsolationRules rules_{.fallback = Isolation::kNone, .allow = {Isolation::kNone}};
  std::map<Isolation, std::string> why_not_ = {{Isolation::kUser, "it was not looked for"},
                                               {Isolation::kBubblewrap, "it was not looked for"}};
  bool root_ = false;
  std::string program_;
  std::vector<std::string> hidden_;
};

}  // namespace waggle::attempt
