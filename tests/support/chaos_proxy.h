#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/support/chaos_link.h"
#include "tests/support/chaos_script.h"

namespace waggle::test {

// A stream proxy that does harm on command: it stands between a drone or watcher and the queen, listens at
// Unix sockets and TCP ports, connects each connection on to one target and carries its bytes both ways,
// unchanged and in order. At most ChaosPipe::kCapacity bytes of a direction are on their way, so a long delay
// is a limit of throughput as well.
//
// Everything works on connections that are open and on those to come. A command holds when it returns: no
// byte is carried by the old rules afterwards (what a kernel already has, it has). Any thread; one of its own
// with epoll. Its sockets are of the network namespace in which Create is called (net_namespace.h); what
// opens a door again has to be called there too.
class ChaosProxy {
 public:
  // Addresses as of SocketAddress (stream_socket.h). `seed` is that of the jitter. The target need not be
  // there: a connection that cannot be connected on is cut. InvalidArgument, or what the sockets say.
  static absl::StatusOr<std::unique_ptr<ChaosProxy>> Create(const std::vector<std::string>& listen,
                                                            const std::string& target,
                                                            std::uint64_t seed = 1);
  ~ChaosProxy();  // cuts everything, removes its Unix sockets

  void Set(const Faults& faults);
  void Heal();  // no faults, and no CutAfter
  // Cuts every connection with a reset (Unix: closes it); what is on its way is lost.
  void CutAll();
  // Cuts the connection that carries the `bytes`-th byte (at least 1) of that way from now on, right behind
  // it: of the bytes of all connections its receiver gets exactly so many more. The newest call counts.
  void CutAfter(Way way, std::uint64_t bytes);
  void Perform(const ChaosStep& step);  // its duration is the caller's

  ChaosCounts counts() const;
  std::uint16_t port() const;  // of the first TCP address it listens at; 0: none

 private:
  class Loop;
  explicit ChaosProxy(std::unique_ptr<Loop> loop);

  const std::unique_ptr<Loop> loop_;
};

}  // namespace waggle::test
