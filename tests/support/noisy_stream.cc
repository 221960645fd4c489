#include "tests/support/noisy_stream.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace waggle::test {
namespace {

constexpr std::uint64_t kPhi = 0x9E37'79B9'7F4A'7C15;
constexpr std::size_t kKinds = static_cast<std::size_t>(NoisyContent::kMixed);
constexpr std::size_t kKeepBehind = 1024 * 1024;              // of what came behind the first difference
constexpr std::uint64_t kSearchAround = 16ull * 1024 * 1024;  // bytes before and behind it, for its origin
constexpr std::size_t kNeedle = 32;  // bytes of any content that do not stand twice in 32 MiB
constexpr std::size_t kShortestNeedle = 8;

constexpr std::string_view kContentNames[] = {"no-newline", "long-lines", "short-lines", "nul",
                                              "bad-utf8",   "multibyte",  "ansi",        "mixed"};

constexpr std::uint64_t Mixed(std::uint64_t z) {  // splitmix64
  z = (z ^ (z >> 30)) * 0xBF58'476D'1CE4'E5B9;
  z = (z ^ (z >> 27)) * 0x94D0'49BB'1331'11EB;
  return z ^ (z >> 31);
}

// 256 entries, so that a random byte is an index; those of a "newline every so many bytes" hold it so many
// times.
using Table = std::array<char, 256>;

Table Printable(int newlines) {
  Table table;
  for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = static_cast<char>(' ' + i % 95);
  for (int i = 0; i < newlines; ++i) table[static_cast<std::size_t>(i * (256 / newlines))] = '\n';
  return table;
}

Table WithNul() {
  Table table;
  for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = static_cast<char>(i % 4 == 0 ? 0 : i);
  return table;
}

Table BadUtf8() {
  Table table;
  for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = static_cast<char>(0x80 | i);
  for (int i = 0; i < 8; ++i) table[static_cast<std::size_t>(i * 32)] = '\n';
  return table;
}

const Table& TableOf(NoisyContent content) {
  static const Table plain = Printable(0), lines = Printable(10), nul = WithNul(), bad = BadUtf8();
  switch (content) {
    case NoisyContent::kNul:
      return nul;
    case NoisyContent::kBadUtf8:
      return bad;
    case NoisyContent::kShortLines:
      return lines;
    default:
      return plain;
  }
}

// Random numbers of one chunk, each from its place alone.
class Words {
 public:
  Words(const NoisyPlan& plan, std::uint64_t chunk)
      : seed_(Mixed(Mixed(plan.key * kPhi + static_cast<std::uint64_t>(plan.stream) + 1) + chunk * kPhi)) {}
  std::uint64_t Next() { return Mixed(seed_ += kPhi); }

 private:
  std::uint64_t seed_;
};

void FillFromTable(Words words, const Table& table, char* out) {
  for (std::size_t at = 0; at < kNoisyChunk; at += 8) {
    std::uint64_t word = words.Next();
    for (std::size_t i = 0; i < 8; ++i, word >>= 8) out[at + i] = table[word & 0xFF];
  }
}

// U+4000 … U+7FFF: three bytes each; the rest of the chunk, shorter than a character, is one of two dots.
void FillMultibyte(Words words, char* out) {
  std::size_t at = 0;
  while (at + 3 <= kNoisyChunk) {
    std::uint64_t word = words.Next();
    for (int i = 0; i < 4 && at + 3 <= kNoisyChunk; ++i, word >>= 16, at += 3) {
      const auto code = static_cast<std::uint32_t>(0x4000 | (word & 0x3FFF));
      out[at] = static_cast<char>(0xE0 | (code >> 12));
      out[at + 1] = static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      out[at + 2] = static_cast<char>(0x80 | (code & 0x3F));
    }
  }
  while (at < kNoisyChunk) out[at++] = '.';
}

void FillAnsi(Words words, char* out) {
  constexpr std::string_view kSequences[] = {"\x1b[31m",       "\x1b[0m", "\x1b[1;32m", "\x1b[2K\r",
                                             "\x1b[38;5;208m", "\r",      "\n",         "\x1b]0;title\x07"};
  const Table& letters = TableOf(NoisyContent::kNoNewline);
  std::size_t at = 0;
  while (at < kNoisyChunk) {
    std::uint64_t word = words.Next();
    std::string_view sequence = kSequences[word & 7];
    word >>= 3;
    char text[6];
    for (char& c : text) {
      c = letters[word & 0xFF];
      word >>= 8;
    }
    for (std::string_view part : {sequence, std::string_view(text, sizeof text)}) {
      const std::size_t size = std::min(part.size(), kNoisyChunk - at);
      std::memcpy(out + at, part.data(), size);
      at += size;
    }
  }
}

NoisyContent ContentOf(const NoisyPlan& plan, std::uint64_t chunk) {
  if (plan.content != NoisyContent::kMixed) return plan.content;
  const std::uint64_t first = Mixed(plan.key + static_cast<std::uint64_t>(plan.stream));
  return static_cast<NoisyContent>((first % kKinds + chunk / (kNoisySection / kNoisyChunk)) % kKinds);
}

}  // namespace

