#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "queen/http/router.h"

// Reads the head of a request: pure, and strict where two readers could disagree about where a request ends.
namespace waggle::queen::http {

// Why a request is not taken. The connection is closed behind it: what follows cannot be trusted to be a
// request.
struct Refusal {
  int status = 0;           // 4xx or 5xx
  std::string_view detail;  // for the client; static
};

// Looks for the end of a head in bytes that arrive in pieces.
class HeadFinder {
 public:
  // `arrived` is everything since the head began, more at each call. The size of the head with its empty
  // line, nothing while it is not complete, or what is wrong already: NUL bytes, lines that end in LF alone
  // or begin with a blank, kRequestLineBytes, kHeadBytes, kHeadFields.
  std::variant<std::optional<std::size_t>, Refusal> Find(std::string_view arrived);

 private:
  std::size_t looked_ = 0;      // bytes
  std::size_t lines_ = 0;       // complete ones
  std::size_t line_start_ = 0;  // offset of the open line
};

struct Head {
  std::string method, path, query;
  Fields fields;
  std::uint64_t length = 0;  // of the body, in bytes; 0 when it comes in chunks
  bool chunked = false;
  bool keep_alive = false;
  bool expects_continue = false;  // the client waits for "100 Continue" before it sends the body
  bool HasBody() const { return chunked || length > 0; }
};

// `text` is a whole head as HeadFinder measures it. Refused besides what is no HTTP: more than one
// Content-Length or one that is no plain number, Content-Length beside Transfer-Encoding, any transfer coding
// but "chunked" alone, not exactly one Host (HTTP/1.1), versions other than 1.0 and 1.1.
std::variant<Head, Refusal> ParseHead(std::string_view text);

}  // namespace waggle::queen::http
