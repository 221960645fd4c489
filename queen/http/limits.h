#pragma once

#include <chrono>
#include <cstddef>

#include "common/base/clock.h"
#include "common/base/limits.h"

// What a stranger may cost the queen on her HTTP port.
namespace waggle::queen::http {

using namespace std::chrono_literals;

// Requests.
inline constexpr std::size_t kRequestLineBytes = 8 * limits::kKiB;  // without CRLF; 414. What browsers send
inline constexpr std::size_t kHeadBytes = 16 * limits::kKiB;  // request line and header block; 431. Cookies
                                                              // and proxies stay far below
inline constexpr std::size_t kHeadFields = 100;  // 431. Each costs an allocation however short it is
inline constexpr std::size_t kBodyBytes = 64 * limits::kKiB;  // 413, where a route says nothing else. A
                                                              // certificate request has 2 KiB
inline constexpr int kRequestsPerConnection = 100;  // then it is closed: nobody keeps a place for ever

// Connections, here and at the door of the gRPC port. Beyond them a new one is closed at once, before any TLS
// work is done for it.
inline constexpr std::size_t kConnectionsPerAddress = 64;  // as many as architecture.md section 8 grants
inline constexpr std::size_t kConnections = 1024;  // in all, here; at about 100 KiB each with their TLS state

// A connection that is closed after a refusal is read on for so many bytes: closing with unread input resets
// it, and the client would lose the answer that tells why.
inline constexpr std::size_t kLingerBytes = 1 * limits::kMiB;

// Waits, each counted from its beginning whatever arrives meanwhile. Fields only so that tests can shorten
// them.
struct Waits {
  Duration handshake = 10s;  // TLS; a phone on a bad line needs two
  Duration head = 10s;       // from the first byte of a request, and for that byte on a new connection; 408
  Duration body = 30s;       // 64 KiB at 20 kbit/s; 408
  Duration answer = 60s;     // a handler that has not answered by then is given up; 503
  Duration write = 30s;      // until the client has taken the answer
  Duration idle = 30s;       // between two requests
  Duration linger = 2s;      // from the last byte of the last answer until the connection is closed
  Duration stop = 5s;        // what the server's end grants handlers in flight
  Duration accept_pause = 50ms;  // after a failed accept: out of descriptors, another try at once fails too
};

}  // namespace waggle::queen::http
