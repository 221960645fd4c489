#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace waggle::test {

using namespace std::chrono_literals;
using Millis = std::chrono::milliseconds;

// Generous: a test that needs it fails anyway. Tests of speed have bounds of their own.
inline constexpr Millis kPatience = 60s;

// Looks again every few milliseconds until the condition holds; false: it never did.
bool Eventually(const std::function<bool()>& condition, Millis patience = kPatience);

// What a finished program left.
struct Outcome {
  int code = -1;  // exit code, or 128 + signal
  std::string out, err;
};
std::ostream& operator<<(std::ostream& stream, const Outcome& outcome);

// One program under test: leader of its own process group, standard input from /dev/null, both outputs in
// files. The kernel kills it when the test dies; the destructor kills its group. One thread, the one that
// made it.
class Child {
 public:
  struct Spec {
    std::vector<std::string> argv;
    std::map<std::string, std::string> env;  // the whole environment
    std::string cwd;
    std::string log;      // its outputs go to LOG.out and LOG.err
    bool nobody = false;  // started by root, it becomes an unprivileged user before it is executed
  };

  explicit Child(const Spec& spec);
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;

  pid_t pid() const { return pid_; }
  void Signal(int signal);
  // Its exit code, or 128 + signal; nothing: it still runs. Reaps it.
  std::optional<int> Wait(Millis patience = kPatience);
  void KillGroup();  // and waits for the leader
  bool Running() { return !Wait(0ms).has_value(); }

  std::string Out() const;
  std::string Err() const;
  // Waits for its end; a program that does not end is a test failure and is killed.
  Outcome Finish(Millis patience = kPatience);

 private:
  std::string log_;
  pid_t pid_ = -1;
  std::optional<int> code_;
};

// The process is there and no zombie.
bool IsAlive(pid_t pid);
pid_t ParentOf(pid_t pid);
std::string CommandLineOf(pid_t pid);  // words joined by a space

// Live processes, without this one, whose arguments, working directory or environment name `text`: those of a
// test when it is the path of its directory.
std::vector<pid_t> ProcessesNaming(std::string_view text);
// Kills all of those until there is none. False: some outlived it.
bool KillAllNaming(std::string_view text);

}  // namespace waggle::test