std::optional<NoisyContent> NoisyContentOf(std::string_view name) {
  const auto* found = std::find(std::begin(kContentNames), std::end(kContentNames), name);
  if (found == std::end(kContentNames)) return std::nullopt;
  return static_cast<NoisyContent>(found - std::begin(kContentNames));
}

std::optional<NoisyStream> NoisyStreamOf(std::string_view name) {
  if (name == "stdout") return NoisyStream::kStdout;
  if (name == "stderr") return NoisyStream::kStderr;
  return std::nullopt;
}

void NoisySource::Make(std::uint64_t chunk) {
  chunk_ = chunk;
  Words words(plan_, chunk);
  const NoisyContent content = ContentOf(plan_, chunk);
  if (content == NoisyContent::kMultibyte) return FillMultibyte(words, bytes_.data());
  if (content == NoisyContent::kAnsi) return FillAnsi(words, bytes_.data());
  FillFromTable(words, TableOf(content), bytes_.data());
  if (content != NoisyContent::kLongLines) return;
  const std::uint64_t begin = chunk * kNoisyChunk;
  const std::uint64_t newline = begin / kNoisyLongLine * kNoisyLongLine + kNoisyLongLine - 1;
  if (newline < begin + kNoisyChunk) bytes_[newline - begin] = '\n';
}

std::string_view NoisySource::At(std::uint64_t offset) {
  if (offset >= plan_.bytes) return {};
  if (const std::uint64_t chunk = offset / kNoisyChunk; chunk != chunk_) Make(chunk);
  const std::size_t at = offset % kNoisyChunk;
  return {bytes_.data() + at,
          static_cast<std::size_t>(std::min<std::uint64_t>(kNoisyChunk - at, plan_.bytes - offset))};
}

std::string NoisySource::Copy(std::uint64_t offset, std::size_t size) {
  std::string copy;
  while (copy.size() < size) {
    const std::string_view some = At(offset + copy.size());
    if (some.empty()) break;
    copy.append(some.substr(0, size - copy.size()));
  }
  return copy;
}

NoisySizes::NoisySizes(std::uint64_t key, std::size_t most) : state_(Mixed(key ^ kPhi)), most_(most) {}

std::uint64_t NoisySizes::Random() {
  return Mixed(state_ += kPhi);
}

std::size_t NoisySizes::Next() {
  const std::uint64_t random = Random();
  std::size_t magnitudes = 1;
  while ((std::size_t{1} << magnitudes) < most_) ++magnitudes;
  const std::size_t limit = std::min(most_, std::size_t{1} << (random % (magnitudes + 1)));
  return 1 + (random >> 8) % limit;
}

std::size_t NoisySizes::Choose(const std::vector<std::uint64_t>& weights) {
  std::uint64_t sum = 0;
  for (std::uint64_t weight : weights) sum += weight;
  std::uint64_t at = sum == 0 ? 0 : Random() % sum;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (at < weights[i]) return i;
    at -= weights[i];
  }
  return 0;
}

