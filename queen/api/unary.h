#pragma once

// For the .cc files of the services only: how a unary call ends.
#include <grpcpp/grpcpp.h>

#include "queen/api/convert.h"
#include "queen/api/workers.h"

namespace waggle::queen {

inline void FinishWith(grpc::ServerUnaryReactor* reactor, const absl::Status& status) {
  reactor->Finish(ToGrpc(status));
}

// Runs `task` on a worker and finishes the call with what it returns.
inline void FinishOnWorker(Workers& workers, grpc::ServerUnaryReactor* reactor,
                           std::function<absl::Status()> task) {
  bool taken = workers.Run([reactor, task = std::move(task)] { FinishWith(reactor, task()); });
  if (!taken) FinishWith(reactor, absl::ResourceExhaustedError("too many requests wait\nnext: try again"));
}

}  // namespace waggle::queen
