#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/clock.h"

namespace waggle::rpc {

struct HttpsAnswer {
  int status = 0;    // 200 to 599
  std::string body;  // at most kHttpsAnswerBytes
};

inline constexpr std::size_t kHttpsAnswerBytes = 64 * 1024;  // of the body; the header has 16 KiB more

// One POST over TLS 1.3 to a server that is known by its pin alone; blocks for `deadline` at most, name
// resolution included. `url` is https://HOST:PORT/PATH, HOST a name, an IPv4 address or an [IPv6] one. `pin`
// is the SHA-256 of the SubjectPublicKeyInfo of the server's CA, 64 hex digits.
//
// Nothing is sent but the TLS handshake until the server has proved itself: the last certificate it sends is
// a CA with that pin; the first is signed by it, is meant for servers, names HOST, and both are valid now.
//
// Any answer of the server is an answer, whatever its status. Errors say what to do; their codes:
//   InvalidArgument     the URL, the pin or the content type is malformed
//   Unavailable         cannot resolve, refused, unreachable, cut off: may be tried again
//   DeadlineExceeded    timed out
//   PermissionDenied    the certificate does not match the pin: another server, or one in between
//   FailedPrecondition  the pin matches, but the certificate is expired, has another name, …; or the peer
//                       speaks no TLS 1.3
//   ResourceExhausted   the answer is too large
//   DataLoss            the answer is no HTTP
absl::StatusOr<HttpsAnswer> Post(const std::string& url, std::string_view body, std::string_view content_type,
                                 std::string_view pin, Duration deadline);

}  // namespace waggle::rpc
