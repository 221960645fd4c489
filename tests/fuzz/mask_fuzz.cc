// Masking of secrets: how the output is cut never matters, and what is masked is what the naive way masks.
#include <algorithm>

#include "common/redact/scanner.h"
#include "tests/common/redact/naive.h"
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {
namespace {

using redact::Masker;
using redact::Patterns;
using redact::Secret;

constexpr std::size_t kStream = 4096;  // bytes; the naive way is slow

// Secrets and output of few letters, so that they meet.
std::string Few(std::string_view text, std::size_t size) {
  constexpr std::string_view kLetters = "ababab1[m\r\n\x1b'/ *";
  std::string out(text.substr(0, size));
  for (char& c : out) c = kLetters[static_cast<unsigned char>(c) % kLetters.size()];
  return out;
}

std::vector<Secret> MakeSecrets(Input& in) {
  std::vector<Secret> secrets;
  for (std::size_t n = in.Pick(4); n > 0; --n) {
    const std::size_t kind = in.Pick(3);
    const std::string_view text = in.Text();
    Secret secret{"S" + std::to_string(n), kind == 1 ? Few(text, 24) : std::string(text.substr(0, 80))};
    if (kind == 2 && !secrets.empty()) {  // one around another
      secret.value = "x" + secrets.back().value + secret.value.substr(0, 8) + "y";
    }
    if (redact::CheckSecret(secret.name, secret.value).ok()) secrets.push_back(secret);
  }
  return secrets;
}

// Output that has much to do with the patterns.
std::string MakeStream(Input& in, const std::vector<std::string>& patterns) {
  std::string out;
  const auto pattern = [&]() -> std::string {
    return patterns.empty() ? "none" : patterns[in.U16() % patterns.size()];
  };
  constexpr std::string_view kNoise[] = {"\r", "\x1b[m", "\x1b[1;31m", "\x1b[4:3m\r", "\x1b[", "\x1b[31"};
  const auto noise = [&] { return kNoise[in.Pick(std::size(kNoise))]; };
  while (!in.done() && out.size() < kStream) {
    switch (in.Pick(8)) {
      case 0:
        out += in.Text().substr(0, 64);
        break;
      case 1:
        out += Few(in.Text(), 64);
        break;
      case 2:
        out += noise();
        break;
      case 3: {
        const std::string text = pattern();
        const std::size_t begin = in.U8() % text.size();
        out += text.substr(begin, 1 + in.U8() % text.size());
        break;
      }
      case 4: {
        const std::string text = pattern();
        const std::size_t every = 1 + in.Pick(16);
        for (std::size_t i = 0; i < text.size(); ++i) {
          out += text[i];
          if (i % every == 0) out += noise();
        }
        break;
      }
      default:
        out += pattern();
    }
  }
  return out.substr(0, kStream);
}

std::vector<std::size_t> MakeSizes(Input& in) {
  std::vector<std::size_t> sizes;
  for (unsigned char c : in.Text()) sizes.push_back(c + 1u);
  if (sizes.empty()) sizes.push_back(1);
  return sizes;
}

// Whether so many bytes at the end of `text` may be held back: they, and maybe more in front of them that is
// masked in any case, are the beginning of a pattern.
bool MayHold(const std::vector<std::string>& patterns, std::string_view text, std::size_t held) {
  if (held == 0) return true;
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    for (std::size_t size = held; size < pattern.size() && size <= text.size(); ++size) {
      if (std::string_view(pattern).starts_with(text.substr(text.size() - size))) return true;
    }
    return false;
  });
}

void CheckPieces(const Patterns& patterns, const std::vector<std::string>& list, std::string_view text,
                 const std::vector<std::size_t>& sizes, const std::string& expected) {
  const bool noise = text.find_first_of("\r\x1b") != text.npos;
  const std::size_t bound =
      patterns.longest() + limits::kNoiseBytes + limits::kEscapeBytes;  // of what is held
  Masker masker(&patterns);
  std::string out;
  std::size_t at = 0;
  for (std::size_t i = 0; at < text.size(); ++i) {
    const std::string piece(text.substr(at, sizes[i % sizes.size()]));
    at += piece.size();
    out += masker.Feed(piece);
    Require(masker.held() == 0 || masker.held() < bound, "what is held back has a bound");
    Require(noise || MayHold(list, text.substr(0, at), masker.held()),
            "only the beginning of a pattern is held back");
  }
  out += masker.Flush();
  Require(masker.held() == 0, "the end of a command holds nothing back");
  Require(out == expected, "pieces are masked as the whole is by the naive way");
}

void CheckScanner(const Patterns& patterns, std::string_view text, const std::vector<std::size_t>& sizes,
                  const std::vector<bool>& covered) {
  redact::Scanner scanner(patterns);
  std::string out;
  for (std::size_t i = 0; out.size() < text.size(); ++i) {
    std::string piece(text.substr(out.size(), sizes[i % sizes.size()]));
    scanner.Blank(piece);
    out += piece;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    Require(covered[i] ? out[i] == '*' || (out[i] == text[i] && scanner.late()) : out[i] == text[i],
            "the second look blanks what is covered, and nothing else");
  }
  const bool any = std::ranges::find(covered, true) != covered.end();
  Require(!scanner.names().empty() == any, "what is found has a name");
}

}  // namespace

void Run(std::string_view input) {
  Input in(input);
  const std::vector<Secret> secrets = MakeSecrets(in);
  const auto patterns = Patterns::Create(secrets);
  Require(patterns.ok(), "secrets that passed the check can be compiled");
  const std::vector<std::string> list = redact::PatternsOf(secrets);
  const std::vector<std::size_t> sizes = MakeSizes(in);
  const std::string text = MakeStream(in, list);

  const std::string expected = redact::NaiveMask(list, text);
  Require(redact::MaskWhole(**patterns, text) == expected, "the whole is masked as by the naive way");
  CheckPieces(**patterns, list, text, sizes, expected);

  const std::string ended =
      text + "!";  // no escape sequence is left open, which the second look would not blank
  const std::vector<bool> covered = redact::NaiveCover(list, ended);
  CheckScanner(**patterns, ended, {ended.size()}, covered);
  CheckScanner(**patterns, ended, sizes, covered);
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (std::string_view value : {"hunter22", "abcabc", "first line\nsecond one", "p\xC3\xA4ss'w\"or/d <&>"}) {
    for (int kind = 0; kind < 8; ++kind) {
      std::string seed;
      ByteWriter w(&seed);
      w.U8(3);
      w.U8(0);
      PutText(w, value);
      w.U8(2);
      PutText(w, "around");
      w.U8(1);
      PutText(w, "\x01\x02\x03\x02\x03\x01\x02\x03");
      PutText(w, "\x03\x10\x01");
      for (int i = 0; i < 12; ++i) {
        w.U8(static_cast<std::uint8_t>(i % 3 == 0 ? kind : 5 + i % 3));
        w.U16(static_cast<std::uint16_t>(i * 7));
        if (kind == 3 || kind == 4) w.U16(static_cast<std::uint16_t>(i * 5));
      }
      seeds.push_back(seed);
    }
  }
  return seeds;
}

}  // namespace waggle::fuzz
