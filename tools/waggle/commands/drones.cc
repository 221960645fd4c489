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

}  // namespace waggle::cli
