#include "common/config/settings.h"

#include "tools/waggle/commands/commands.h"
#include "tools/waggle/json.h"
#include "tools/waggle/keys.h"
#include "tools/waggle/session.h"

namespace waggle::cli {

int RunConfigShow(Session& session, const config::Settings& settings, bool origin) {
  if (!session.options.json) {
    session.out.Write(config::ShowSettings(settings, origin));
    return session.Done();
  }
  Json object = Json::object();
  for (const config::Shown& shown : settings.All()) {
    object[shown.key] = {{"value", shown.value}, {"origin", shown.origin}};
  }
  session.out.Write(Pretty(object));
  return session.Done();
}

int RunConfigKeys(Session& session) {
  session.out.Write(config::ShowKeys(kProgram));
  return session.Done();
}

}  // namespace waggle::cli
