// Loaded before the C library into a daemon (LD_PRELOAD), this shows it a wall clock that is wrong by the
// seconds in the file WAGGLE_WALL_SHIFT names (8 bytes, a signed number of this machine), from then on when
// the file changes: the clock of the host is not touched. What waits for a moment of the wall clock wakes
// when the shown clock gets there, as after a step of a real one. Every other clock is the real one. Glibc,
// 64 bits.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kLook = 20'000'000;  // how often a wait looks whether the clock was stepped, ns

std::int64_t ShiftSeconds() {
  static const volatile std::int64_t* const shared = []() -> const volatile std::int64_t* {
    const char* path = std::getenv("WAGGLE_WALL_SHIFT");
    const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return nullptr;
    void* at = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    return at == MAP_FAILED ? nullptr : static_cast<const volatile std::int64_t*>(at);
  }
  ();
  return shared == nullptr ? 0 : *shared;
}

template <typename Function>
Function Next(Function, const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

bool IsWall(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

std::int64_t ShownNanos() {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

using Syscall = long (*)(long, ...);

// A wait for a moment of the wall clock, in slices.
long WaitOnWall(Syscall real, long word, long operation, long value, const timespec* until, long bits) {
  for (;;) {
    const std::int64_t left = until->tv_sec * kSecond + until->tv_nsec - ShownNanos();
    if (left <= 0) {
      errno = ETIMEDOUT;
      return -1;
    }
    timespec slice;  // a moment of the monotonic clock
    ::clock_gettime(CLOCK_MONOTONIC, &slice);
    const std::int64_t end = slice.tv_sec * kSecond + slice.tv_nsec + std::min(left, kLook);
    slice = {static_cast<time_t>(end / kSecond), static_cast<long>(end % kSecond)};
    const long result =
        real(SYS_futex, word, operation & ~FUTEX_CLOCK_REALTIME, value, &slice, nullptr, bits);
    if (result == 0 || errno != ETIMEDOUT) return result;
  }
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static const auto real = Next(&::clock_gettime, "clock_gettime");
  const int result = real(clock, time);
  if (result == 0 && IsWall(clock)) time->tv_sec += ShiftSeconds();
  return result;
}

time_t time(time_t* out) noexcept {
  const time_t now = ShownNanos() / kSecond;
  if (out != nullptr) *out = now;
  return now;
}

int gettimeofday(timeval* time, void*) noexcept {
  const std::int64_t now = ShownNanos();
  *time = {static_cast<time_t>(now / kSecond), static_cast<suseconds_t>(now % kSecond / 1000)};
  return 0;
}

// Abseil's locks wait with it.
long syscall(long number, ...) noexcept {
  static const Syscall real = reinterpret_cast<Syscall>(::dlsym(RTLD_NEXT, "syscall"));
  va_list list;
  va_start(list, number);
  long words[6];
  for (long& word : words) word = va_arg(list, long);
  va_end(list);
  const bool waits = number == SYS_futex && (words[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
  if (waits && (words[1] & FUTEX_CLOCK_REALTIME) != 0 && words[3] != 0) {
    return WaitOnWall(real, words[0], words[1], words[2], reinterpret_cast<const timespec*>(words[3]),
                      words[5]);
  }
  return real(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

}  // extern "C"
