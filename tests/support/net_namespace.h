#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/fd.h"

namespace waggle::test {

// A network of its own for a process, joined to that of the test by one cable (a veth pair) that can be
// broken in each direction without either end noticing: packets go to a hardware address that nobody has, so
// they arrive and are thrown away. Sockets stay open and retransmit, as when a host vanishes from the
// network. That needs no packet filter.
//
// Namespace and cable live as long as this object, or the last process inside; nothing of it has a name that
// a killed test could leave behind. Needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN) and iproute2. One thread.
class NetNamespace {
 public:
  // Whether a namespace can be made here, by making one; the message says why not and what to do.
  static absl::Status Available();
  static absl::StatusOr<std::unique_ptr<NetNamespace>> Create();
  ~NetNamespace();

  // Of a /30 of 10.0.0.0/8 that no address or route of this host touches. Listen at host_ip() and connect
  // from inside, or the other way round.
  const std::string& host_ip() const { return host_ip_; }
  const std::string& inner_ip() const { return inner_ip_; }

  const std::string& cable() const { return cable_; }  // the interface on the host

  // Calls it on this thread, which is inside meanwhile: sockets it opens, processes and threads it starts are
  // there for ever. Unix sockets in the file system work across namespaces.
  void Inside(const std::function<void()>& what);

  // Until the next call. Errors: what ip(8) says.
  enum class From : std::uint8_t { kInside, kHost };
  absl::Status DropBothWays();
  // What is sent from there is lost, acknowledgements too: TCP of the other direction delivers what its
  // congestion window lets it send at first (some ten segments), then waits.
  absl::Status DropOneWay(From from);
  absl::Status Heal();

 private:
  NetNamespace() = default;
  absl::Status Build();
  absl::Status Ip(From where, const std::string& words);
  absl::Status SetHole(From from, bool hole);

  UniqueFd home_, inner_;           // the two namespaces
  std::string cable_;               // the other end, inside, is called eth0
  std::string host_ip_, inner_ip_;  // dotted
  std::string host_mac_, inner_mac_;
};

}  // namespace waggle::test
