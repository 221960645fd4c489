#include "queen/http/request_head.h"

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace waggle::queen::http {
namespace {

namespace beast = boost::beast;
using beast::http::field;
using Message = beast::http::request<beast::http::empty_body>;

absl::string_view View(beast::string_view text) {
  return {text.data(), text.size()};
}

Refusal OfBeast(const beast::error_code& code) {
  using beast::http::error;
  if (code == error::bad_version) return {505, "only HTTP/1.1 and HTTP/1.0 are spoken here"};
  if (code == error::bad_content_length) return {400, "the Content-Length is not one plain number"};
  if (code == error::bad_transfer_encoding)
    return {400, "Transfer-Encoding beside Content-Length, or given twice"};
  return {400, "this is not an HTTP request"};
}

// The body's length, which decides where the next request begins. Beast takes what is harmless to a server
// alone ("5, 5", unknown codings); behind a proxy that reads it otherwise it is request smuggling.
std::optional<Refusal> ReadFraming(const Message& message, Head* head) {
  const std::size_t lengths = message.count(field::content_length);
  const std::size_t codings = message.count(field::transfer_encoding);
  if (lengths > 1 || (lengths > 0 && codings > 0))
    return Refusal{400, "the length of the body is said more than once"};
  if (codings > 1 || (codings == 1 && message.version() < 11))
    return Refusal{400, "Transfer-Encoding is given twice, or in HTTP/1.0"};
  if (codings == 1) {
    if (!absl::EqualsIgnoreCase(View(message[field::transfer_encoding]), "chunked"))
      return Refusal{501, "the only transfer coding that is understood is `chunked`"};
    head->chunked = true;
  }
  if (lengths == 1) {
    const absl::string_view digits = View(message[field::content_length]);
    const bool plain = digits.find_first_not_of("0123456789") == absl::string_view::npos;
    if (!plain || !absl::SimpleAtoi(digits, &head->length))
      return Refusal{400, "the Content-Length is not one plain number"};
  }
  return std::nullopt;
}

}  // namespace

std::variant<std::optional<std::size_t>, Refusal> HeadFinder::Find(std::string_view arrived) {
  for (; looked_ < arrived.size(); ++looked_) {
    if (looked_ >= kHeadBytes) return Refusal{431, "the request line and the header are above 16 KiB"};
    if (lines_ == 0 && looked_ > kRequestLineBytes + 1)  // the CRLF may follow the last byte that is allowed
      return Refusal{414, "the request line is above 8 KiB"};
    const char c = arrived[looked_];
    if (c == '\0') return Refusal{400, "there is a NUL byte in the request's head"};
    if (lines_ > 0 && looked_ == line_start_ && (c == ' ' || c == '\t'))
      return Refusal{400, "a header field goes on in a second line"};
    if (c != '\n') continue;
    if (looked_ == 0 || arrived[looked_ - 1] != '\r')
      return Refusal{400, "a line of the request's head does not end in CR LF"};
    const bool empty = looked_ - line_start_ == 1;
    line_start_ = looked_ + 1;
    ++lines_;
    if (empty && lines_ == 1) return Refusal{400, "the request begins with an empty line"};
    if (empty) return std::optional<std::size_t>(++looked_);
    if (lines_ > kHeadFields + 1) return Refusal{431, "the request has more than 100 header fields"};
  }
  return std::optional<std::size_t>();
}

std::variant<Head, Refusal> ParseHead(std::string_view text) {
  beast::http::request_parser<beast::http::empty_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(kHeadBytes));
  parser.body_limit(UINT64_MAX);  // lengths are judged by the route's limit; the body is not read here
  beast::error_code error;
  std::size_t used = 0;
  // One step reads the request line, the next the fields.
  while (!error && !parser.is_header_done() && used < text.size())
    used += parser.put(boost::asio::buffer(text.data() + used, text.size() - used), error);
  if (error) return OfBeast(error);
  if (!parser.is_header_done() || used != text.size()) return Refusal{400, "this is not an HTTP request"};

  const Message& message = parser.get();
  Head head;
  head.method = std::string(message.method_string());
  const beast::string_view target = message.target();
  const std::size_t question = target.find('?');
  head.path = std::string(target.substr(0, question));
  if (question != beast::string_view::npos) head.query = std::string(target.substr(question + 1));
  for (const auto& each : message)
    head.fields.emplace_back(std::string(each.name_string()), std::string(each.value()));
  head.keep_alive = message.version() >= 11 && message.keep_alive();
  if (message.version() >= 11 && message.count(field::host) != 1)
    return Refusal{400, "the request must have exactly one Host"};
  if (std::optional<Refusal> refusal = ReadFraming(message, &head)) return *refusal;
  if (message.count(field::expect) > 0) {
    if (!absl::EqualsIgnoreCase(View(message[field::expect]), "100-continue"))
      return Refusal{417, "the only expectation that can be met is `100-continue`"};
    head.expects_continue = message.version() >= 11;
  }
  return head;
}

}  // namespace waggle::queen::http
