#include "tests/tools/driver.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace waggle::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kDeadline = std::chrono::seconds(30);

struct Pipe {
  UniqueFd read, write;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) abort();
    read.Reset(ends[0]);
    write.Reset(ends[1]);
  }
};

}  // namespace

TempDir::TempDir() {
  std::string pattern = "/tmp/waggle-cli-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) abort();
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::Write(const std::string& name, const std::string& content) const {
  std::filesystem::create_directories(std::filesystem::path(File(name)).parent_path());
  std::ofstream(File(name), std::ios::binary) << content;
  return File(name);
}

Waggle::Waggle(std::vector<std::string> args, std::map<std::string, std::string> env, std::string cwd,
               std::string program) {
  signal(SIGPIPE, SIG_IGN);
  Pipe in, out, err;
  env.try_emplace("PATH", getenv("PATH"));
  env.try_emplace("HOME", home_.path());
  env.try_emplace("LC_ALL", "C.UTF-8");
  env.try_emplace("GIT_CONFIG_NOSYSTEM", "1");
  std::vector<std::string> pairs;
  for (const auto& [name, value] : env) pairs.push_back(name + "=" + value);
  std::vector<char*> envp, argv;
  for (std::string& pair : pairs) envp.push_back(pair.data());
  envp.push_back(nullptr);
  argv.push_back(program.data());
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.read.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, out.write.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, err.write.get(), 2);
  if (!cwd.empty()) posix_spawn_file_actions_addchdir_np(&actions, cwd.c_str());
  int error = posix_spawnp(&pid_, program.c_str(), &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(error, 0) << "cannot start " << program;
  in_ = std::move(in.write);
  out_ = std::move(out.read);
  err_ = std::move(err.read);
}

Waggle::~Waggle() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

void Waggle::SendInput(const std::string& text) {
  EXPECT_TRUE(WriteAll(in_.get(), text).ok());
  in_.Reset();
}

void Waggle::Signal(int number) {
  kill(pid_, number);
}
void Waggle::CloseOut() {
  out_.Reset();
}
bool Waggle::WaitForOut(const std::string& text) {
  return Pump(&exit_.out, text);
}
bool Waggle::WaitForErr(const std::string& text) {
  return Pump(&exit_.err, text);
}

// Takes output until `*source` has `text` (or, without a source, until both pipes are closed).
bool Waggle::Pump(const std::string* source, const std::string& text) {
  auto deadline = Clock::now() + kDeadline;
  while (source == nullptr || source->find(text) == std::string::npos) {
    if (!out_.valid() && !err_.valid()) return source == nullptr;
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd fds[2] = {{out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}};
    if (left <= 0 || poll(fds, 2, static_cast<int>(left)) == 0) {
      kill(pid_, SIGKILL);
      ADD_FAILURE() << "no end within 30 s, waited for \"" << text << "\"\nstdout: " << exit_.out
                    << "\nstderr: " << exit_.err;
      return false;
    }
    for (int i = 0; i < 2; ++i) {
      if (fds[i].revents == 0) continue;
      char buffer[64 * 1024];
      ssize_t n = read(fds[i].fd, buffer, sizeof buffer);
      if (n > 0) (i == 0 ? exit_.out : exit_.err).append(buffer, static_cast<std::size_t>(n));
      if (n == 0) (i == 0 ? out_ : err_).Reset();
    }
  }
  return true;
}

Exit Waggle::Finish() {
  in_.Reset();
  Pump(nullptr, "the end");
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  exit_.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_;
}

Exit RunWaggle(std::vector<std::string> args, std::map<std::string, std::string> env, std::string cwd) {
  return Waggle(std::move(args), std::move(env), std::move(cwd)).Finish();
}

std::string MustRun(const std::string& program, std::vector<std::string> args, const std::string& cwd) {
  Exit exit = Waggle(std::move(args), {}, cwd, program).Finish();
  EXPECT_EQ(exit.code, 0) << program << ": " << exit.err;
  return exit.out;
}

}  // namespace waggle::cli
