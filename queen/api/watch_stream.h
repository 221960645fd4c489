#pragma once

#include "queen/api/core_port.h"
#include "queen/logs/watch.h"

namespace grpc {
template <class W>
class ServerWriteReactor;
}
namespace waggle::v1 {
class WatchEvent;
class WatchRequest;
}  // namespace waggle::v1

namespace waggle::queen {

// Serves one Logs.Watch call: a reactor that gRPC owns and a sink that the hub owns.
grpc::ServerWriteReactor<v1::WatchEvent>* StartWatch(CorePort& core, WatchHub& hub,
                                                     const v1::WatchRequest& request);

}  // namespace waggle::queen
