#pragma once

// For the .cc files of the services only: how a unary call ends.
#include <grpcpp/grpcpp.h>

#include "queen/api/convert.h"
#include "queen/api/peer_check.h"
#include "queen/api/workers.h"

namespace waggle::queen {

inline void FinishWith(grpc::ServerUnaryReactor* reactor, const absl::Status& status) {
  reactor->Finish(ToGrpc(status));
}

// True: the caller may not, and the call is finished. Every handler of people begins with it.
inline bool Refused(const PeerCheck& check, const grpc::CallbackServerContext& context,
                    grpc::ServerUnaryReactor* reactor, PeerCheck::Who who = PeerCheck::Who::kPeople) {
  absl::Status status = check.Check(context, who);
  if (status.ok()) return false;
  FinishWith(reactor, status);
  return true;
}

// The same for a stream: what its handler returns instead of the stream.
template <typename Reactor>
class Refusal : public Reactor {
 public:
  explicit Refusal(const absl::Status& status) { this->Finish(ToGrpc(status)); }
  void OnDone() override { delete this; }
};

// Runs `task` on a worker and finishes the call with what it returns.
inline void FinishOnWorker(Workers& workers, grpc::ServerUnaryReactor* reactor,
                           std::function<absl::Status()> task) {
  bool taken = workers.Run([reactor, task = std::move(task)] { FinishWith(reactor, task()); });
  if (!taken) FinishWith(reactor, absl::ResourceExhaustedError("too many requests wait\nnext: try again"));
}

}  // namespace waggle::queen
