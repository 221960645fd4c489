#include "common/rpc/http_get.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/rpc/dial.h"

namespace waggle::rpc {
namespace {

constexpr std::string_view kScheme = "http://";
constexpr std::size_t kHeadBytes = 16 * 1024;

struct Url {
  std::string authority, host, port = "80", path = "/";
};

absl::StatusOr<Url> ParseUrl(const std::string& text) {
  const auto fault = [&](const char* why) {
    return absl::InvalidArgumentError(
        absl::StrCat("the URL ", Quoted(text), " ", why, ": write http://HOST:PORT/PATH"));
  };
  if (!text.starts_with(kScheme)) return fault("is no http one");
  if (std::any_of(text.begin(), text.end(), [](char c) { return c <= 0x20 || c >= 0x7f; })) {
    return fault("has characters a URL cannot have");
  }
  Url url;
  const std::size_t slash = text.find('/', kScheme.size());
  url.authority = text.substr(kScheme.size(), slash == std::string::npos ? slash : slash - kScheme.size());
  if (slash != std::string::npos) url.path = text.substr(slash);
  if (url.authority.find_first_of("@?#") != std::string::npos || url.path.find('#') != std::string::npos) {
    return fault("has parts that mean nothing here");
  }
  url.host = url.authority;
  const std::size_t colon = url.authority.rfind(':');
  if (colon != std::string::npos && url.authority.back() != ']') {
    url.host = url.authority.substr(0, colon);
    url.port = url.authority.substr(colon + 1);
  }
  if (url.host.size() > 2 && url.host.front() == '[' && url.host.back() == ']') {
    url.host = url.host.substr(1, url.host.size() - 2);
  }
  std::uint32_t port = 0;
  if (!absl::SimpleAtoi(url.port, &port) || port == 0 || port > 65535) return fault("has no port");
  if (url.host.empty()) return fault("has no host");
  return url;
}

absl::Status SendAll(int fd, std::string_view data, Time until) {
  while (!data.empty()) {
    const ssize_t sent = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      data.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EINTR) {
      RETURN_IF_ERROR(AwaitWritable(fd, until, "the server"));
    } else {
      return absl::UnavailableError("the server ended the connection");
    }
  }
  return absl::OkStatus();
}

// Everything until the server closes: the request is of HTTP/1.0, so that is where the answer ends.
absl::StatusOr<std::string> ReadToEnd(int fd, Time until) {
  std::string text;
  for (;;) {
    char buffer[16 * 1024];
    const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
    if (got == 0) return text;
    if (got > 0) {
      text.append(buffer, static_cast<std::size_t>(got));
      if (text.size() > kHttpsAnswerBytes + kHeadBytes) {
        return absl::ResourceExhaustedError("the server's answer is too large: above 64 KiB");
      }
    } else if (errno == EAGAIN || errno == EINTR) {
      RETURN_IF_ERROR(AwaitReadable(fd, until, "the server's answer"));
    } else {
      return absl::UnavailableError("the server cut the connection off");
    }
  }
}

}  // namespace

absl::Status CheckHttpUrl(const std::string& url) {
  return ParseUrl(url).status();
}

absl::StatusOr<HttpsAnswer> HttpGet(const std::string& url, Duration deadline) {
  const Time until = BootClock::now() + deadline;
  ASSIGN_OR_RETURN(const Url to, ParseUrl(url));
  ASSIGN_OR_RETURN(const UniqueFd socket, Dial(to.host, to.port, until));
  RETURN_IF_ERROR(SendAll(
      socket.get(),
      absl::StrCat("GET ", to.path, " HTTP/1.0\r\nHost: ", to.authority, "\r\nConnection: close\r\n\r\n"),
      until));
  ASSIGN_OR_RETURN(const std::string text, ReadToEnd(socket.get(), until));
  const std::size_t head = text.find("\r\n\r\n");
  HttpsAnswer answer;
  const bool http = absl::StartsWith(text, "HTTP/1.") && text.size() > 12 && text[8] == ' ';
  if (!http || head == std::string::npos || !absl::SimpleAtoi(text.substr(9, 3), &answer.status)) {
    return absl::DataLossError("the server's answer is no HTTP");
  }
  answer.body = text.substr(head + 4);
  return answer;
}

}  // namespace waggle::rpc
