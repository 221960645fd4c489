#include "tests/support/git_repo.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace waggle::test {

GitRepo::GitRepo(std::string path, std::string home) : path_(std::move(path)), home_(std::move(home)) {
  std::filesystem::create_directories(path_);
  std::filesystem::create_directories(home_);
  Git({"init", "--quiet", "--initial-branch=main", "."});
  Git({"config", "user.name", "Anna Bee"});
  Git({"config", "user.email", "anna@example.com"});
}

void GitRepo::Write(const std::string& name, std::string_view content) {
  WriteText(path_ + "/" + name, content);
}

std::string GitRepo::Commit(const std::string& message) {
  ++commits_;
  Git({"add", "--all"});
  Git({"commit", "--quiet", "--allow-empty", "--message", message});
  return Git({"rev-parse", "HEAD"});
}

void GitRepo::Branch(const std::string& name) {
  Git({"switch", "--quiet", "--create", name});
}
void GitRepo::Switch(const std::string& name) {
  Git({"switch", "--quiet", name});
}
void GitRepo::Tag(const std::string& name) {
  Git({"tag", name});
}

std::string GitRepo::Git(std::vector<std::string> args) {
  args.insert(args.begin(), "git");
  const std::string date = "2026-01-01T00:00:" + std::to_string(10 + commits_) + "Z";
  Child git({.argv = args,
             .env = {{"PATH", std::getenv("PATH")},
                     {"HOME", home_},
                     {"GIT_CONFIG_NOSYSTEM", "1"},
                     {"GIT_AUTHOR_DATE", date},
                     {"GIT_COMMITTER_DATE", date}},
             .cwd = path_,
             .log = home_ + "/git"});
  const Outcome outcome = git.Finish();
  EXPECT_EQ(outcome.code, 0) << "git " << args[1] << "\n" << outcome;
  return outcome.out.substr(0, outcome.out.find_last_not_of('\n') + 1);
}

}  // namespace waggle::test
