#include <chrono>

#include "common/base/limits.h"
#include "proto/waggle_proto.h"
#include "queen/api/peer_check.h"
#include "queen/api/people.h"
#include "queen/api/unary.h"
#include "queen/core/said.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::queen {
namespace {

constexpr std::chrono::hours kLongestDrain(24 * 365);

class FleetService : public v1::Fleet::CallbackService {
 public:
  explicit FleetService(const PeopleParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::ListDronesRequest*,
                                 v1::ListDronesResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    parts_.core.Ask([](RequestId id) { return Event(event::ListFleet{id}); },
                    [reactor, response](AnswerValue answer) {
                      if (const auto* status = std::get_if<absl::Status>(&answer))
                        return FinishWith(reactor, *status);
                      const FleetView& fleet = std::get<FleetView>(answer);
                      for (const DroneView& drone : fleet.drones) ToProto(drone, response->add_drones());
                      response->set_queued(static_cast<std::uint32_t>(fleet.queued));
                      FinishWith(reactor, absl::OkStatus());
                    });
    return reactor;
  }

  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context, const v1::DrainRequest* request,
                                  v1::Drone* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    if (absl::Status bad = Check(*request); !bad.ok()) {
      FinishWith(reactor, bad);
      return reactor;
    }
    const Caller caller = parts_.check.CallerOf(*context);
    event::DrainDrone drain;
    drain.name = request->name();
    drain.by = !caller.local ? caller.name : request->by().empty() ? "a local user" : request->by();
    drain.reason = request->reason();
    if (request->deadline_ms() > 0) drain.deadline = std::chrono::milliseconds(request->deadline_ms());
    parts_.core.Ask(
        [&](RequestId id) {
          drain.request = id;
          return Event(drain);
        },
        AnswerTo(reactor, response));
    return reactor;
  }

  grpc::ServerUnaryReactor* Undrain(grpc::CallbackServerContext* context, const v1::UndrainRequest* request,
                                    v1::Drone* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    parts_.core.Ask(
        [&](RequestId id) {
          return Event(event::UndrainDrone{id, request->name()});
        },
        AnswerTo(reactor, response));
    return reactor;
  }

  grpc::ServerUnaryReactor* Forget(grpc::CallbackServerContext* context, const v1::ForgetRequest* request,
                                   v1::Drone* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    parts_.core.Ask(
        [&](RequestId id) {
          return Event(event::ForgetAttempt{id, request->name(), Epoch(request->epoch())});
        },
        AnswerTo(reactor, response));
    return reactor;
  }

 private:
  static absl::Status Check(const v1::DrainRequest& request) {
    if (request.reason().size() > limits::kReasonBytes || request.by().size() > limits::kNameBytes) {
      return absl::InvalidArgumentError("reason: at most 4 KiB; by: at most 128 bytes");
    }
    if (!IsPresentable(request.reason()) || !IsPresentable(request.by())) {
      return absl::InvalidArgumentError("reason, by: one line without control characters");
    }
    const std::chrono::milliseconds deadline(request.deadline_ms());
    if (deadline < deadline.zero() || deadline > kLongestDrain) {
      return absl::InvalidArgumentError("deadline_ms: 0 or at most a year");
    }
    return absl::OkStatus();
  }
  static std::function<void(AnswerValue)> AnswerTo(grpc::ServerUnaryReactor* reactor, v1::Drone* response) {
    return [reactor, response](AnswerValue answer) {
      if (const auto* status = std::get_if<absl::Status>(&answer)) return FinishWith(reactor, *status);
      ToProto(std::get<DroneView>(answer), response);
      FinishWith(reactor, absl::OkStatus());
    };
  }

  const PeopleParts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeFleetService(const PeopleParts& parts) {
  return std::make_unique<FleetService>(parts);
}

}  // namespace waggle::queen
