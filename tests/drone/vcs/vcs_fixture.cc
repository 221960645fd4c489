#include "tests/drone/vcs/vcs_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

extern char** environ;

namespace waggle::vcs {
namespace fs = std::filesystem;

VcsTest::VcsTest() {
  std::string name = (fs::temp_directory_path() / "waggle-vcs-XXXXXX").string();
  root_ = ::mkdtemp(name.data());
  ::setenv("HOME", root_.c_str(), 1);
  ::setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
  // Under LeakSanitizer: libgit2 1.5 itself drops the match data of its regular expressions.
  Write(Path("lsan"), "leak:libpcre2-8.so\n");
  ::setenv("LSAN_OPTIONS", absl::StrCat("print_suppressions=0:suppressions=", Path("lsan")).c_str(), 1);
  for (const char* who : {"AUTHOR", "COMMITTER"}) {
    ::setenv(absl::StrCat("GIT_", who, "_NAME").c_str(), "Bee", 1);
    ::setenv(absl::StrCat("GIT_", who, "_EMAIL").c_str(), "bee@example.org", 1);
  }
}

VcsTest::~VcsTest() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

void VcsTest::Write(const std::string& path, const std::string& content) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::string VcsTest::Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

std::string VcsTest::Git(const std::string& directory, const std::string& arguments) {
  std::string output = Path("git.out");
  std::string line = absl::StrCat("git -C '", directory, "' ", arguments, " >'", output, "' 2>&1");
  EXPECT_EQ(std::system(line.c_str()), 0) << line << "\n" << Read(output);
  std::string text = Read(output);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string VcsTest::MakeRepository(const std::string& name) {
  std::string path = Path(name);
  fs::create_directories(path);
  Git(path, "init -q -b main");
  Commit(path, "file", "one\n");
  return path;
}

std::string VcsTest::Commit(const std::string& repository, const std::string& file,
                            const std::string& content) {
  Write(repository + "/" + file, content);
  Git(repository, "add -A");
  Git(repository, "commit -q -m change");
  return Git(repository, "rev-parse HEAD");
}

std::string VcsTest::RawTree(const std::string& repository, const std::vector<Row>& rows) {
  std::string tree;
  for (const Row& row : rows) {
    absl::StrAppend(&tree, row.mode, " ", row.name);
    tree.push_back('\0');
    tree += absl::HexStringToBytes(row.object);
  }
  Write(Path("tree.bin"), tree);
  return Git(repository, absl::StrCat("hash-object -t tree -w --literally '", Path("tree.bin"), "'"));
}

std::string VcsTest::CommitTree(const std::string& repository, const std::string& tree,
                                const std::string& branch) {
  std::string commit = Git(repository, absl::StrCat("commit-tree -m odd ", tree));
  Git(repository, absl::StrCat("update-ref refs/heads/", branch, " ", commit));
  return commit;
}

Running VcsTest::Start(const std::vector<std::string>& arguments, const std::string& input) {
  std::string base = absl::StrCat(root_, "/run", runs_++);
  Running running{-1, base + ".out", base + ".err"};
  Write(base + ".in", input);
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, 0, (base + ".in").c_str(), O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, 1, running.out.c_str(), O_WRONLY | O_CREAT, 0600);
  ::posix_spawn_file_actions_addopen(&files, 2, running.err.c_str(), O_WRONLY | O_CREAT, 0600);
  std::vector<std::string> words = {WAGGLE_GIT};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  EXPECT_EQ(::posix_spawn(&running.pid, WAGGLE_GIT, &files, nullptr, argv.data(), environ), 0);
  ::posix_spawn_file_actions_destroy(&files);
  return running;
}

Outcome VcsTest::Wait(const Running& running) {
  Outcome outcome;
  int status = 0;
  EXPECT_EQ(::waitpid(running.pid, &status, 0), running.pid);
  if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  outcome.out = Read(running.out);
  outcome.err = Read(running.err);
  return outcome;
}

Outcome VcsTest::Resolve(const std::string& url, std::vector<std::string> more, const std::string& input) {
  std::vector<std::string> arguments = {"resolve", "--mirrors", Mirrors(), "--url", url};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return Run(arguments, input);
}

Outcome VcsTest::Checkout(const std::string& url, const std::string& target, std::vector<std::string> more) {
  std::vector<std::string> arguments = {"checkout", "--mirrors", Mirrors(), "--url", url, "--target", target};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return Run(arguments);
}

std::string VcsTest::OnlyMirror() {
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(Mirrors())) {
    if (entry.path().extension() == ".git") found.push_back(entry.path().string());
  }
  EXPECT_EQ(found.size(), 1u);
  return found.empty() ? "" : found.front();
}

bool VcsTest::Eventually(const std::function<bool()>& condition) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::yield();
  }
  return condition();
}

Listener::Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(fd_.get(), 16), 0);
  EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
}

Listener::~Listener() {
  Stop();
}

void Listener::Stop() {
  ::shutdown(fd_.get(), SHUT_RDWR);  // ends a blocked accept
  if (thread_.joinable()) thread_.join();
}

void Listener::Serve(std::function<std::string(const std::string&)> answer, const std::string& end) {
  thread_ = std::thread([this, answer, end] {
    for (;;) {
      UniqueFd peer(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer.valid()) return;
      std::string request;
      char chunk[4096];
      while (request.find(end) == std::string::npos) {
        ssize_t n = ::read(peer.get(), chunk, sizeof chunk);
        if (n <= 0) break;
        request.append(chunk, static_cast<std::size_t>(n));
      }
      requests_.push_back(request);
      (void)WriteAll(peer.get(), answer(request));
    }
  });
}

}  // namespace waggle::vcs
