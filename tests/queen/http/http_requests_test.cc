// What a client may do, and what it gets.
#include <openssl/ssl.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/queen/http/http_fixture.h"

namespace waggle::queen::http {
namespace {

using testing::HasSubstr;

TEST_F(HttpServerTest, AnswersWithTheHeadersOfAnApi) {
  Start();
  TlsPeer peer(Address());
  const TlsPeer::Reply reply = peer.Ask(Get("/hello"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "hello");
  const std::map<std::string, std::string> expected = {{"content-type", "text/plain"},
                                                       {"content-length", "5"},
                                                       {"cache-control", "no-store"},
                                                       {"x-content-type-options", "nosniff"}};
  EXPECT_EQ(reply.fields, expected);
  EXPECT_EQ(peer.Protocol(), "http/1.1");
  EXPECT_EQ(server().stats().requests, 1u);
}

TEST_F(HttpServerTest, HandlersSeeTheRequest) {
  Start();
  TlsPeer peer(Address(), {.from = "127.0.0.7"});
  EXPECT_EQ(peer.Ask("GET /seen?a=b%20c HTTP/1.1\r\nHost: q\r\nX-One: 1\r\n\r\n").body,
            "GET|/seen|a=b%20c|1|127.0.0.7");
}

TEST_F(HttpServerTest, KeepsAConnectionForItsRequests) {
  Start();
  TlsPeer peer(Address());
  for (int i = 1; i < kRequestsPerConnection; ++i)
    ASSERT_EQ(peer.Ask(Post("/echo", std::to_string(i))).body, std::to_string(i));
  const TlsPeer::Reply last = peer.Ask(Get("/hello"));
  EXPECT_EQ(last.status, 200);
  EXPECT_EQ(last.fields.at("connection"), "close") << "request " << kRequestsPerConnection;
  EXPECT_EQ(peer.ReadToEnd(), "");
  EXPECT_TRUE(peer.properly_closed());
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  Start();
  TlsPeer peer(Address());
  peer.Send(Post("/echo", "a") + Get("/hold") + Post("/echo", "c") + Get("/nowhere") + Post("/echo", "d"));
  EXPECT_EQ(peer.Read().body, "a");
  ASSERT_TRUE(Eventually([&] { return Held() == 1; }));
  TakeHeld()({200, "text/plain", "b"});
  EXPECT_EQ(peer.Read().body, "b");
  EXPECT_EQ(peer.Read().body, "c");
  EXPECT_EQ(peer.Read().status, 404);
  EXPECT_EQ(peer.Read().body, "d") << "an unknown path ends no connection";
}

TEST_F(HttpServerTest, ClosesWhenAskedTo) {
  Start();
  TlsPeer close(Address());
  EXPECT_EQ(close.Ask("GET /hello HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n").body, "hello");
  EXPECT_EQ(close.ReadToEnd(), "");
  EXPECT_TRUE(close.properly_closed());
  TlsPeer old(Address());
  EXPECT_EQ(old.Ask("GET /hello HTTP/1.0\r\n\r\n").body, "hello");
  EXPECT_EQ(old.ReadToEnd(), "");
}

TEST_F(HttpServerTest, TakesABodyHoweverItComes) {
  Start();
  TlsPeer peer(Address());
  std::string large(kBodyBytes, 'x');
  EXPECT_EQ(peer.Ask(Post("/echo", large)).body, large);
  EXPECT_EQ(peer.Ask(Post("/echo", "")).body, "");
  const std::string chunked = "POST /echo HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(peer.Ask(chunked + "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n").body, "abcde");
  for (char c : chunked + "0\r\n\r\n") peer.Send(std::string(1, c));
  EXPECT_EQ(peer.Read().status, 200) << "byte by byte";
}

TEST_F(HttpServerTest, SaysContinueToWhoWaitsForIt) {
  Start();
  TlsPeer peer(Address());
  EXPECT_EQ(
      peer.Ask("POST /echo HTTP/1.1\r\nHost: q\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").status,
      100);
  EXPECT_EQ(peer.Ask("ab").body, "ab");
  EXPECT_EQ(
      peer.Ask("POST /tiny HTTP/1.1\r\nHost: q\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n").status,
      413)
      << "before a byte of it is sent";
}

TEST_F(HttpServerTest, DeniesWhatItDoesNotServe) {
  Start();
  TlsPeer peer(Address());
  for (const char* path : {"/", "/hello/", "//hello", "/%68ello", "/HELLO", "/./hello", "/hello%00",
                           "/hello;a", "https://q/hello", "*", "hello", "/hello#a", "/..", "/hello%3F"}) {
    const TlsPeer::Reply reply = peer.Ask(Get(path));
    EXPECT_EQ(reply.status, 404) << path;
    EXPECT_EQ(reply.fields.at("content-type"), "application/problem+json");
    EXPECT_EQ(nlohmann::json::parse(reply.body)["status"], 404);
  }
  for (const char* method : {"POST", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "FOO"}) {
    const TlsPeer::Reply reply = peer.Ask(std::string(method) + " /hello HTTP/1.1\r\nHost: q\r\n\r\n");
    EXPECT_EQ(reply.status, 405) << method;
    EXPECT_EQ(reply.fields.at("allow"), "GET");
  }
  EXPECT_EQ(peer.Ask(Get("/hello")).status, 200);
  EXPECT_EQ(RefusedSoFar(Refused::kNoRoute), 21u);
}

TEST_F(HttpServerTest, AnswersComeFromAnyThreadOnce) {
  Start();
  TlsPeer peer(Address());
  peer.Send(Get("/hold"));
  ASSERT_TRUE(Eventually([&] { return Held() == 1; }));
  std::thread([&] {
    const Answer answer = TakeHeld();
    answer({201, "text/plain", "made"});
    answer({500, "text/plain", "again"});
  }).join();
  EXPECT_EQ(peer.Read().body, "made");
  EXPECT_EQ(peer.Ask(Get("/twice")).body, "first");
  EXPECT_EQ(peer.Ask(Get("/hello")).body, "hello");
}

TEST_F(HttpServerTest, ADroppedAnswerIsAnError) {
  Start();
  TlsPeer peer(Address());
  EXPECT_EQ(peer.Ask(Get("/drop")).status, 500);
  EXPECT_EQ(peer.Ask(Get("/throw")).status, 500);
  peer.Send(Get("/hold"));
  ASSERT_TRUE(Eventually([&] { return Held() == 1; }));
  (void)TakeHeld();
  EXPECT_EQ(peer.Read().status, 500);
  EXPECT_EQ(peer.Ask(Get("/hello")).status, 200);
  EXPECT_EQ(RefusedSoFar(Refused::kNoAnswer), 4u) << "what was thrown counts by itself";
}

TEST_F(HttpServerTest, ServesTwoHundredAtATime) {
  config_.threads = 2;
  Start();
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 200; ++i) {
    clients.emplace_back([&, i] {
      TlsPeer peer(Address(), {.from = "127.0.0." + std::to_string(1 + i % 4)});
      for (int n = 0; n < 5; ++n) {
        const std::string body = std::to_string(i) + "." + std::to_string(n) + std::string(3000, 'x');
        if (peer.Ask(Post("/echo", body)).body == body) ++good;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good, 1000);
  EXPECT_TRUE(Eventually([&] { return Connections() == 0; }));
}

TEST_F(HttpServerTest, ListensOnIPv6ForBoth) {
  config_.listen = "[::]:0";
  Start();
  EXPECT_THAT(Address(), HasSubstr("[::]:"));
  const std::string port = Address().substr(Address().rfind(':'));
  EXPECT_EQ(TlsPeer("[::1]" + port).Ask(Get("/seen")).body, "GET|/seen|||::1");
  EXPECT_EQ(TlsPeer("127.0.0.1" + port).Ask(Get("/seen")).body, "GET|/seen|||127.0.0.1");
}

TEST_F(HttpServerTest, IsNotMadeOfWrongParts) {
  for (const char* listen : {"", "7875", "localhost:7875", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "::1:0",
                             "127.0.0.1:65536", "[127.0.0.1]:0", "[::1]", "127.0.0.1:-1"}) {
    HttpServer::Config config = config_;
    config.listen = listen;
    const auto server = HttpServer::Create(config, Router());
    EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument) << listen;
  }
  const auto create = [&](const std::string& certificate, const std::string& key) {
    HttpServer::Config config = config_;
    config.certificate = certificate;
    config.key = key;
    return HttpServer::Create(config, Router()).status();
  };
  EXPECT_THAT(create("", Identity().key).ToString(), HasSubstr("the certificate of the HTTP port"));
  EXPECT_THAT(create("rubbish", Identity().key).ToString(), HasSubstr("the certificate of the HTTP port"));
  EXPECT_THAT(create(Identity().chain, "").ToString(), HasSubstr("the private key of the HTTP port"));
  const auto other = Authority().Issue();
  EXPECT_EQ(create(Identity().chain, other.key).code(), absl::StatusCode::kInvalidArgument);

  Start();
  config_.listen = Address();
  const auto second = HttpServer::Create(config_, Router());
  EXPECT_THAT(second.status().ToString(), HasSubstr("bind the HTTP port to " + Address()));
}

TEST_F(HttpServerTest, TakesAnotherCertificateForNewConnections) {
  Start();
  TlsPeer before(Address());
  EXPECT_EQ(before.Ask(Get("/hello")).status, 200);
  const auto other = Authority().Issue();
  EXPECT_FALSE(server().Reload(other.chain, Identity().key).ok());
  TlsPeer between(Address());
  EXPECT_EQ(between.Ask(Get("/hello")).status, 200);
  EXPECT_EQ(between.CertificateName(), before.CertificateName());
  ASSERT_TRUE(server().Reload(other.chain, other.key).ok());
  TlsPeer after(Address());
  EXPECT_EQ(after.Ask(Get("/hello")).status, 200);
  EXPECT_NE(after.CertificateName(), before.CertificateName());
  EXPECT_EQ(before.Ask(Get("/hello")).status, 200);
}

TEST_F(HttpServerTest, StopsBehindTheAnswersInFlight) {
  Start();
  const std::string address = Address();
  TlsPeer busy(address), idle(address);
  EXPECT_EQ(idle.Ask(Get("/hello")).status, 200);
  busy.Send(Get("/hold"));
  ASSERT_TRUE(Eventually([&] { return Held() == 1; }));
  std::thread stop([this] { server_.reset(); });
  EXPECT_EQ(idle.ReadToEnd(), "") << "closed while the other one waits";
  TakeHeld()({200, "text/plain", "late"});
  EXPECT_EQ(busy.Read().body, "late");
  EXPECT_EQ(busy.ReadToEnd(), "");
  stop.join();
}

TEST_F(HttpServerTest, StopsWithoutAnswersThatNeverCome) {
  config_.waits.stop = 50ms;
  Start();
  TlsPeer busy(Address()), half(Address());
  busy.Send(Get("/hold"));
  half.Send("GET /hel");
  ASSERT_TRUE(Eventually([&] { return Held() == 1; }));
  server_.reset();
  EXPECT_EQ(busy.ReadToEnd(), "");
  EXPECT_EQ(half.ReadToEnd(), "");
  TakeHeld()({200, "text/plain", "to nobody"});
}

}  // namespace
}  // namespace waggle::queen::http
