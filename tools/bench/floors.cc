#include "tools/bench/floors.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"

extern char** environ;

namespace waggle::bench {
namespace {

constexpr std::size_t kPiece = limits::kMiB;  // F5 syncs after each

// posix_spawn with a pipe on each output, both read to their ends, reaped. False: it could not be started or
// failed.
bool SpawnOnce() {
  int out[2], err[2];
  if (::pipe2(out, O_CLOEXEC) != 0) return false;
  if (::pipe2(err, O_CLOEXEC) != 0) return false;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  char sh[] = "sh", c[] = "-c", text[] = "true";
  char* argv[] = {sh, c, text, nullptr};
  pid_t pid = -1;
  const bool started = ::posix_spawn(&pid, "/bin/sh", &actions, nullptr, argv, environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  ::close(err[1]);
  char buffer[256];
  for (int fd : {out[0], err[0]}) {
    while (::read(fd, buffer, sizeof buffer) > 0) {
    }
    ::close(fd);
  }
  int status = -1;
  return started && ::waitpid(pid, &status, 0) == pid && status == 0;
}

double ChildrenCpu() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

absl::Status SqlError(sqlite3* db, const char* what) {
  return absl::InternalError(absl::StrCat("SQLite, ", what, ": ", sqlite3_errmsg(db)));
}

absl::Status Commit(sqlite3* db, int count) {
  for (int i = 0; i < count; ++i) {
    const std::string row =
        absl::StrCat("INSERT INTO t VALUES (NULL, 'a row of some sixty bytes, number ", i, "')");
    if (sqlite3_exec(db, row.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return SqlError(db, "commit");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SpawnFloor> MeasureSpawn(int count) {
  std::atomic<int> left = count;
  std::atomic<bool> failed = false;
  const double cpu = ChildrenCpu();
  const Time start = BootClock::now();
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back([&] {
      while (left.fetch_sub(1) > 0) {
        if (!SpawnOnce()) failed = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failed) return absl::InternalError("cannot run sh -c true");
  return SpawnFloor{count / Seconds(BootClock::now() - start), (ChildrenCpu() - cpu) / count};
}

absl::StatusOr<double> MeasureSpawnLatency(int count) {
  std::vector<double> took;
  for (int i = 0; i < count; ++i) {
    const Time start = BootClock::now();
    if (!SpawnOnce()) return absl::InternalError("cannot run sh -c true");
    took.push_back(Seconds(BootClock::now() - start));
  }
  return Median(took);
}

absl::StatusOr<double> MeasureCommits(const std::string& directory, int count) {
  const std::string path = directory + "/floor.db";
  sqlite3* db = nullptr;
  absl::Status status;
  if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) status = SqlError(db, "open");
  const char* setup =
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)";
  if (status.ok() && sqlite3_exec(db, setup, nullptr, nullptr, nullptr) != SQLITE_OK)
    status = SqlError(db, "set up");
  const Time start = BootClock::now();
  if (status.ok()) status = Commit(db, count);
  const double seconds = Seconds(BootClock::now() - start);
  sqlite3_close(db);
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((path + suffix).c_str());
  RETURN_IF_ERROR(status);
  return count / seconds;
}

absl::StatusOr<double> MeasureSyncs(const std::string& directory, int count) {
  const std::string path = directory + "/floor.sync";
  ASSIGN_OR_RETURN(UniqueFd file, Open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND));
  const std::string page(4096, 'x');
  std::vector<double> took;
  for (int i = 0; i < count; ++i) {
    const Time start = BootClock::now();
    RETURN_IF_ERROR(WriteAll(file.get(), page));
    if (::fdatasync(file.get()) != 0) return ErrnoStatus("fdatasync", path);
    took.push_back(Seconds(BootClock::now() - start));
  }
  ::unlink(path.c_str());
  return Median(took);
}

absl::StatusOr<double> MeasureAppend(const std::string& directory, std::uint64_t bytes) {
  const std::string path = directory + "/floor.log";
  ASSIGN_OR_RETURN(UniqueFd file, Open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND));
  const std::string piece(kPiece, 'x');
  const Time start = BootClock::now();
  for (std::uint64_t at = 0; at < bytes; at += kPiece) {
    RETURN_IF_ERROR(WriteAll(file.get(), piece));
    if (::fdatasync(file.get()) != 0) return ErrnoStatus("fdatasync", path);
  }
  const double seconds = Seconds(BootClock::now() - start);
  ::unlink(path.c_str());
  return static_cast<double>(bytes) / 1e6 / seconds;
}

absl::StatusOr<double> MeasurePipe(const Bench& bench, std::uint64_t bytes, std::size_t write) {
  const std::string fifo = bench.scratch() + "/floor.fifo";
  ::unlink(fifo.c_str());
  if (::mkfifo(fifo.c_str(), 0600) != 0) return ErrnoStatus("mkfifo", fifo);
  // Both ends at once, so that opening waits for nobody; the program gets the writing one.
  ASSIGN_OR_RETURN(UniqueFd keep, Open(fifo, O_RDWR));
  ASSIGN_OR_RETURN(UniqueFd end, Open(fifo, O_RDONLY | O_NONBLOCK));
  const Time start = BootClock::now();
  ASSIGN_OR_RETURN(Program writer, Program::Start({bench.Binary("waggle-bench-emit"), "fill",
                                                   absl::StrCat(bytes), absl::StrCat(write), "0"},
                                                  fifo));
  std::vector<char> buffer(64 * limits::kKiB);
  std::uint64_t seen = 0;
  while (seen < bytes) {
    pollfd ready{end.get(), POLLIN, 0};
    if (::poll(&ready, 1, 10'000) != 1) return absl::DeadlineExceededError("nothing comes through the pipe");
    const ssize_t n = ::read(end.get(), buffer.data(), buffer.size());
    if (n > 0) seen += static_cast<std::uint64_t>(n);
  }
  const double seconds = Seconds(BootClock::now() - start);
  RETURN_IF_ERROR(writer.Wait(std::chrono::seconds(10)).status());
  ::unlink(fifo.c_str());
  return static_cast<double>(bytes) / 1e6 / seconds;
}

}  // namespace waggle::bench
