#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace waggle::test {

// A git repository made with the git program: fixed author and dates, no configuration but its own. Every
// failure is a test failure. `home` is a directory for git's HOME and its output.
class GitRepo {
 public:
  GitRepo(std::string path, std::string home);

  const std::string& path() const { return path_; }
  void Write(const std::string& name, std::string_view content);
  // Adds everything and commits; the commit's 40 digits.
  std::string Commit(const std::string& message);
  void Branch(const std::string& name);  // made here and switched to
  void Switch(const std::string& name);
  void Tag(const std::string& name);
  // Standard output of `git args…` in the repository, without the last newline.
  std::string Git(std::vector<std::string> args);

 private:
  const std::string path_, home_;
  int commits_ = 0;
};

}  // namespace waggle::test
