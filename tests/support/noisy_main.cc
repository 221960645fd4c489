// noisy: prints what the byte oracle (noisy_stream.h) makes of a key, and checks it.
//
//   noisy print --key K [--stdout BYTES] [--stderr BYTES] [--content KIND] [--max-write BYTES] [--rate
//   BYTES/S] noisy check --key K --bytes BYTES [--stream stdout|stderr] [--content KIND] < file
//
// Exit codes: 0; 1 the stream is not what it should be, or an output broke; 2 usage.
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/noisy_stream.h"

namespace waggle::test {
namespace {

struct Options {
  std::uint64_t key = 1, out = 0, err = 0, bytes = 0, rate = 0;
  std::size_t max_write = 64 * 1024;
  std::string content = "mixed", stream = "stdout";
};

double Now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void SleepFor(double seconds) {
  timespec t{static_cast<time_t>(seconds),
             static_cast<long>((seconds - static_cast<double>(static_cast<time_t>(seconds))) * 1e9)};
  while (::nanosleep(&t, &t) != 0 && errno == EINTR) {
  }
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      std::fprintf(stderr, "noisy: cannot write to descriptor %d: %s\n", fd, std::strerror(errno));
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

int Print(const Options& options, NoisyContent content) {
  NoisySource sources[] = {
      NoisySource({options.key, NoisyStream::kStdout, content, options.out}),
      NoisySource({options.key, NoisyStream::kStderr, content, options.err}),
  };
  std::uint64_t at[] = {0, 0}, written = 0;
  NoisySizes sizes(options.key, options.max_write);
  const double start = Now();
  while (at[0] < options.out || at[1] < options.err) {
    const std::size_t i = sizes.Choose({options.out - at[0], options.err - at[1]});
    // One write is one write(2): what lies across two chunks is joined first.
    const std::size_t size = sizes.Next();
    std::string_view bytes = sources[i].At(at[i]).substr(0, size);
    std::string joined;
    if (bytes.size() < size) bytes = joined = sources[i].Copy(at[i], size);
    if (!WriteAll(i == 0 ? STDOUT_FILENO : STDERR_FILENO, bytes)) return 1;
    at[i] += bytes.size();
    written += bytes.size();
    if (options.rate == 0) continue;
    const double due = start + static_cast<double>(written) / static_cast<double>(options.rate);
    if (const double ahead = due - Now(); ahead > 0.001) SleepFor(ahead);
  }
  return 0;
}

int Check(const Options& options, NoisyContent content) {
  NoisyChecker checker({options.key, *NoisyStreamOf(options.stream), content, options.bytes});
  std::vector<char> buffer(256 * 1024);
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      std::fprintf(stderr, "noisy: cannot read standard input: %s\n", std::strerror(errno));
      return 1;
    }
    if (n == 0) break;
    checker.Feed({buffer.data(), static_cast<std::size_t>(n)});
  }
  const std::optional<NoisyFault> fault = checker.Finish();
  if (fault) {
    std::printf("%s\n", Text(*fault).c_str());
    return 1;
  }
  std::printf("ok: %llu bytes\n", static_cast<unsigned long long>(checker.fed()));
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app("Keyed pseudo-random output, and its checker.");
  app.require_subcommand(1);
  Options options;
  const auto content_names = CLI::IsMember(
      {"no-newline", "long-lines", "short-lines", "nul", "bad-utf8", "multibyte", "ansi", "mixed"});
  CLI::App* print = app.add_subcommand("print", "Print the streams of a key");
  CLI::App* check = app.add_subcommand("check", "Compare standard input with a stream of a key");
  for (CLI::App* command : {print, check}) {
    command->add_option("--key", options.key)->required();
    command->add_option("--content", options.content)->check(content_names)->capture_default_str();
  }
  print->add_option("--stdout", options.out, "Bytes on standard output");
  print->add_option("--stderr", options.err, "Bytes on standard error");
  print->add_option("--max-write", options.max_write, "Largest write in bytes")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  print->add_option("--rate", options.rate, "Bytes per second of both together; 0 = as fast as it goes");
  check->add_option("--bytes", options.bytes, "Bytes of the whole stream")->required();
  check->add_option("--stream", options.stream)
      ->check(CLI::IsMember({"stdout", "stderr"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    app.exit(e);
    return 2;
  }
  const NoisyContent content = *NoisyContentOf(options.content);
  return print->parsed() ? Print(options, content) : Check(options, content);
}

}  // namespace
}  // namespace waggle::test

int main(int argc, char** argv) {
  return waggle::test::Main(argc, argv);
}
