#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/fd.h"
#include "drone/plugins/channel.h"
#include "drone/shim/protocol.h"
#include "drone/shim/step_setup.h"

namespace waggle::shim {

// The host's end of the channel to one plugin in one phase, and what the plugin asked for: nothing of it
// happens before the caller takes it. Never blocks. One thread.
class PluginRun {
 public:
  // Gets what has an effect at once: comments, warnings and data.
  using OnMessage = std::function<void(plugins::Message&)>;

  // What counts once the plugin has ended well.
  struct Asked {
    std::map<std::string, std::string> env;
    std::vector<std::string> path;  // as the plugin said it
    std::vector<Step> steps;
  };

  // ResourceExhausted: no descriptors to be had.
  static absl::StatusOr<PluginRun> Open(std::string plugin, std::string greeting, OnMessage on_message);

  int child_fd() const { return child_.get(); }
  void Started() { child_.Reset(); }

  int fd() const { return fd_.get(); }  // −1: it said all it will say
  short events() const;
  void Ready(short revents);
  // The plugin has ended: reads what it left.
  void End();

  bool failed() const { return !fault_.empty(); }
  const std::string& fault() const { return fault_; }
  Asked& asked() { return asked_; }

 private:
  PluginRun() = default;
  bool ReadSome();  // false: nothing more for now
  void Take(const absl::Status& read, std::vector<plugins::Message>& messages);

  std::string plugin_;
  UniqueFd fd_, child_;
  std::string out_;  // the rest of the greeting
  OnMessage on_message_;
  plugins::Channel channel_;
  Asked asked_;
  std::string fault_;
};

// The program of a plugin made ready, with what the plugins before it asked for in its environment.
StepSetup PreparePlugin(const Start& start, const PluginUse& use, Phase phase);

// What it is told first. `data` is a JSON object.
std::string GreetingOf(const Start& start, const PluginUse& use, Phase phase, std::string data);

}  // namespace waggle::shim
