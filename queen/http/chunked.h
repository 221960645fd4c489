#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace waggle::queen::http {

// Takes the framing off a chunked body (RFC 9112 section 7.1). Pure. Beast 1.74 has such a decoder too, but
// an assertion of it fails, and with it the process, when "0\r\n\r\n" arrives in pieces.
//
// Extensions and trailers are read over. A line ends in CR LF; framing costs at most kLineBytes a line and
// kTrailerBytes at the end, and a body of n bytes at most kFramingBytes + 8 n of them in all, so that chunks
// of one byte with long extensions are no way to keep the server reading.
class ChunkedDecoder {
 public:
  static constexpr std::size_t kLineBytes = 256;
  static constexpr std::size_t kTrailerBytes = 4096;
  static constexpr std::size_t kFramingBytes = 8192;

  enum class State { kMore, kDone, kTooLarge, kBad };

  // A body above `body_bytes` is kTooLarge as soon as a chunk announces it.
  explicit ChunkedDecoder(std::size_t body_bytes) : left_(body_bytes) {}

  // Appends what is body in `in` to `*body`; returns how many bytes of `in` are used. All of them unless the
  // body ended (what follows is the next request) or failed.
  std::size_t Feed(std::string_view in, std::string* body);
  State state() const { return state_; }

 private:
  enum class Part { kSize, kData, kDataEnd, kTrailer };

  void Framing(char c);  // one byte that is no body
  void EndLine();

  State state_ = State::kMore;
  Part part_ = Part::kSize;
  std::string line_;         // the open line of framing, at most kLineBytes
  std::size_t left_;         // body bytes still allowed
  std::uint64_t chunk_ = 0;  // bytes of this chunk to come
  std::size_t body_ = 0;     // bytes so far
  std::size_t framing_ = 0;  // bytes so far
  std::size_t trailer_ = 0;  // bytes so far
};

}  // namespace waggle::queen::http
