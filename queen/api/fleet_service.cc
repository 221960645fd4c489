#include "proto/waggle_proto.h"
#include "queen/api/people.h"
#include "queen/api/unary.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::queen {
namespace {

class FleetService : public v1::Fleet::CallbackService {
 public:
  explicit FleetService(const PeopleParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::ListDronesRequest*,
                                 v1::ListDronesResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
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

 private:
  const PeopleParts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeFleetService(const PeopleParts& parts) {
  return std::make_unique<FleetService>(parts);
}

}  // namespace waggle::queen
