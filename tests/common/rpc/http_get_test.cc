#include "common/rpc/http_get.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"

namespace waggle::rpc {
namespace {

constexpr Duration kPatience = std::chrono::seconds(20);

// Accepts one connection, reads a request and answers with these bytes.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, answer = std::move(answer)] {
      UniqueFd peer(::accept(listener_.get(), nullptr, nullptr));
      char buffer[4096];
      const ssize_t got = ::recv(peer.get(), buffer, sizeof buffer, 0);
      if (got > 0) request_.assign(buffer, static_cast<std::size_t>(got));
      WriteAll(peer.get(), std::string_view(answer)).IgnoreError();
    });
  }
  ~OneAnswer() { thread_.join(); }

  std::string Url(const std::string& path) const { return absl::StrCat("http://127.0.0.1:", port_, path); }
  const std::string& request() const { return request_; }

 private:
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::string request_;
  std::thread thread_;
};

TEST(HttpGetTest, GivesStatusAndBody) {
  OneAnswer server("HTTP/1.1 500 Oh\r\nContent-Type: text/plain\r\n\r\ndown");
  const auto answer = HttpGet(server.Url("/health?x=1"), kPatience);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 500);
  EXPECT_EQ(answer->body, "down");
  EXPECT_EQ(server.request().substr(0, 29), "GET /health?x=1 HTTP/1.0\r\nHos");
}

TEST(HttpGetTest, WhatIsNoHttpIsAnError) {
  for (const char* bytes :
       {"", "down", "HTTP/1.1 200 OK\r\n", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n"}) {
    OneAnswer server(bytes);
    EXPECT_TRUE(absl::IsDataLoss(HttpGet(server.Url("/"), kPatience).status())) << bytes;
  }
}

TEST(HttpGetTest, AnEndlessAnswerIsRefused) {
  OneAnswer server("HTTP/1.1 200 OK\r\n\r\n" + std::string(100'000, 'x'));
  EXPECT_TRUE(absl::IsResourceExhausted(HttpGet(server.Url("/"), kPatience).status()));
}

TEST(HttpGetTest, NobodyThereIsUnavailable) {
  EXPECT_TRUE(absl::IsUnavailable(HttpGet("http://127.0.0.1:1/", kPatience).status()));
}

TEST(HttpGetTest, UrlsAreChecked) {
  for (const char* good :
       {"http://a", "http://a/b", "http://a:80/b?c", "http://[::1]:8080/", "http://[::1]"}) {
    EXPECT_TRUE(CheckHttpUrl(good).ok()) << good;
  }
  for (const char* bad :
       {"", "a", "https://a/", "http://", "http:///x", "http://a:0/", "http://a:b/", "http://a:70000/",
        "http://u@a/", "http://a/ b", "http://a/#x", "http://a/\r\nX: y"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckHttpUrl(bad))) << bad;
  }
}

}  // namespace
}  // namespace waggle::rpc
