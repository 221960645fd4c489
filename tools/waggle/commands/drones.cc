#include "common/base/clock.h"
#include "tools/waggle/client.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/json.h"
#include "tools/waggle/render.h"
#include "tools/waggle/session.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {

int RunDrones(Session& session) {
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  v1::ListDronesResponse drones;
  absl::Status status = (*client)->ListDrones(&drones);
  if (!status.ok()) return session.Fail(status);
  if (session.options.json) {
    session.out.Write(Pretty(ToJson(drones)["drones"]));
  } else {
    session.out.Write(DronesTable(drones, WallNow(), session.out_style));
  }
  return session.Done();
}

int RunForget(Session& session, const ForgetOptions& options) {
  absl::StatusOr<Client*> client = session.Connect();
  if (!client.ok()) return session.Fail(client.status());
  v1::ForgetRequest request;
  request.set_name(options.drone);
  for (std::uint64_t epoch : options.epochs) {
    request.set_epoch(epoch);
    v1::Drone drone;
    absl::Status status = (*client)->Forget(request, &drone);
    if (!status.ok()) return session.Fail(status);
    if (!session.options.json && !session.options.quiet)
      session.out.Write(absl::StrCat(options.drone, " ends and deletes attempt ", epoch, "\n"));
  }
  return session.options.json ? RunDrones(session) : session.Done();
}

}  // namespace waggle::cli
