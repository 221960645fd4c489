#include "tests/common/redact/naive.h"

#include <algorithm>
#include <cstdlib>

namespace waggle::redact {
namespace {

// Length of the noise at the front of `text`, 0 if there is none.
std::size_t NoiseAt(std::string_view text) {
  if (text.starts_with('\r')) return 1;
  if (!text.starts_with("\x1b[")) return 0;
  const std::size_t end = text.find_first_not_of("0123456789;:", 2);
  if (end == std::string_view::npos || text[end] != 'm' || end + 1 > limits::kEscapeBytes) return 0;
  return end + 1;
}

// Calls found(begin, size) for every place of every pattern.
template <typename Found>
void FindAll(const std::vector<std::string>& patterns, std::string_view text, Found found) {
  for (const std::string& pattern : patterns) {
    for (std::size_t at = text.find(pattern); at != text.npos; at = text.find(pattern, at + 1)) {
      found(at, pattern.size());
    }
  }
}

}  // namespace

std::vector<bool> NaiveCover(const std::vector<std::string>& patterns, std::string_view text) {
  std::vector<bool> covered(text.size());
  const auto cover = [&](std::size_t begin, std::size_t end) {
    std::fill(covered.begin() + static_cast<std::ptrdiff_t>(begin),
              covered.begin() + static_cast<std::ptrdiff_t>(end), true);
  };
  FindAll(patterns, text, [&](std::size_t at, std::size_t size) { cover(at, at + size); });

  std::string shadow;
  std::vector<std::size_t> place;  // of each byte of the shadow in the text
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t noise = NoiseAt(text.substr(i)); noise > 0) {
      i += noise;
    } else {
      place.push_back(i);
      shadow += text[i++];
    }
  }
  FindAll(patterns, shadow, [&](std::size_t at, std::size_t size) {
    const std::size_t begin = place[at], end = place[at + size - 1] + 1;
    if (end - begin <= size + limits::kNoiseBytes) cover(begin, end);
  });
  return covered;
}

std::string NaiveMask(const std::vector<std::string>& patterns, std::string_view text) {
  const std::vector<bool> covered = NaiveCover(patterns, text);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!covered[i]) {
      out += text[i];
    } else if (i == 0 || !covered[i - 1]) {
      out += "***";
    }
  }
  return out;
}

std::vector<std::string> PatternsOf(const std::vector<Secret>& secrets) {
  std::vector<std::string> out;
  for (Pattern& pattern : MakePatterns(secrets, limits::kPatternBytes).patterns) {
    out.push_back(std::move(pattern.bytes));
  }
  return out;
}

std::unique_ptr<const Patterns> Compile(const std::vector<Secret>& secrets) {
  auto patterns = Patterns::Create(secrets);
  if (!patterns.ok()) std::abort();
  return *std::move(patterns);
}

std::vector<Secret> Secrets(const std::vector<std::string>& values) {
  std::vector<Secret> secrets;
  for (const std::string& value : values) secrets.push_back({"S" + std::to_string(secrets.size()), value});
  return secrets;
}

std::string MaskWhole(const Patterns& patterns, std::string_view text) {
  Masker masker(&patterns);
  std::string out(masker.Feed(text));
  out += masker.Flush();
  return out;
}

std::string MaskInPieces(const Patterns& patterns, std::string_view text,
                         const std::vector<std::size_t>& sizes) {
  Masker masker(&patterns);
  std::string out;
  for (std::size_t i = 0; !text.empty(); ++i) {
    // From a block of exactly this size, so that a sanitizer sees any read beyond it.
    const std::size_t size = std::min(sizes[i % sizes.size()], text.size());
    const std::unique_ptr<char[]> piece(new char[size]);
    std::copy_n(text.begin(), size, piece.get());
    out += masker.Feed({piece.get(), size});
    text.remove_prefix(size);
  }
  out += masker.Flush();
  return out;
}

}  // namespace waggle::redact
