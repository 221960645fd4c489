#pragma once

#include <functional>
#include <memory>

#include "queen/api/core_port.h"
#include "queen/logs/watch.h"

namespace grpc {
class CallbackServerContext;
template <class W>
class ServerWriteReactor;
}  // namespace grpc
namespace waggle::v1 {
class WatchEvent;
class WatchRequest;
}  // namespace waggle::v1

namespace waggle::queen {

// Makes what keeps `cut` in force; `cut` ends the watch because its caller may not watch any more.
using GuardMaker = std::function<std::shared_ptr<void>(std::function<void()> cut)>;

// Serves one Logs.Watch call: a reactor that gRPC owns and a sink that the hub owns. `guard` may be null.
grpc::ServerWriteReactor<v1::WatchEvent>* StartWatch(CorePort& core, WatchHub& hub,
                                                     const v1::WatchRequest& request,
                                                     grpc::CallbackServerContext* context,
                                                     const GuardMaker& guard);

}  // namespace waggle::queen
