#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/child.h"

namespace waggle::test {

// Frames of HTTP/2 (RFC 9113) and fields of HPACK (RFC 7541), written by hand so that they may be wrong.
namespace http2 {

enum Type : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindow = 8,
  kContinuation = 9,
};
inline constexpr std::uint8_t kAck = 1, kEndStream = 1, kEndHeaders = 4;

struct Frame {
  std::uint8_t type = 0, flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
};

std::string Bytes(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = "");
// HPACK's integer: `n` behind `bits` bits of prefix, whose other bits are `first`.
std::string Number(std::uint64_t n, int bits, std::uint8_t first = 0);
// A field that is not indexed, without Huffman coding.
std::string Field(std::string_view name, std::string_view value);
// The fields of a gRPC request, before any of the caller's.
std::string Request(std::string_view path, std::string_view te = "trailers",
                    std::string_view scheme = "http");
// A gRPC message: a flag, a length that may be a lie, and bytes.
std::string Message(std::string_view bytes, std::uint32_t length, bool compressed = false);
std::string Message(std::string_view bytes);
// The code of a RST_STREAM.
std::string ResetCode(std::uint32_t code);

}  // namespace http2

// A client of a gRPC server that says what it is told to, byte by byte; hears meanwhile whatever comes, so
// that no flood waits for itself. Verifies nothing. One thread.
class Http2Peer {
 public:
  // Over a Unix socket, or TLS 1.3 with a certificate and its key (PEM; none: "").
  static std::unique_ptr<Http2Peer> OverSocket(const std::string& path);
  static std::unique_ptr<Http2Peer> OverTls(const std::string& address, const std::string& key = "",
                                            const std::string& certificate = "");
  ~Http2Peer();

  // Whether the connection can still be written to, as far as is known.
  bool open() const;
  // Preface and SETTINGS; waits for those of the server and, a good client, acknowledges them. False: the
  // server says nothing.
  bool Greet(bool acknowledge = true);
  // False: the connection ended, or nothing went out within `patience`.
  bool Send(std::string_view bytes, Millis patience = std::chrono::seconds(10));
  // DATA as the flow control of the server allows it; answers her pings meanwhile. False: as Send, no room
  // for 2 s, or she ended the stream.
  bool SendData(std::uint32_t stream, std::string_view bytes, std::uint8_t flags = 0);
  // Waits for a frame that matches, from the first one ever heard.
  bool Hears(const std::function<bool(const http2::Frame&)>& match,
             Millis patience = std::chrono::seconds(10));
  bool AnswersPing();
  bool Ends(Millis patience = std::chrono::seconds(10));  // the server closes the connection
  void Reset();                                           // closes at once; TCP with RST

  std::vector<http2::Frame> Heard() const;
  std::size_t heard_bytes() const;
  // The grpc-status heard first; -1: none within the patience of Hears.
  int Status();

 private:
  struct Impl;
  explicit Http2Peer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::test
