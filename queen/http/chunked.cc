#include "queen/http/chunked.h"

#include <algorithm>

namespace waggle::queen::http {
namespace {

constexpr std::size_t kSizeDigits = 8;  // 4 GiB, beyond any limit of a body

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Size digits, then nothing or an extension. False: it is no such line.
bool ReadSize(std::string_view line, std::uint64_t* size) {
  std::size_t digits = 0;
  *size = 0;
  while (digits < line.size() && HexDigit(line[digits]) >= 0) {
    if (digits == kSizeDigits) return false;
    *size = *size * 16 + static_cast<std::uint64_t>(HexDigit(line[digits++]));
  }
  const std::string_view rest = line.substr(digits);
  return digits > 0 && (rest.empty() || rest[0] == ';' || rest[0] == ' ' || rest[0] == '\t');
}

}  // namespace

std::size_t ChunkedDecoder::Feed(std::string_view in, std::string* body) {
  std::size_t used = 0;
  while (used < in.size() && state_ == State::kMore) {
    if (part_ != Part::kData) {
      Framing(in[used++]);
      continue;
    }
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_, in.size() - used));
    body->append(in.substr(used, size));
    used += size;
    chunk_ -= size;
    body_ += size;
    if (chunk_ == 0) part_ = Part::kDataEnd;
  }
  return used;
}

void ChunkedDecoder::Framing(char c) {
  ++framing_;
  if (part_ == Part::kTrailer) ++trailer_;
  const bool ends = c == '\n';
  const bool after_cr = !line_.empty() && line_.back() == '\r';
  const bool control = static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r' && c != '\n';
  if (ends != after_cr || control || line_.size() >= kLineBytes || trailer_ > kTrailerBytes ||
      framing_ > kFramingBytes + 8 * body_) {
    state_ = State::kBad;
    return;
  }
  if (!ends) {
    line_.push_back(c);
    return;
  }
  line_.pop_back();
  EndLine();
  line_.clear();
}

void ChunkedDecoder::EndLine() {
  if (part_ == Part::kTrailer) {
    if (line_.empty()) state_ = State::kDone;
    return;
  }
  if (part_ == Part::kDataEnd) {
    if (!line_.empty()) state_ = State::kBad;
    part_ = Part::kSize;
    return;
  }
  if (!ReadSize(line_, &chunk_)) {
    state_ = State::kBad;
  } else if (chunk_ > left_) {
    state_ = State::kTooLarge;
  } else {
    left_ -= static_cast<std::size_t>(chunk_);
    part_ = chunk_ == 0 ? Part::kTrailer : Part::kData;
  }
}

}  // namespace waggle::queen::http
