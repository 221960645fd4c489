// Networks of their own, with real TCP across the cable. Skipped, with the reason, where none can be made.
#include "tests/support/net_namespace.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>
#include <optional>

#include "tests/support/chaos_proxy.h"
#include "tests/support/child.h"
#include "tests/support/stream_socket.h"
#include "tests/support/temp_dir.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;
using From = NetNamespace::From;

constexpr Millis kQuiet = 400ms;  // two retransmissions at least

class Namespace : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const absl::Status available = NetNamespace::Available(); !available.ok()) {
      GTEST_SKIP() << "SKIPPED, nothing was tested: " << available.message();
    }
    net_ = *NetNamespace::Create();
  }

  // A connection from inside to a listener on the host.
  void Join() {
    const SocketAddress any = *SocketAddress::Parse("tcp:" + net_->host_ip() + ":0");
    listener_ = *ListenAt(any);
    net_->Inside([&] { inner_ = *ConnectTo(any.WithPort(PortOf(listener_))); });
    pollfd ready{listener_.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 10'000), 1);
    host_ = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    SetNoDelay(host_);
    SetNoDelay(inner_);
  }
  static void Send(const UniqueFd& from, std::string_view bytes) {
    EXPECT_EQ(::send(from.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  static bool Hears(const UniqueFd& socket, Millis patience) {
    pollfd ready{socket.get(), POLLIN, 0};
    return ::poll(&ready, 1, static_cast<int>(patience.count())) == 1;
  }
  static std::string Receive(const UniqueFd& to, std::size_t size) {
    std::string bytes(size, '\0');
    if (!Hears(to, 30s)) return "(nothing)";
    bytes.resize(
        static_cast<std::size_t>(std::max<ssize_t>(0, ::recv(to.get(), bytes.data(), size, MSG_WAITALL))));
    return bytes;
  }
  void ExpectWhole() {
    Send(inner_, "ping");
    EXPECT_EQ(Receive(host_, 4), "ping");
    Send(host_, "pong");
    EXPECT_EQ(Receive(inner_, 4), "pong");
  }

  std::unique_ptr<NetNamespace> net_;
  UniqueFd listener_, inner_, host_;
};

TEST_F(Namespace, CarriesBytesAcrossTheCable) {
  Join();
  ExpectWhole();
}

TEST_F(Namespace, BothWaysDropInSilenceAndHeal) {
  Join();
  ExpectWhole();
  ASSERT_TRUE(net_->DropBothWays().ok());
  Send(inner_, "late");
  Send(host_, "tale");
  EXPECT_FALSE(Hears(host_, kQuiet));
  EXPECT_FALSE(Hears(inner_, kQuiet));  // no error either: both sockets are as they were
  ASSERT_TRUE(net_->Heal().ok());
  EXPECT_EQ(Receive(host_, 4), "late");  // TCP sends it again
  EXPECT_EQ(Receive(inner_, 4), "tale");
  ExpectWhole();
}

TEST_F(Namespace, OneWayDropsAndTheOtherDelivers) {
  Join();
  ExpectWhole();
  for (From from : {From::kInside, From::kHost}) {
    const UniqueFd& dead = from == From::kInside ? inner_ : host_;
    const UniqueFd& live = from == From::kInside ? host_ : inner_;
    ASSERT_TRUE(net_->DropOneWay(from).ok());
    Send(live, "heard");
    EXPECT_EQ(Receive(dead, 5), "heard");
    Send(dead, "lost");
    EXPECT_FALSE(Hears(live, kQuiet));
    ASSERT_TRUE(net_->Heal().ok());
    EXPECT_EQ(Receive(live, 4), "lost");
    ExpectWhole();  // acknowledged both ways: TCP that still misses an answer sends nothing new
  }
}

TEST_F(Namespace, NewConnectionsWaitInSilenceToo) {
  const SocketAddress any = *SocketAddress::Parse("tcp:" + net_->host_ip() + ":0");
  listener_ = *ListenAt(any);
  ASSERT_TRUE(net_->DropOneWay(From::kInside).ok());
  absl::StatusOr<Connecting> started;
  net_->Inside([&] { started = StartConnect(any.WithPort(PortOf(listener_))); });
  ASSERT_TRUE(started.ok()) << started.status();
  EXPECT_EQ(started->state, Connecting::State::kPending);
  pollfd connected{started->fd.get(), POLLOUT, 0};
  EXPECT_EQ(::poll(&connected, 1, static_cast<int>(kQuiet.count())), 0);
  ASSERT_TRUE(net_->Heal().ok());
  EXPECT_EQ(::poll(&connected, 1, 30'000), 1);
  EXPECT_TRUE(Hears(listener_, 30s));
}

TEST_F(Namespace, ProcessesStartedInsideStayInside) {
  TempDir temp;
  std::optional<Child> child;
  net_->Inside([&] {
    child.emplace(Child::Spec{.argv = {"ip", "-4", "-o", "address", "show", "dev", "eth0"},
                              .env = {{"PATH", std::getenv("PATH")}},
                              .log = temp / "log"});
  });
  const Outcome outcome = child->Finish();
  EXPECT_EQ(outcome.code, 0) << outcome;
  EXPECT_THAT(outcome.out, HasSubstr(net_->inner_ip() + "/30"));
}

// How a drone that knows only Unix sockets gets a network between itself and the queen: a proxy of its
// namespace, the cable, a proxy here.
TEST_F(Namespace, ProxiesBridgeUnixSocketsOverTheCable) {
  TempDir temp;
  UniqueFd queen = *ListenAt(*SocketAddress::Parse("unix:" + temp / "queen"));
  const auto here = *ChaosProxy::Create({"tcp:" + net_->host_ip() + ":0"}, "unix:" + temp / "queen");
  std::unique_ptr<ChaosProxy> there;
  net_->Inside([&] {
    there = *ChaosProxy::Create({"unix:" + temp / "drone"},
                                "tcp:" + net_->host_ip() + ":" + std::to_string(here->port()));
  });
  inner_ = *ConnectTo(*SocketAddress::Parse("unix:" + temp / "drone"));
  ASSERT_TRUE(Hears(queen, 30s));
  host_ = UniqueFd(::accept4(queen.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ExpectWhole();
  ASSERT_TRUE(net_->DropBothWays().ok());
  Send(inner_, "late");
  EXPECT_FALSE(Hears(host_, kQuiet));
  ASSERT_TRUE(net_->Heal().ok());
  EXPECT_EQ(Receive(host_, 4), "late");
}

TEST_F(Namespace, SeveralStandBesideEachOtherAndLeaveNothing) {
  std::string cables[2];
  {
    const auto a = *NetNamespace::Create();
    const auto b = *NetNamespace::Create();
    EXPECT_NE(a->host_ip(), b->host_ip());
    EXPECT_NE(a->host_ip(), net_->host_ip());
    cables[0] = "/sys/class/net/" + a->cable();
    cables[1] = "/sys/class/net/" + b->cable();
    for (const std::string& cable : cables) EXPECT_TRUE(Exists(cable)) << cable;
  }
  for (const std::string& cable : cables) EXPECT_FALSE(Exists(cable)) << cable;
}

}  // namespace
}  // namespace waggle::test
