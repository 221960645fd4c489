#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/fd.h"

namespace waggle::test {

// A client that may misbehave: TLS in memory, so that a test decides which bytes go out and when. Verifies
// nothing. Every wait ends after kPatience as if the server had closed. One thread.
class TlsPeer {
 public:
  struct Options {
    std::string from = "127.0.0.1";     // source address, for an IPv4 server
    std::string alpn = "\x08http/1.1";  // none: ""
    bool tls12 = false;                 // offers nothing newer
  };
  // What came back: status 0 = the connection ended first.
  struct Reply {
    int status = 0;
    std::map<std::string, std::string> fields;  // names in lower case
    std::string body;
  };

  // Connects to "127.0.0.1:PORT" or "[::1]:PORT"; a failure is a test failure.
  explicit TlsPeer(const std::string& address);
  TlsPeer(const std::string& address, const Options& options);
  ~TlsPeer();
  TlsPeer(TlsPeer&&) noexcept;

  bool Handshake();
  // Plain text in; handshakes first if that was not done. False: the connection is gone.
  bool Send(std::string_view text);
  Reply Read();
  Reply Ask(std::string_view text);  // Send and Read
  // Until the server ends the connection: what it still said.
  std::string ReadToEnd();
  bool properly_closed() const;         // the server said so in TLS
  std::string CertificateName() const;  // the serial number of the server's certificate
  std::string Protocol() const;         // what ALPN chose

  // Below TLS.
  int fd() const;
  std::string Encrypt(std::string_view text);  // the bytes Send would send; the handshake must be over
  std::string Hello();                         // the first bytes of a handshake
  bool SendRaw(std::string_view bytes);
  std::string ReadRawToEnd();                         // says nothing itself
  bool Readable(std::chrono::milliseconds patience);  // something, or the end, has come
  void Reset();                                       // closes at once, with RST

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A connected TCP socket.
UniqueFd ConnectTcp(const std::string& address, const std::string& from = "127.0.0.1");
void ConnectTo(int fd, const std::string& address, const std::string& from = "127.0.0.1");

}  // namespace waggle::test
