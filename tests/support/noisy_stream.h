#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The byte oracle: output that anybody who knows its key can make again, byte for byte and from any offset,
// and a checker that does so and says what is wrong with what it was given. Pure: no thread, clock, file or
// socket.
namespace waggle::test {

enum class NoisyStream : std::uint8_t { kStdout, kStderr };

// What the bytes look like. kMixed takes the others in turn, kNoisySection bytes each.
enum class NoisyContent : std::uint8_t {
  kNoNewline,   // printable, not one newline
  kLongLines,   // printable, lines of 5,000,000 bytes
  kShortLines,  // printable, lines of 0 to some 60 bytes
  kNul,         // every fourth byte or so is NUL, the others are anything
  kBadUtf8,     // bytes 0x80 … 0xFF and newlines: never valid UTF-8
  kMultibyte,   // characters of three bytes, which writes of any size split
  kAnsi,        // colours, cursor movements, carriage returns between words
  kMixed,
};

inline constexpr std::size_t kNoisySection = 6 * 1024 * 1024;  // holds a long line as a whole
inline constexpr std::size_t kNoisyChunk = 64 * 1024;          // what is made at once
inline constexpr std::size_t kNoisyLongLine = 5'000'000;

std::optional<NoisyContent> NoisyContentOf(std::string_view name);  // "no-newline", "long-lines", … "mixed"
std::optional<NoisyStream> NoisyStreamOf(std::string_view name);    // "stdout", "stderr"

struct NoisyPlan {
  std::uint64_t key = 1;
  NoisyStream stream = NoisyStream::kStdout;
  NoisyContent content = NoisyContent::kMixed;
  std::uint64_t bytes = 0;  // of the whole stream
};

// The bytes of a plan, at any offset. Keeps the chunk made last, so reading on is cheap. One thread.
class NoisySource {
 public:
  explicit NoisySource(const NoisyPlan& plan) : plan_(plan) {}

  // Some bytes at `offset`, at least one below plan.bytes, none behind; valid until the next call.
  std::string_view At(std::uint64_t offset);
  // `size` bytes from `offset`, fewer at the end.
  std::string Copy(std::uint64_t offset, std::size_t size);
  const NoisyPlan& plan() const { return plan_; }

 private:
  void Make(std::uint64_t chunk);

  const NoisyPlan plan_;
  std::uint64_t chunk_ = ~std::uint64_t{0};
  alignas(8) std::array<char, kNoisyChunk> bytes_{};
};

// Sizes of writes, 1 byte to `most`, every order of magnitude as likely as the next: most are small, most
// bytes are in large ones. The same for the same key.
class NoisySizes {
 public:
  NoisySizes(std::uint64_t key, std::size_t most);
  std::size_t Next();
  // One of `count` for who writes next, weighted: index with probability weights[i] / sum.
  std::size_t Choose(const std::vector<std::uint64_t>& weights);

 private:
  std::uint64_t Random();

  std::uint64_t state_;
  const std::size_t most_;
};

// What is wrong with a stream first.
struct NoisyFault {
  enum class Kind : std::uint8_t {
    kLost,     // bytes are missing at `offset`
    kDoubled,  // bytes before `offset` come again
    kSwapped,  // later bytes come here, those of here behind them
    kChanged,  // other bytes, none missing
    kShort,    // it ends at `offset`
    kLong,     // it goes on behind its end
  };
  Kind kind = Kind::kChanged;
  std::uint64_t offset = 0;  // of the first byte that is wrong
  std::uint64_t count = 0;   // bytes lost, doubled, skipped over by a swap, changed, missing, too many
};
std::string_view Name(NoisyFault::Kind kind);
std::string Text(const NoisyFault& fault);  // "lost: 100 bytes at byte 5"

// Takes what came and compares. After the first difference it keeps some of what follows, to tell its kind,
// and only counts the rest. Memory: 2 MiB at most. One thread.
class NoisyChecker {
 public:
  explicit NoisyChecker(const NoisyPlan& plan) : source_(plan) {}

  void Feed(std::string_view bytes);
  std::uint64_t fed() const { return fed_; }
  bool bad() const { return bad_at_.has_value(); }
  // After the last byte: what is wrong; nothing: it is the stream.
  std::optional<NoisyFault> Finish();

 private:
  NoisyFault Judge();
  std::optional<NoisyFault> Displaced(std::string_view needle);
  std::uint64_t ChangedBytes();

  NoisySource source_;
  std::uint64_t fed_ = 0;
  std::optional<std::uint64_t> bad_at_;  // offset of the first difference
  std::string behind_;                   // what came from there on
};

}  // namespace waggle::test
