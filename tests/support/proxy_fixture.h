#pragma once

#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "tests/support/chaos_proxy.h"
#include "tests/support/stream_socket.h"
#include "tests/support/temp_dir.h"

namespace waggle::test {

inline constexpr std::size_t kMiB = 1024 * 1024;
inline constexpr Millis kQuiet = 150ms;  // so long nothing may be heard

// One end of a connection, blocking with a deadline.
class End {
 public:
  explicit End(UniqueFd fd) : fd_(std::move(fd)) {}

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // Sends until there was no room for a while; how much that was.
  std::size_t Fill() {
    const std::string block(64 * 1024, 'x');
    std::size_t total = 0;
    for (pollfd room{fd_.get(), POLLOUT, 0}; ::poll(&room, 1, static_cast<int>(kQuiet.count())) == 1;) {
      const ssize_t sent = ::send(fd_.get(), block.data(), block.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) break;
      total += static_cast<std::size_t>(sent);
    }
    return total;
  }
  // Up to `most` bytes; fewer at the end of the stream, a reset or the deadline.
  std::string Receive(std::size_t most) {
    std::string bytes, buffer(256 * 1024, '\0');
    while (bytes.size() < most && Readable(30s)) {
      const ssize_t got = ::recv(fd_.get(), buffer.data(), std::min(buffer.size(), most - bytes.size()), 0);
      if (got <= 0) {
        over_ = true;
        reset_ = got < 0 && errno == ECONNRESET;
        break;
      }
      bytes.append(buffer, 0, static_cast<std::size_t>(got));
    }
    return bytes;
  }
  std::string ReceiveSome() {
    std::string buffer(4096, '\0');
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    over_ = got <= 0;
    buffer.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return buffer;
  }
  std::string ReceiveAll() { return Receive(std::string::npos); }  // over() afterwards, or the deadline was
  bool Quiet() { return !Readable(kQuiet); }                       // no byte, no end
  bool over() const { return over_; }
  bool reset() const { return reset_; }
  void Shut() { ::shutdown(fd_.get(), SHUT_WR); }
  void Close() { fd_.Reset(); }

 private:
  bool Readable(Millis patience) {
    pollfd ready{fd_.get(), POLLIN, 0};
    return ::poll(&ready, 1, static_cast<int>(patience.count())) == 1;
  }

  UniqueFd fd_;
  bool over_ = false, reset_ = false;
};

struct Ends {
  End client, target;

  End& sender(Way way) { return way == Way::kUp ? client : target; }
  End& receiver(Way way) { return way == Way::kUp ? target : client; }
};

// With a proxy between two Unix sockets, or two of TCP. Its suite is instantiated in
// chaos_proxy_test.cc.
class Proxy : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const bool tcp = std::string(GetParam()) == "tcp";
    const SocketAddress at = *SocketAddress::Parse(tcp ? "tcp:127.0.0.1:0" : "unix:" + temp_ / "target");
    target_ = *ListenAt(at);
    proxy_ = *ChaosProxy::Create({tcp ? "tcp:127.0.0.1:0" : "unix:" + temp_ / "proxy"},
                                 at.WithPort(PortOf(target_)).text());
    address_ =
        SocketAddress::Parse(tcp ? "tcp:127.0.0.1:1" : "unix:" + temp_ / "proxy")->WithPort(proxy_->port());
  }

  bool tcp() const { return address_->is_tcp(); }
  End Connect() { return End(*ConnectTo(*address_)); }
  bool SomebodyConnects(Millis patience = 30s) {
    pollfd ready{target_.get(), POLLIN, 0};
    return ::poll(&ready, 1, static_cast<int>(patience.count())) == 1;
  }
  End Accept() {
    EXPECT_TRUE(SomebodyConnects());
    return End(UniqueFd(::accept4(target_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }
  Ends Open() {
    End client = Connect();
    return {std::move(client), Accept()};
  }
  // Both directions carry bytes.
  static void ExpectAlive(Ends& ends) {
    EXPECT_TRUE(ends.client.Send("ping"));
    EXPECT_EQ(ends.target.Receive(4), "ping");
    EXPECT_TRUE(ends.target.Send("pong"));
    EXPECT_EQ(ends.client.Receive(4), "pong");
  }
  static Faults Only(Way way, const WayFaults& faults) {
    return way == Way::kUp ? Faults{.up = faults} : Faults{.down = faults};
  }

  TempDir temp_;
  UniqueFd target_;
  std::unique_ptr<ChaosProxy> proxy_;
  std::optional<SocketAddress> address_;
};

}  // namespace waggle::test
