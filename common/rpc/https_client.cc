#include "common/rpc/https_client.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/rpc/dial.h"
#include "common/rpc/tls_wire.h"

namespace waggle::rpc {
namespace {

constexpr std::size_t kHeadBytes = 16 * 1024;  // of an answer; ours have 200 bytes
constexpr std::size_t kPinDigits = 64;

struct Url {
  std::string authority;  // as written: "queen.example:7875", "[::1]:7875"
  std::string host;       // without brackets
  std::string port;
  std::string path;  // with the query
};

bool IsPlain(std::string_view text) {  // printable ASCII without the space: safe in a request's head
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

absl::StatusOr<Url> ParseUrl(const std::string& text) {
  const auto fault = [&](const char* why) {
    return absl::InvalidArgumentError(
        absl::StrCat("the URL ", Quoted(text), " ", why, ": write https://HOST:PORT/PATH"));
  };
  constexpr std::string_view kScheme = "https://";
  if (!text.starts_with(kScheme)) return fault("is no https one");
  if (!IsPlain(text)) return fault("has characters a URL cannot have");
  Url url;
  const std::size_t slash = text.find('/', kScheme.size());
  if (slash == std::string::npos) return fault("has no path");
  url.authority = text.substr(kScheme.size(), slash - kScheme.size());
  url.path = text.substr(slash);
  if (url.authority.find_first_of("@?#") != std::string::npos || url.path.find('#') != std::string::npos)
    return fault("has parts that mean nothing here");
  const std::size_t colon = url.authority.rfind(':');
  if (colon == std::string::npos || url.authority.back() == ']') return fault("has no port");
  url.host = url.authority.substr(0, colon);
  url.port = url.authority.substr(colon + 1);
  const bool bracketed = url.host.size() > 2 && url.host.front() == '[' && url.host.back() == ']';
  if (bracketed) url.host = url.host.substr(1, url.host.size() - 2);
  // OpenSSL takes a leading dot for "any name below".
  if (url.host.empty() || url.host.front() == '.' || (url.host.find(':') != std::string::npos) != bracketed)
    return fault("has no host");
  std::uint32_t port = 0;
  const bool digits = url.port.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || !absl::SimpleAtoi(url.port, &port) || port == 0 || port > 65535)
    return fault("has no port between 1 and 65535");
  return url;
}

absl::StatusOr<std::string> ParsePin(std::string_view text) {
  std::string pin(text);
  for (char& c : pin) c = absl::ascii_tolower(static_cast<unsigned char>(c));
  if (pin.size() != kPinDigits || pin.find_first_not_of("0123456789abcdef") != std::string::npos)
    return absl::InvalidArgumentError(
        absl::StrCat("the pin ", Quoted(text), " is not 64 hex digits: copy it whole from the queen"));
  return pin;
}

absl::Status NoHttp(const char* why) {
  return absl::DataLossError(absl::StrCat("the server's answer is no HTTP that is understood here: ", why,
                                          ": check that this is the queen's HTTP port"));
}

struct AnswerHead {
  int status = 0;
  std::optional<std::uint64_t> length;  // nothing: the body ends with the connection
};

// `text` is the head without its empty line.
absl::StatusOr<AnswerHead> ParseHead(const std::string& text) {
  const std::vector<absl::string_view> lines = absl::StrSplit(text, "\r\n");
  const absl::string_view first = lines.front();  // "HTTP/1.1 200 OK"
  AnswerHead head;
  const bool http = absl::StartsWith(first, "HTTP/1.") && first.size() >= 12 && first[8] == ' ';
  const bool ends = first.size() == 12 || (first.size() > 12 && first[12] == ' ');
  if (!http || !ends || !absl::SimpleAtoi(first.substr(9, 3), &head.status) || head.status < 200 ||
      head.status > 599)
    return NoHttp("the status line is malformed");
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(lines[i], absl::MaxSplits(':', 1));
    if (absl::EqualsIgnoreCase(field.first, "Transfer-Encoding")) return NoHttp("it comes with a coding");
    if (!absl::EqualsIgnoreCase(field.first, "Content-Length")) continue;
    const absl::string_view digits = absl::StripAsciiWhitespace(field.second);
    std::uint64_t length = 0;
    const bool plain = digits.find_first_not_of("0123456789") == absl::string_view::npos;
    if (head.length || !plain || !absl::SimpleAtoi(digits, &length)) return NoHttp("its length is malformed");
    head.length = length;
  }
  return head;
}

absl::Status TooLarge() {
  return absl::ResourceExhaustedError("the server's answer is too large: above 64 KiB");
}

absl::StatusOr<HttpsAnswer> ReadAnswer(TlsWire& wire) {
  std::string text;
  std::optional<AnswerHead> head;
  std::size_t body = 0;  // offset
  for (;;) {
    if (!head) {
      const std::size_t end = text.find("\r\n\r\n");
      if (end == std::string::npos && text.size() > kHeadBytes) return NoHttp("its header is above 16 KiB");
      if (end != std::string::npos) {
        ASSIGN_OR_RETURN(head, ParseHead(text.substr(0, end)));
        body = end + 4;
        if (head->length.value_or(0) > kHttpsAnswerBytes) return TooLarge();
      }
    }
    if (head && head->length && text.size() - body >= *head->length)
      return HttpsAnswer{head->status, text.substr(body, static_cast<std::size_t>(*head->length))};
    if (head && text.size() - body > kHttpsAnswerBytes) return TooLarge();
    char buffer[16 * 1024];
    ASSIGN_OR_RETURN(const std::size_t n, wire.Read(buffer, sizeof buffer));
    if (n == 0 && head && !head->length) return HttpsAnswer{head->status, text.substr(body)};
    if (n == 0)
      return absl::UnavailableError(
          "cut off: the server ended the connection before its answer was complete: try again");
    text.append(buffer, n);
  }
}

}  // namespace

absl::StatusOr<HttpsAnswer> Post(const std::string& url, std::string_view body, std::string_view content_type,
                                 std::string_view pin, Duration deadline) {
  const Time until = BootClock::now() + deadline;
  ASSIGN_OR_RETURN(const Url to, ParseUrl(url));
  ASSIGN_OR_RETURN(const std::string wanted, ParsePin(pin));
  if (content_type.empty() || FindBadByte(content_type, /*printable=*/true) ||
      content_type.find_first_of("\r\n") != std::string_view::npos)
    return absl::InvalidArgumentError("the content type of the request is malformed");

  ASSIGN_OR_RETURN(UniqueFd socket, Dial(to.host, to.port, until));
  ASSIGN_OR_RETURN(const std::unique_ptr<TlsWire> wire,
                   TlsWire::Handshake(std::move(socket), to.host, wanted, until));
  std::string request = absl::StrCat("POST ", to.path, " HTTP/1.1\r\nHost: ", to.authority,
                                     "\r\nContent-Type: ", std::string(content_type),
                                     "\r\nContent-Length: ", body.size(), "\r\nConnection: close\r\n\r\n");
  request.append(body);
  const absl::Status sent = wire->Write(request);
  if (!sent.ok() && !absl::IsUnavailable(sent)) return sent;
  // A server that refused the request early may have closed behind its answer: that says more.
  absl::StatusOr<HttpsAnswer> answer = ReadAnswer(*wire);
  return !answer.ok() && !sent.ok() ? sent : answer;
}

}  // namespace waggle::rpc
