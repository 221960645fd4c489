#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "common/base/fd.h"

namespace waggle::cli {

// A directory for one test, removed with everything in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  std::string Write(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};

struct Exit {
  int code = -1;  // 128 + signal when it died by one
  std::string out;
  std::string err;
};

// The built `waggle`, running, with pipes on all three streams. Every wait has a deadline of 30 s after which
// the process is killed, so a hang is a failure and not a stuck test.
class Waggle {
 public:
  // `env` is added to an environment with nothing but PATH, an empty HOME and LC_ALL=C.UTF-8.
  Waggle(std::vector<std::string> args, std::map<std::string, std::string> env = {}, std::string cwd = "",
         std::string program = WAGGLE_BINARY);
  ~Waggle();

  void SendInput(const std::string& text);
  void Signal(int number);
  // True once standard output (or error) so far contains `text`.
  bool WaitForOut(const std::string& text);
  bool WaitForErr(const std::string& text);
  void CloseOut();  // as a reader that goes away
  Exit Finish();

 private:
  bool Pump(const std::string* source, const std::string& text);

  TempDir home_;
  pid_t pid_ = -1;
  UniqueFd in_, out_, err_;
  Exit exit_;
};

// Runs it to its end.
Exit RunWaggle(std::vector<std::string> args, std::map<std::string, std::string> env = {},
               std::string cwd = "");
// Any program, for fixtures; its output when it succeeded.
std::string MustRun(const std::string& program, std::vector<std::string> args, const std::string& cwd);

}  // namespace waggle::cli
