#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/fd.h"

namespace waggle::vcs {

struct Outcome {
  int code = -1;   // exit code; -1: killed
  int signal = 0;  // what killed it
  std::string out, err;
};

// A started waggle-git; its output goes to files of the fixture.
struct Running {
  pid_t pid = -1;
  std::string out, err;  // paths
};

// Drives the built waggle-git against real repositories, made with git in a temporary directory that is also
// HOME.
class VcsTest : public testing::Test {
 protected:
  VcsTest();
  ~VcsTest() override;

  std::string Path(const std::string& name) const { return root_ + "/" + name; }
  std::string Mirrors() const { return Path("mirrors"); }

  // Runs `git ARGS` in DIR (a shell line); fails the test if git fails. Returns its output without the last
  // newline.
  std::string Git(const std::string& directory, const std::string& arguments);
  // A repository with one commit on main that holds `file` = "one\n".
  std::string MakeRepository(const std::string& name);
  // Writes a file and commits it; returns the commit.
  std::string Commit(const std::string& repository, const std::string& file, const std::string& content);
  void Write(const std::string& path, const std::string& content);
  std::string Read(const std::string& path);
  // Stores a raw tree of {mode, name, object} rows, however malformed; returns its id.
  struct Row {
    std::string mode, name, object;
  };
  std::string RawTree(const std::string& repository, const std::vector<Row>& rows);
  // A commit of `tree` on branch `branch`; returns its id.
  std::string CommitTree(const std::string& repository, const std::string& tree, const std::string& branch);

  Running Start(const std::vector<std::string>& arguments, const std::string& input = "");
  Outcome Wait(const Running& running);
  Outcome Run(const std::vector<std::string>& arguments, const std::string& input = "") {
    return Wait(Start(arguments, input));
  }
  Outcome Resolve(const std::string& url, std::vector<std::string> more = {}, const std::string& input = "");
  Outcome Checkout(const std::string& url, const std::string& target, std::vector<std::string> more = {});
  // The only NAME.git in the mirror directory.
  std::string OnlyMirror();

  // Waits until `condition` holds, at most 20 s.
  static bool Eventually(const std::function<bool()>& condition);

 private:
  std::string root_;
  int runs_ = 0;
};

// A TCP listener on 127.0.0.1. Without a responder it accepts nothing and never answers.
class Listener {
 public:
  Listener();
  ~Listener();
  int port() const { return port_; }
  // Answers every request by what `answer` returns for it, one request per connection; `end` ends a request.
  void Serve(std::function<std::string(const std::string& request)> answer,
             const std::string& end = "\r\n\r\n");
  // Stops serving; afterwards requests() may be read.
  void Stop();
  const std::vector<std::string>& requests() const { return requests_; }

 private:
  UniqueFd fd_;
  int port_ = 0;
  std::thread thread_;
  std::vector<std::string> requests_;  // written by thread_ alone while it runs
};

}  // namespace waggle::vcs
