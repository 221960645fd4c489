#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "queen/http/http_server.h"
#include "tests/support/child.h"
#include "tests/support/test_authority.h"
#include "tests/support/tls_peer.h"

namespace waggle::queen::http {

using test::Eventually;
using test::TlsPeer;

// A server on a free port of the loopback with a few routes:
//   GET /hello    "hello"            POST /echo   the body
//   GET /hold     waits in held_     GET /drop    never answered, dropped
//   GET /seen     what the request says of itself
//   GET /large    16 MiB             POST /tiny   the body, at most 8 bytes
class HttpServerTest : public testing::Test {
 protected:
  void Start() {
    auto server = HttpServer::Create(config_, Routes());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
  }
  void TearDown() override { server_.reset(); }

  HttpServer& server() { return *server_; }
  const std::string& Address() { return server_->bound(); }
  std::size_t Connections() { return server_->stats().connections; }
  std::uint64_t RefusedSoFar(Refused kind) { return server_->refused(kind); }
  // A good client gets its answer: the server is well.
  void ExpectServes(const std::string& from = "127.0.0.1") {
    TlsPeer peer(Address(), {.from = from});
    EXPECT_EQ(peer.Ask(Get("/hello")).body, "hello");
  }

  static std::string Get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: q\r\n\r\n"; }
  static std::string Post(const std::string& path, const std::string& body, const std::string& fields = "") {
    return "POST " + path + " HTTP/1.1\r\nHost: q\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n" + fields + "\r\n" + body;
  }

  // Answers waiting in /hold.
  std::size_t Held() {
    absl::MutexLock lock(&mutex_);
    return held_.size();
  }
  Answer TakeHeld() {
    absl::MutexLock lock(&mutex_);
    Answer answer = std::move(held_.front());
    held_.erase(held_.begin());
    return answer;
  }

  static const test::TestAuthority& Authority() {
    static const test::TestAuthority authority;
    return authority;
  }
  static const test::TestIdentity& Identity() {
    static const test::TestIdentity identity = Authority().Issue();
    return identity;
  }

  HttpServer::Config config_{.listen = "127.0.0.1:0", .certificate = Identity().chain, .key = Identity().key};
  std::unique_ptr<HttpServer> server_;

 private:
  Router Routes();

  absl::Mutex mutex_;
  std::vector<Answer> held_;
};

}  // namespace waggle::queen::http
