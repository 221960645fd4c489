// waggle-bench-emit: what the jobs of the bench run. Small and static, so that it is the job that is
// measured.
//
//   fill BYTES WRITE LINE [STAMP]   lines of LINE bytes (0: none ends), BYTES in all, WRITE bytes at once;
//   STAMP gets
//                                   the boot-clock nanoseconds before the first write and after the last
//   ticks COUNT MILLISECONDS        that many lines, each the boot-clock nanoseconds of its own write
//   hold TOKEN [stubborn]           prints "ready", then waits for a signal as a tree of three processes;
//   stubborn:
//                                   only KILL ends them
#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

constexpr std::size_t kMaxWrite = 1 << 20;

long long Now() {
  timespec t{};
  ::clock_gettime(CLOCK_BOOTTIME, &t);
  return static_cast<long long>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

bool WriteAll(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

int Fill(unsigned long long bytes, std::size_t write, std::size_t line, const char* stamp) {
  if (write == 0 || write > kMaxWrite || line > kMaxWrite) return 2;
  // The same pattern as Pattern() of the bench: byte i of a line is 'a' + i % 26.
  std::string pattern;
  const std::size_t period = line == 0 ? 26 : line;
  while (pattern.size() < write + period) {
    const std::size_t at = pattern.size() % period;
    pattern.push_back(line != 0 && at + 1 == line ? '\n' : static_cast<char>('a' + at % 26));
  }
  const long long begin = Now();
  for (unsigned long long at = 0; at < bytes; at += write) {
    const std::size_t size = bytes - at < write ? static_cast<std::size_t>(bytes - at) : write;
    if (!WriteAll(std::string_view(pattern).substr(at % period, size))) return 1;
  }
  const long long end = Now();
  if (stamp == nullptr) return 0;
  std::FILE* file = std::fopen(stamp, "w");
  if (file == nullptr) return 1;
  std::fprintf(file, "%lld %lld\n", begin, end);
  return std::fclose(file) == 0 ? 0 : 1;
}

int Ticks(long count, long millis) {
  timespec due{};
  ::clock_gettime(CLOCK_BOOTTIME, &due);
  for (long i = 0; i < count; ++i) {
    due.tv_nsec += millis * 1'000'000;
    due.tv_sec += due.tv_nsec / 1'000'000'000;
    due.tv_nsec %= 1'000'000'000;
    while (::clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &due, nullptr) == EINTR) {
    }
    char line[32];
    const int size = std::snprintf(line, sizeof line, "%lld\n", Now());
    if (!WriteAll({line, static_cast<std::size_t>(size)})) return 1;
  }
  return 0;
}

int Hold(bool stubborn) {
  if (stubborn) {
    for (int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_IGN);
  }
  for (int i = 0; i < 2; ++i) {
    if (::fork() == 0) {
      for (;;) ::pause();
    }
  }
  if (!WriteAll("ready\n")) return 1;
  for (;;) ::pause();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "fill" && argc >= 5) {
    return Fill(std::strtoull(argv[2], nullptr, 10), std::strtoul(argv[3], nullptr, 10),
                std::strtoul(argv[4], nullptr, 10), argc > 5 ? argv[5] : nullptr);
  }
  if (what == "ticks" && argc == 4) return Ticks(std::atol(argv[2]), std::atol(argv[3]));
  if (what == "hold" && argc >= 3) return Hold(argc > 3 && std::string_view(argv[3]) == "stubborn");
  std::fprintf(
      stderr,
      "usage: waggle-bench-emit fill BYTES WRITE LINE [STAMP] | ticks COUNT MS | hold TOKEN [stubborn]\n");
  return 2;
}
