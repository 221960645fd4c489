#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/base/limits.h"

// What a plugin says to its host: version 1 of the protocol in README.md, lines of JSON.
namespace waggle::plugins {

inline constexpr int kProtocol = 1;
// Bounds of what one run of a plugin may say: far above an honest one, small enough to be kept in memory.
inline constexpr std::size_t kLineBytes = 256 * limits::kKiB;
inline constexpr std::size_t kLines = 10'000;
inline constexpr std::size_t kChannelBytes = 16 * limits::kMiB;
inline constexpr int kDepth = 32;  // of a value inside a value

struct SetEnv {
  std::map<std::string, std::string> env;
};
struct AddPath {
  std::vector<std::string> directories;  // relative ones are below the job's directory
};
struct AskCommand {
  std::string name, run, screen, cwd;  // `run` is a script; empty when argv is given
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;
  bool silent = false;
};
struct Comment {
  std::string text;
};
struct Warn {
  std::string title, description;
  bool major = false;
};
struct Data {
  std::string method, path;
  std::string value;  // JSON
};
struct Nothing {};

using Message = std::variant<SetEnv, AddPath, AskCommand, Comment, Warn, Data, Nothing>;

// Reads the lines of one run of a plugin, however they are cut. Pure; one thread.
class Channel {
 public:
  // Appends the messages that became whole to `out`. InvalidArgument: the plugin broke the protocol; the
  // message says how and is kept: later calls give it again and nothing more is read. Messages before the bad
  // line are given.
  absl::Status Feed(std::string_view bytes, std::vector<Message>* out);
  // The plugin has ended: a last line without a line feed counts. InvalidArgument as above, or it never said
  // hello.
  absl::Status Close(std::vector<Message>* out);

  bool greeted() const { return greeted_; }
  bool done() const { return done_; }

 private:
  absl::Status Line(std::string_view line, std::vector<Message>* out);
  absl::Status Fail(std::string_view what);

  std::string partial_;  // at most kLineBytes
  std::size_t bytes_ = 0, lines_ = 0;
  bool greeted_ = false, done_ = false;
  absl::Status failed_;
};

// What the host says first, with its line feed. `config`, `job` and `data` are JSON objects.
struct Greeting {
  std::string plugin, phase, config, job, data;
  std::map<std::string, std::string> env;
};
std::string Encode(const Greeting& greeting);

}  // namespace waggle::plugins