std::string_view Name(NoisyFault::Kind kind) {
  constexpr std::string_view kNames[] = {"lost", "doubled", "swapped", "changed", "short", "long"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string Text(const NoisyFault& fault) {
  return absl::StrCat(std::string(Name(fault.kind)), ": ", fault.count, " bytes at byte ", fault.offset);
}

void NoisyChecker::Feed(std::string_view bytes) {
  while (!bytes.empty() && !bad_at_) {
    const std::string_view expected = source_.At(fed_);
    if (expected.empty()) {
      bad_at_ = fed_;  // more than there is
      break;
    }
    const std::size_t size = std::min(bytes.size(), expected.size());
    if (std::memcmp(bytes.data(), expected.data(), size) != 0) {
      const auto at = static_cast<std::size_t>(
          std::mismatch(bytes.begin(), bytes.begin() + static_cast<long>(size), expected.begin()).first -
          bytes.begin());
      fed_ += at;
      bytes.remove_prefix(at);
      bad_at_ = fed_;
      break;
    }
    fed_ += size;
    bytes.remove_prefix(size);
  }
  if (!bad_at_) return;
  fed_ += bytes.size();
  behind_.append(bytes.substr(0, kKeepBehind - std::min(kKeepBehind, behind_.size())));
}

std::optional<NoisyFault> NoisyChecker::Finish() {
  const std::uint64_t total = source_.plan().bytes;
  if (bad_at_) return Judge();
  if (fed_ < total) return NoisyFault{NoisyFault::Kind::kShort, fed_, total - fed_};
  return std::nullopt;
}

NoisyFault NoisyChecker::Judge() {
  const std::uint64_t total = source_.plan().bytes;
  const std::string_view needle = std::string_view(behind_).substr(0, kNeedle);
  if (needle.size() >= kShortestNeedle) {
    if (std::optional<NoisyFault> displaced = Displaced(needle)) return *displaced;
  }
  if (*bad_at_ >= total) return {NoisyFault::Kind::kLong, *bad_at_, fed_ - total};
  return {NoisyFault::Kind::kChanged, *bad_at_, ChangedBytes()};
}

// Whether what came belongs to another place of the stream.
std::optional<NoisyFault> NoisyChecker::Displaced(std::string_view needle) {
  const std::uint64_t bad = *bad_at_;
  const std::uint64_t begin = bad - std::min(bad, kSearchAround);
  const std::string before = source_.Copy(begin, static_cast<std::size_t>(bad - begin) + kNeedle);
  const std::string after = source_.Copy(bad, kSearchAround);
  if (const std::size_t found = after.find(needle, 1); found != std::string::npos) {
    // Later bytes: either those between are gone, or they come behind these.
    const auto [seen, unused] =
        std::mismatch(behind_.begin(), behind_.end(), after.begin() + static_cast<long>(found), after.end());
    const std::string_view rest =
        std::string_view(behind_).substr(static_cast<std::size_t>(seen - behind_.begin()));
    const std::size_t compared = std::min({rest.size(), kNeedle, found});
    const bool comes =
        compared > 0 && rest.substr(0, compared) == std::string_view(after).substr(0, compared);
    return NoisyFault{comes ? NoisyFault::Kind::kSwapped : NoisyFault::Kind::kLost, bad, found};
  }
  if (const std::size_t found = before.rfind(needle); found != std::string::npos && begin + found < bad) {
    return NoisyFault{NoisyFault::Kind::kDoubled, bad, bad - begin - found};
  }
  return std::nullopt;
}

// From the first to the last byte that differs, of those that were kept.
std::uint64_t NoisyChecker::ChangedBytes() {
  const std::string expected = source_.Copy(*bad_at_, behind_.size());
  std::uint64_t last = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i] != behind_[i]) last = i + 1;
  }
  return last;
}

}  // namespace waggle::test
