#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "queen/http/limits.h"
#include "queen/http/router.h"
#include "queen/http/tally.h"

namespace waggle::queen::http {

// The queen's HTTP/1.1 server, over TLS 1.3 alone. Serves what its router lists, within limits.h; answers
// what it refuses itself with Problem(). Everything a client sends is read whole before a handler sees it.
//
// Owns its threads; handlers run on them (router.h). Methods from any thread.
class HttpServer {
 public:
  struct Config {
    std::string listen;  // "192.0.2.1:7875", "[::]:7875" (IPv4 as well): an address, no name. Port 0: any
    std::string certificate;  // PEM: the server's certificate, then those above it, all of which are sent
    std::string key;          // PEM, without a passphrase
    int threads = 1;          // ≥ 1
    std::size_t connections = kConnections;  // at most, in all
    Waits waits;
  };

  // Listens when it returns. InvalidArgument: the address, the certificate or the key; else what the kernel
  // says of the address.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Create(Config config, Router router);

  // Accepts nothing more, closes who has nothing in flight, lets handlers answer for Waits::stop, closes the
  // rest. An answer given later is dropped.
  ~HttpServer();

  // Where it listens, with the port the kernel chose: "127.0.0.1:43210", "[::1]:43210".
  const std::string& bound() const;

  // Another certificate for connections from now on; those that are open keep theirs. On an error the old one
  // stays.
  absl::Status Reload(std::string_view certificate, std::string_view key);

  struct Stats {
    std::size_t connections = 0;  // now, from accept until closed
    std::uint64_t requests = 0;   // handed to handlers so far
  };
  Stats stats() const;
  std::uint64_t refused(Refused kind) const;  // so far

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::queen::http
