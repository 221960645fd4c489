#include "tests/support/net_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/process/spawn.h"

namespace waggle::test {
namespace {

constexpr Duration kPatience = std::chrono::seconds(10);  // for ip(8)
constexpr std::size_t kMostOutput = 1 << 20;
constexpr std::uint32_t kSubnets = 1 << 22;  // of four addresses in 10.0.0.0/8
constexpr int kTries = 64;
constexpr std::uint32_t kTen = 10u << 24;
const std::string kNobodysMac = "02:00:00:00:00:99";  // ours end in 01 and 02

// ip(8) in the namespace of this thread; its standard output.
absl::StatusOr<std::string> RunIp(const std::string& words) {
  process::SpawnOptions options;
  options.argv = {"ip"};
  options.env =
      process::Environment{{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}};
  const std::vector<std::string> arguments = absl::StrSplit(words, ' ');
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  ASSIGN_OR_RETURN(const process::Captured ran,
                   process::RunCaptured(std::move(options), "", kPatience, kMostOutput));
  if (ran.exit_code == 0) return ran.out;
  return absl::InternalError(absl::StrCat("ip ", words, ": ", ran.err));
}

std::string Dotted(std::uint32_t ip) {
  return absl::StrCat(ip >> 24, ".", ip >> 16 & 255, ".", ip >> 8 & 255, ".", ip & 255);
}

// The first address of a subnet of four that nothing of this host leads to, but a default route.
absl::StatusOr<std::uint32_t> FreeSubnet(std::uint32_t number) {
  for (std::uint32_t i = 0; i < kTries; ++i) {
    const std::uint32_t subnet = kTen + (number + i * 7919) % kSubnets * 4;
    ASSIGN_OR_RETURN(const std::string routes,
                     RunIp(absl::StrCat("-4 route show table all match ", Dotted(subnet), "/30")));
    bool taken = false;
    for (absl::string_view line : absl::StrSplit(routes, '\n', absl::SkipEmpty())) {
      taken |= line.substr(0, 8) != "default ";
    }
    if (!taken) return subnet;
  }
  return absl::ResourceExhaustedError("no four addresses of 10.0.0.0/8 are free on this host");
}

// Numbers of this process: its own among live processes, and one for each namespace.
std::uint32_t NextNumber() {
  static std::atomic<std::uint32_t> made{0};
  return static_cast<std::uint32_t>(::getpid()) + 500'000 * made++;
}

std::string Mac(std::uint32_t number, int end) {  // locally administered
  char text[18];
  std::snprintf(text, sizeof text, "02:%02x:%02x:%02x:%02x:%02x", number >> 24, number >> 16 & 255,
                number >> 8 & 255, number & 255, static_cast<unsigned>(end));
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<NetNamespace>> NetNamespace::Create() {
  std::unique_ptr<NetNamespace> made(new NetNamespace());
  RETURN_IF_ERROR(made->Build());
  return made;
}

absl::Status NetNamespace::Available() {
  if (::geteuid() != 0) {
    return absl::PermissionDeniedError("network namespaces need root; run the tests as root");
  }
  const absl::StatusOr<std::unique_ptr<NetNamespace>> made = Create();
  if (made.ok()) return absl::OkStatus();
  return absl::Status(made.status().code(),
                      absl::StrCat("no network namespace can be made here: ", made.status().message(),
                                   "; this needs CAP_SYS_ADMIN, CAP_NET_ADMIN, veth and iproute2"));
}

NetNamespace::~NetNamespace() {
  // Processes inside may hold the namespace; the cable goes now.
  if (!cable_.empty()) (void)RunIp("link delete dev " + cable_);
}

absl::Status NetNamespace::Build() {
  ASSIGN_OR_RETURN(home_, Open("/proc/thread-self/ns/net", O_RDONLY));
  // A thread of its own enters the new namespace: were there no way back, this one would be lost.
  absl::Status made;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      made = ErrnoStatus("unshare", "the network namespace");
      return;
    }
    absl::StatusOr<UniqueFd> inner = Open("/proc/thread-self/ns/net", O_RDONLY);
    made = inner.status();
    if (inner.ok()) inner_ = *std::move(inner);
  }).join();
  RETURN_IF_ERROR(made);

  const std::uint32_t number = NextNumber();
  ASSIGN_OR_RETURN(const std::uint32_t subnet, FreeSubnet(number));
  host_ip_ = Dotted(subnet + 1);
  inner_ip_ = Dotted(subnet + 2);
  host_mac_ = Mac(number, 1);
  inner_mac_ = Mac(number, 2);
  const std::string cable = absl::StrCat("wg", number);
  const std::string inner = absl::StrCat("/proc/", ::getpid(), "/fd/", inner_.get());
  RETURN_IF_ERROR(
      Ip(From::kHost, absl::StrCat("link add ", cable, " address ", host_mac_,
                                   " type veth peer name eth0 address ", inner_mac_, " netns ", inner)));
  cable_ = cable;
  RETURN_IF_ERROR(Ip(From::kHost, absl::StrCat("address add ", host_ip_, "/30 dev ", cable_)));
  RETURN_IF_ERROR(Ip(From::kHost, absl::StrCat("link set dev ", cable_, " up")));
  RETURN_IF_ERROR(Ip(From::kInside, absl::StrCat("address add ", inner_ip_, "/30 dev eth0")));
  RETURN_IF_ERROR(Ip(From::kInside, "link set dev lo up"));
  RETURN_IF_ERROR(Ip(From::kInside, "link set dev eth0 up"));
  return Heal();  // neighbours are entered by hand from the start: nobody asks, so nobody learns
}

void NetNamespace::Inside(const std::function<void()>& what) {
  if (::setns(inner_.get(), CLONE_NEWNET) != 0) {
    std::perror("cannot enter a network namespace");
    std::abort();
  }
  what();
  if (::setns(home_.get(), CLONE_NEWNET) != 0) {
    std::perror("cannot leave a network namespace");
    std::abort();
  }
}

absl::Status NetNamespace::Ip(From where, const std::string& words) {
  if (where == From::kHost) return RunIp(words).status();
  absl::Status status;
  Inside([&] { status = RunIp(words).status(); });
  return status;
}

absl::Status NetNamespace::SetHole(From from, bool hole) {
  const bool host = from == From::kHost;
  const std::string& mac = hole ? kNobodysMac : host ? inner_mac_ : host_mac_;
  return Ip(from, absl::StrCat("neighbour replace ", host ? inner_ip_ : host_ip_, " lladdr ", mac, " dev ",
                               host ? cable_ : "eth0", " nud permanent"));
}

absl::Status NetNamespace::DropBothWays() {
  RETURN_IF_ERROR(SetHole(From::kInside, true));
  return SetHole(From::kHost, true);
}

absl::Status NetNamespace::DropOneWay(From from) {
  RETURN_IF_ERROR(SetHole(from == From::kInside ? From::kHost : From::kInside, false));
  return SetHole(from, true);
}

absl::Status NetNamespace::Heal() {
  RETURN_IF_ERROR(SetHole(From::kInside, false));
  return SetHole(From::kHost, false);
}

}  // namespace waggle::test
