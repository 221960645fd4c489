// What no client should do, and what it costs.
#include <sys/resource.h>
#include <sys/socket.h>

#include <thread>

#include "tests/queen/http/http_fixture.h"

namespace waggle::queen::http {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

class HostileTest : public HttpServerTest {
 protected:
  bool AllGone() {
    return Eventually([this] { return Connections() == 0; });
  }
};

TEST_F(HostileTest, MalformedRequestsAreAnsweredAndClosed) {
  Start();
  const struct {
    std::string text;
    int status;
  } kCases[] = {
      {"rubbish\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {Get("/hello\0"s), 400},
      {"POST /echo HTTP/1.1\r\nHost: q\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\nHost: q\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"POST /echo HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n", 413},
      {"POST /echo HTTP/1.1\r\nHost: q\r\nContent-Length: 65537\r\n\r\n", 413},
      {"POST /echo HTTP/1.1\r\nHost: q\r\nContent-Length: 99999999999999\r\n\r\n", 413},
      {"POST /tiny HTTP/1.1\r\nHost: q\r\nContent-Length: 9\r\n\r\n123456789", 413},
      {"POST /nowhere HTTP/1.1\r\nHost: q\r\nContent-Length: 9\r\n\r\n", 404},
      {"GET /" + std::string(9000, 'a'), 414},
      {"GET / HTTP/1.1\r\n" + std::string(17000, 'a'), 431},
      {"GET / HTTP/3.0\r\n\r\n", 505},
      {"POST /echo HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
  };
  for (const auto& [text, status] : kCases) {
    TlsPeer peer(Address());
    const TlsPeer::Reply reply = peer.Ask(text);
    EXPECT_EQ(reply.status, status) << text.substr(0, 100);
    EXPECT_EQ(reply.fields.at("connection"), "close");
    EXPECT_EQ(reply.fields.at("content-type"), "application/problem+json");
    EXPECT_EQ(peer.ReadToEnd(), "");
    EXPECT_TRUE(peer.properly_closed());
  }
  EXPECT_EQ(RefusedSoFar(Refused::kTooLarge), 6u);
  EXPECT_EQ(RefusedSoFar(Refused::kMalformed), 8u);
  EXPECT_TRUE(AllGone());
  ExpectServes();
}

TEST_F(HostileTest, WhatFollowsALyingLengthIsNoRequestOfOurs) {
  Start();
  TlsPeer longer(Address());  // two bytes more than it said
  longer.Send("POST /echo HTTP/1.1\r\nHost: q\r\nContent-Length: 1\r\n\r\nabc\r\n" + Get("/hello"));
  EXPECT_EQ(longer.Read().body, "a");
  EXPECT_EQ(longer.Read().status, 400);
  EXPECT_EQ(longer.ReadToEnd(), "");
  TlsPeer refused(Address());  // a request smuggled into a body that is refused
  refused.Send("POST /nowhere HTTP/1.1\r\nHost: q\r\nContent-Length: 43\r\n\r\n" + Get("/hello"));
  EXPECT_EQ(refused.Read().status, 404);
  EXPECT_EQ(refused.ReadToEnd(), "");
}

TEST_F(HostileTest, ARefusedLargeBodyStillLeavesTheAnswerReadable) {
  Start();
  TlsPeer peer(Address());
  // A client that sends it all before it reads: closing at once would reset the connection.
  EXPECT_EQ(peer.Ask(Post("/echo", std::string(600'000, 'x'))).status, 413);
}

TEST_F(HostileTest, OtherProtocolsAreTurnedAway) {
  Start();
  for (const std::string& text :
       {Get("/hello"), "\0\0\0\0"s, std::string(100'000, '\xff'), "\n"s, "SSH-2.0-x\r\n"s}) {
    TlsPeer peer(Address());
    peer.SendRaw(text);
    if (text.size() > 4) {  // what may still become TLS is waited for
      EXPECT_THAT(peer.ReadRawToEnd(), testing::Not(HasSubstr("HTTP"))) << "no HTTP outside TLS";
    }
  }
  EXPECT_FALSE(TlsPeer(Address(), {.tls12 = true}).Handshake());
  TlsPeer h2(Address(), {.alpn = "\x02h2"});
  EXPECT_FALSE(h2.Handshake());
  TlsPeer both(Address(), {.alpn = "\x02h2\x08http/1.1"});
  EXPECT_EQ(both.Ask(Get("/hello")).status, 200);
  EXPECT_EQ(both.Protocol(), "http/1.1");
  EXPECT_EQ(TlsPeer(Address(), {.alpn = ""}).Ask(Get("/hello")).status, 200);
  EXPECT_TRUE(Eventually([&] { return RefusedSoFar(Refused::kHandshake) == 7; }));
}

TEST_F(HostileTest, LeavingAtAnyByteCostsNothing) {
  Start();
  const std::string request = Post("/echo", "body", "Connection: close\r\n");
  std::string hello = TlsPeer(Address()).Hello();
  for (std::size_t n = 0; n <= hello.size(); n += 23) {
    TlsPeer peer(Address());
    peer.SendRaw(peer.Hello().substr(0, n));
    if (n % 2 == 0) peer.Reset();
  }
  for (std::size_t n = 0; n <= request.size(); n += 3) {
    TlsPeer peer(Address());
    ASSERT_TRUE(peer.Handshake());
    const std::string bytes = peer.Encrypt(request);
    peer.SendRaw(bytes.substr(0, bytes.size() * n / request.size()));
    if (n % 2 == 0) peer.Reset();
  }
  for (int i = 0; i < 10; ++i) {  // while a handler is at work, and while an answer is on its way
    TlsPeer held(Address()), large(Address());
    held.Send(Get("/hold"));
    large.Send(Get("/large"));
    ASSERT_TRUE(large.Readable(test::kPatience));
    ASSERT_TRUE(Eventually([&] { return Held() == 1; }));
    held.Reset();
    large.Reset();
    TakeHeld()({200, "text/plain", "to nobody"});
  }
  EXPECT_TRUE(AllGone());
  ExpectServes();
}

TEST_F(HostileTest, ThousandsOfConnectsLeaveNothing) {
  Start();
  for (int i = 0; i < 3000; ++i) {
    const UniqueFd fd = test::ConnectTcp(Address(), "127.0.0." + std::to_string(1 + i % 100));
    if (i % 3 == 0) (void)!::write(fd.get(), "\x16\x03\x01", 3);
  }
  EXPECT_TRUE(AllGone());
  ExpectServes();
}

TEST_F(HostileTest, AnAddressHasSoManyConnections) {
  Start();
  std::vector<UniqueFd> open;
  for (std::size_t i = 0; i < kConnectionsPerAddress; ++i) open.push_back(test::ConnectTcp(Address()));
  ASSERT_TRUE(Eventually([&] { return Connections() == kConnectionsPerAddress; }));
  TlsPeer more(Address());
  EXPECT_FALSE(more.Handshake());
  EXPECT_EQ(RefusedSoFar(Refused::kAddressFull), 1u);
  EXPECT_EQ(Connections(), kConnectionsPerAddress);
  ExpectServes("127.0.0.2");
  open.pop_back();
  EXPECT_TRUE(Eventually([&] { return Connections() == kConnectionsPerAddress - 1; }));
  ExpectServes();
}

TEST_F(HostileTest, TheServerHasSoManyConnections) {
  Start();
  std::vector<UniqueFd> open;
  for (std::size_t i = 0; i < kConnections; ++i)
    open.push_back(test::ConnectTcp(Address(), "127.0.1." + std::to_string(1 + i / kConnectionsPerAddress)));
  ASSERT_TRUE(Eventually([&] { return Connections() == kConnections; }));
  TlsPeer more(Address());
  EXPECT_FALSE(more.Handshake());
  EXPECT_EQ(RefusedSoFar(Refused::kServerFull), 1u);
  open.clear();
  EXPECT_TRUE(AllGone());
  ExpectServes();
}

TEST_F(HostileTest, WithoutDescriptorsItPausesAndRecovers) {
  config_.waits.accept_pause = 20ms;
  Start();
  UniqueFd waiting(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{4, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  test::ConnectTo(waiting.get(), Address());
  const auto count = [&] { return RefusedSoFar(Refused::kNoDescriptors); };
  const bool begun = Eventually([&] { return count() >= 1; });
  const auto start = BootClock::now();
  const auto first = count();
  const bool went_on = Eventually([&] { return count() >= first + 5; });
  const auto took = BootClock::now() - start;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(begun && went_on);
  EXPECT_GE(took, 4 * config_.waits.accept_pause) << "it spins";
  EXPECT_TRUE(Eventually([&] { return Connections() == 1; }));
  ExpectServes();
}

TEST_F(HostileTest, ASlowHandshakeIsGivenUp) {
  config_.waits.handshake = 100ms;
  Start();
  TlsPeer silent(Address()), half(Address());
  half.SendRaw(half.Hello().substr(0, 40));
  EXPECT_EQ(silent.ReadRawToEnd(), "");
  EXPECT_EQ(half.ReadRawToEnd(), "");
  EXPECT_TRUE(AllGone());
  EXPECT_EQ(RefusedSoFar(Refused::kSlow), 2u);
}

// Sends a byte every few milliseconds until the server says something: the wait counts from the beginning.
TlsPeer::Reply Trickle(TlsPeer& peer, const std::string& text) {
  for (std::size_t i = 0; i < text.size() && !peer.Readable(5ms); ++i) peer.Send(text.substr(i, 1));
  return peer.Read();
}

TEST_F(HostileTest, ASlowRequestIsGivenUp) {
  config_.waits.head = config_.waits.body = config_.waits.linger = 200ms;
  Start();
  TlsPeer head(Address());
  EXPECT_EQ(Trickle(head, "GET /hello HTTP/1.1\r\nX: " + std::string(10'000, 'a')).status, 408);
  EXPECT_EQ(head.ReadToEnd(), "");
  TlsPeer body(Address());
  body.Send("POST /echo HTTP/1.1\r\nHost: q\r\nContent-Length: 10000\r\n\r\n");
  EXPECT_EQ(Trickle(body, std::string(10'000, 'a')).status, 408);
  TlsPeer chunks(Address());
  chunks.Send("POST /echo HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n");
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "1\r\na\r\n";
  EXPECT_EQ(Trickle(chunks, text).status, 408);
  TlsPeer stopped(Address());  // not a byte of the body it announced
  EXPECT_EQ(stopped.Ask("POST /echo HTTP/1.1\r\nHost: q\r\nContent-Length: 1\r\n\r\n").status, 408);
  EXPECT_EQ(RefusedSoFar(Refused::kSlow), 4u);
  TlsPeer silent(Address());
  ASSERT_TRUE(silent.Handshake());
  EXPECT_EQ(silent.ReadToEnd(), "") << "who said nothing is told nothing";
  EXPECT_TRUE(AllGone());
}

TEST_F(HostileTest, AnIdleConnectionIsClosed) {
  config_.waits.idle = 50ms;
  Start();
  TlsPeer peer(Address());
  EXPECT_EQ(peer.Ask(Get("/hello")).status, 200);
  EXPECT_EQ(peer.ReadToEnd(), "");
  EXPECT_TRUE(peer.properly_closed());
  EXPECT_EQ(RefusedSoFar(Refused::kSlow), 0u);
}

TEST_F(HostileTest, AnAnswerThatIsNotTakenIsGivenUp) {
  config_.waits.write = 200ms;
  Start();
  TlsPeer peer(Address());
  peer.Send(Get("/large"));
  EXPECT_TRUE(AllGone());
  EXPECT_EQ(RefusedSoFar(Refused::kSlow), 1u);
}

TEST_F(HostileTest, WhoNeverClosesIsClosed) {
  config_.waits.linger = 50ms;
  Start();
  TlsPeer peer(Address());
  EXPECT_EQ(peer.Ask("rubbish\r\n\r\n").status, 400);
  EXPECT_TRUE(AllGone());
  TlsPeer flood(Address());
  flood.Send("rubbish\r\n\r\n");
  while (flood.SendRaw(std::string(100'000, 'x'))) {
  }
  EXPECT_TRUE(AllGone());
}

TEST_F(HostileTest, AHandlerThatIsTooSlowIsGivenUp) {
  config_.waits.answer = 100ms;
  Start();
  TlsPeer peer(Address());
  const TlsPeer::Reply reply = peer.Ask(Get("/hold"));
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(peer.ReadToEnd(), "");
  TakeHeld()({200, "text/plain", "too late"});
  EXPECT_EQ(RefusedSoFar(Refused::kNoAnswer), 1u);
  ExpectServes();
}

TEST_F(HostileTest, HalfClosedClientsGetTheirAnswer) {
  Start();
  TlsPeer peer(Address());
  peer.Send(Get("/hello"));
  ::shutdown(peer.fd(), SHUT_WR);
  EXPECT_EQ(peer.Read().body, "hello");
  EXPECT_EQ(peer.ReadToEnd(), "");
  EXPECT_TRUE(AllGone());
}

}  // namespace
}  // namespace waggle::queen::http
