#include "common/redact/encode.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "common/redact/wipe.h"

namespace waggle::redact {
namespace {

void PutHex(std::string* out, unsigned char byte, Case digits) {
  const char* table = digits == Case::kUpper ? "0123456789ABCDEF" : "0123456789abcdef";
  out->push_back(table[byte >> 4]);
  out->push_back(table[byte & 15]);
}

}  // namespace

std::string Base64(std::string_view in, Alphabet alphabet) {
  std::string out;
  absl::Base64Escape({in.data(), in.size()}, &out);
  if (alphabet == Alphabet::kUrl) {
    for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  }
  return out;
}

std::string Base64Inside(std::string_view in, std::size_t before, Alphabet alphabet) {
  std::string padded;
  padded.reserve(before + in.size());
  padded.append(before, '\0').append(in);
  std::string all = Base64(padded, alphabet);
  const std::size_t first = (before * 8 + 5) / 6, end = padded.size() * 8 / 6;
  std::string out = all.substr(first, end - first);
  Wipe(&padded);
  Wipe(&all);
  return out;
}

std::string Wrapped(std::string_view text, std::size_t columns) {
  std::string out;
  out.reserve(text.size() + text.size() / columns);
  for (std::size_t i = 0; i < text.size(); i += columns) {
    if (i > 0) out.push_back('\n');
    out.append(text.substr(i, columns));
  }
  return out;
}

std::string Hex(std::string_view in, Case digits) {
  std::string out;
  out.reserve(2 * in.size());
  for (unsigned char c : in) PutHex(&out, c, digits);
  return out;
}

std::string Percent(std::string_view in, std::string_view keep, bool plus, Case digits) {
  std::string out;
  out.reserve(3 * in.size());
  for (unsigned char c : in) {
    if (plus && c == ' ') {
      out.push_back('+');
    } else if (absl::ascii_isalnum(c) || keep.find(static_cast<char>(c)) != std::string_view::npos) {
      out.push_back(static_cast<char>(c));
    } else {
      out.push_back('%');
      PutHex(&out, c, digits);
    }
  }
  return out;
}

std::string PercentAll(std::string_view in, Case digits) {
  std::string out;
  out.reserve(3 * in.size());
  for (unsigned char c : in) {
    out.push_back('%');
    PutHex(&out, c, digits);
  }
  return out;
}

Character FirstCharacter(std::string_view in) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(in[i]); };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || in.size() < size) return {0xFFFD, 1};
  char32_t point = first & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {0xFFFD, 1};
    point = point << 6 | (byte(i) & 0x3Fu);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  if (point < kSmallest[size] || point > 0x10FFFF || surrogate) return {0xFFFD, 1};
  return {point, size};
}

std::string Utf16(std::string_view in) {
  std::string out;
  out.reserve(2 * in.size());
  const auto put = [&](char32_t unit) {
    out.push_back(static_cast<char>(unit & 0xFF));
    out.push_back(static_cast<char>(unit >> 8));
  };
  while (!in.empty()) {
    const Character c = FirstCharacter(in);
    if (c.size == 1) {
      put(static_cast<unsigned char>(in[0]));
    } else if (c.point < 0x10000) {
      put(c.point);
    } else {
      put(0xD800 + ((c.point - 0x10000) >> 10));
      put(0xDC00 + ((c.point - 0x10000) & 0x3FF));
    }
    in.remove_prefix(c.size);
  }
  return out;
}

}  // namespace waggle::redact
