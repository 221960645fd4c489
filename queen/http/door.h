#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/fd.h"
#include "queen/http/limits.h"
#include "queen/http/tally.h"

namespace waggle::queen::http {

// Accepts connections for the gRPC server, whose own listeners (1.51) know no bound on connections and are
// deaf for ever after one accept that finds no descriptor (CVE-2023-4785). Who finds no place is closed at
// once; a connection keeps its place until its descriptor is closed, by whoever has it then.
//
// Owns its socket and its thread. Methods from any thread.
class Door {
 public:
  struct Config {
    std::string name;    // of the port, in log lines: "grpc"
    std::string listen;  // "192.0.2.1:7874", "[::]:7874" (IPv4 as well), "localhost:7874"; port 0: any.
                         // "unix:/path": its owner's alone; takes the place of a socket nobody listens on
    std::size_t in_all = 0, per_address = 0;  // places; all of a Unix socket have one address
    Duration pause = Waits().accept_pause;
  };
  // Owns the connected socket: non-blocking, close-on-exec.
  using Enter = std::function<void(UniqueFd)>;

  // Nobody can connect before Open. InvalidArgument: the address; else what the kernel says of it.
  static absl::StatusOr<std::unique_ptr<Door>> Bind(Config config);
  ~Door();

  absl::Status Open(Enter enter);  // once; `enter` is called on the door's thread
  // Accepts nothing more, and has no place any more; what has entered stays.
  void Close();

  // Where it is: "127.0.0.1:43210", "[::1]:43210", "unix:/path".
  const std::string& bound() const;
  std::uint16_t port() const;  // 0: a Unix socket

  // Ends the connection of "127.0.0.1:50123" or "[::1]:50123", whoever has its descriptor. False: there is
  // none.
  bool Cut(std::string_view peer);

  std::size_t connections();                  // now
  std::uint64_t refused(Refused kind) const;  // so far

 private:
  struct Impl;
  explicit Door(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::queen::http
