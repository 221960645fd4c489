#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/fd.h"

namespace waggle::rpc {

// The client's end of one TLS 1.3 connection to a pinned server. Blocks, until `until` at most. One thread.
class TlsWire {
 public:
  // Handshakes over a socket that does not block. Errors as in https_client.h.
  static absl::StatusOr<std::unique_ptr<TlsWire>> Handshake(UniqueFd socket, const std::string& host,
                                                            const std::string& pin, Time until);
  ~TlsWire();

  absl::Status Write(std::string_view data);
  // Some bytes, at least one; none: the server ended it properly.
  absl::StatusOr<std::size_t> Read(char* buffer, std::size_t size);

 private:
  struct Impl;
  explicit TlsWire(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::rpc
