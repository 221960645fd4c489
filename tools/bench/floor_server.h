#pragma once

#include <string>

namespace waggle::bench {

// First argument of waggle-bench that makes it the server of RpcFloor; the second is the socket.
inline constexpr char kFloorServer[] = "serve-floor";
// Serves until it is killed. Its exit code.
int ServeFloor(const std::string& socket);

}  // namespace waggle::bench
