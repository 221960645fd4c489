#include "common/rpc/https_client.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <functional>
#include <thread>

#include "absl/strings/ascii.h"
#include "common/base/fd.h"
#include "tests/support/test_authority.h"

namespace waggle::rpc {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using test::TestAuthority;
using test::TestIdentity;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr auto kLong = 30s;

// A server that takes one connection and then does what the test says with it; the destructor waits for its
// end.
class FakeServer {
 public:
  using Talk = std::function<void(FakeServer&, int fd)>;

  explicit FakeServer(Talk talk) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, talk = std::move(talk)] {
      sigset_t pipe;  // of this thread alone: what is tested must not raise it
      sigemptyset(&pipe);
      sigaddset(&pipe, SIGPIPE);
      pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
      pollfd entry{listener_.get(), POLLIN, 0};
      while (::poll(&entry, 1, 10) == 0 && !ended_) {
      }
      UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
      if (fd.valid()) talk(*this, fd.get());
    });
  }
  ~FakeServer() { Join(); }
  void Join() {
    ended_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
  }

  std::string Url(const std::string& host = "127.0.0.1") const {
    return "https://" + host + ":" + std::to_string(port_) + "/enroll";
  }
  std::string received;  // what was sent over TLS; after Join()

 private:
  UniqueFd listener_;
  int port_ = 0;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

using Context = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;
using Ssl = std::unique_ptr<SSL, void (*)(SSL*)>;

Context MakeContext(const TestIdentity& identity) {
  Context context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  const std::unique_ptr<BIO, int (*)(BIO*)> chain(
      BIO_new_mem_buf(identity.chain.data(), static_cast<int>(identity.chain.size())), BIO_free);
  const std::unique_ptr<BIO, int (*)(BIO*)> key(
      BIO_new_mem_buf(identity.key.data(), static_cast<int>(identity.key.size())), BIO_free);
  for (bool first = true;; first = false) {
    X509* certificate = PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr);
    if (certificate == nullptr) break;
    if (first) {
      SSL_CTX_use_certificate(context.get(), certificate);
      X509_free(certificate);
    } else {
      SSL_CTX_add_extra_chain_cert(context.get(), certificate);
    }
  }
  EVP_PKEY* pair = PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), pair), 1);
  EVP_PKEY_free(pair);
  return context;
}

// Over TLS with this identity: reads the request, then sends `answer` in pieces of `piece` bytes, and closes
// properly or not.
struct Script {
  TestIdentity identity;
  std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
  bool close = true;    // properly
  bool hold = false;    // says nothing until the client is gone
  int max_version = 0;  // of TLS
  std::size_t piece = 10'000;
};

FakeServer::Talk Say(Script script) {
  return [script](FakeServer& server, int fd) {
    const Context context = MakeContext(script.identity);
    SSL_CTX_set_max_proto_version(context.get(), script.max_version);
    const Ssl ssl(SSL_new(context.get()), SSL_free);
    SSL_set_fd(ssl.get(), fd);
    if (SSL_accept(ssl.get()) != 1) return;
    char buffer[16384];
    const auto read = [&] {
      const int n = SSL_read(ssl.get(), buffer, sizeof buffer);
      if (n > 0) server.received.append(buffer, static_cast<std::size_t>(n));
      return n > 0;
    };
    const auto whole = [&] {
      const std::size_t at = absl::AsciiStrToLower(server.received).find("content-length: ");
      const std::size_t end = server.received.find("\r\n\r\n");
      return at != std::string::npos && end != std::string::npos &&
             server.received.size() >= end + 4 + std::stoul(server.received.substr(at + 16));
    };
    while (!whole() && read()) {
    }
    if (script.hold) {
      while (read()) {
      }
      return;
    }
    for (std::size_t at = 0; at < script.answer.size(); at += script.piece) {
      const std::string piece = script.answer.substr(at, script.piece);
      if (SSL_write(ssl.get(), piece.data(), static_cast<int>(piece.size())) <= 0) return;
    }
    if (script.close) SSL_shutdown(ssl.get());
  };
}

class HttpsClientTest : public testing::Test {
 protected:
  absl::StatusOr<HttpsAnswer> Ask(const FakeServer& server, Duration deadline = kLong) {
    return Post(server.Url(), "body", "text/plain", authority_.pin(), deadline);
  }
  // The status of a Post to a server that does this.
  absl::Status StatusOf(Script script, const std::string& host = "127.0.0.1") {
    FakeServer server(Say(std::move(script)));
    const auto answer = Post(server.Url(host), "secret", "text/plain", authority_.pin(), kLong);
    server.Join();
    received_ = server.received;
    return answer.status();
  }
  absl::Status AnswerStatus(const std::string& answer, bool close = true) {
    return StatusOf({.identity = authority_.Issue(), .answer = answer, .close = close});
  }

  const TestAuthority authority_;
  std::string received_;
};

TEST_F(HttpsClientTest, PostsAndReadsTheAnswer) {
  FakeServer server(Say({.identity = authority_.Issue(),
                         .answer = "HTTP/1.1 409 Conflict\r\nX: y\r\nCONTENT-LENGTH:  3 \r\n\r\nno!"}));
  const auto answer =
      Post(server.Url(), "a\0b"s, "application/json", absl::AsciiStrToUpper(authority_.pin()), kLong);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 409) << "any answer is one";
  EXPECT_EQ(answer->body, "no!");
  server.Join();
  const std::string authority = server.Url().substr(8, server.Url().size() - 8 - 7);
  EXPECT_EQ(server.received, "POST /enroll HTTP/1.1\r\nHost: " + authority +
                                 "\r\nContent-Type: application/json\r\nContent-Length: 3\r\n"
                                 "Connection: close\r\n\r\na\0b"s);
}

TEST_F(HttpsClientTest, ReadsAnswersHoweverTheyCome) {
  for (const std::string answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone",
        "HTTP/1.1 200\r\nContent-Length: 4\r\n\r\ndone and more", "HTTP/1.0 200 OK\r\n\r\ndone"}) {
    for (std::size_t piece : {1u, 7u, 1000u}) {
      FakeServer server(Say({.identity = authority_.Issue(), .answer = answer, .piece = piece}));
      const auto got = Ask(server);
      ASSERT_TRUE(got.ok()) << got.status();
      EXPECT_EQ(got->body, "done");
    }
  }
  const std::string large(kHttpsAnswerBytes, 'x');
  FakeServer server(Say({.identity = authority_.Issue(),
                         .answer = "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n" + large}));
  EXPECT_EQ(Ask(server)->body, large);
}

TEST_F(HttpsClientTest, SendsALargeBody) {
  const std::string body(3'000'000, 'x');
  FakeServer server(Say({.identity = authority_.Issue()}));
  EXPECT_TRUE(Post(server.Url(), body, "text/plain", authority_.pin(), kLong).ok());
  server.Join();
  EXPECT_GT(server.received.size(), body.size());
}

TEST_F(HttpsClientTest, AnEarlyAnswerCountsMoreThanTheEndOfTheConnection) {
  FakeServer server([&](FakeServer&, int fd) {
    const Context context = MakeContext(authority_.Issue());
    const Ssl ssl(SSL_new(context.get()), SSL_free);
    SSL_set_fd(ssl.get(), fd);
    ASSERT_EQ(SSL_accept(ssl.get()), 1);
    const std::string answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
    SSL_write(ssl.get(), answer.data(), static_cast<int>(answer.size()));
    SSL_shutdown(ssl.get());
    ::shutdown(fd, SHUT_WR);
    char buffer[16384];
    while (::read(fd, buffer, sizeof buffer) > 0) {
    }
  });
  const auto answer = Post(server.Url(), std::string(1'000'000, 'x'), "text/plain", authority_.pin(), kLong);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 413);
}

TEST_F(HttpsClientTest, AnotherPinGetsNothing) {
  const TestAuthority other;
  const absl::Status status = StatusOf({.identity = other.Issue()});
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(status.ToString(), HasSubstr("certificate does not match the pin: expected " +
                                           authority_.pin() + ", got " + other.pin()));
  EXPECT_EQ(received_, "");
}

TEST_F(HttpsClientTest, TheRightCaBesideAForeignLeafGetsNothing) {
  const TestAuthority other;
  TestIdentity identity = other.Issue({.send_ca = false});
  identity.chain += authority_.pem();  // which anybody has who ever connected
  const absl::Status status = StatusOf({.identity = identity});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(received_, "");
}

TEST_F(HttpsClientTest, ALeafWithoutItsCaGetsNothing) {
  EXPECT_EQ(StatusOf({.identity = authority_.Issue({.send_ca = false})}).code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(received_, "");
}

TEST_F(HttpsClientTest, APinnedCertificateMustBeACa) {
  const TestAuthority no_ca(/*is_ca=*/false);
  FakeServer server(Say({.identity = no_ca.Issue()}));
  const auto answer = Post(server.Url(), "secret", "text/plain", no_ca.pin(), kLong);
  EXPECT_THAT(answer.status().ToString(), HasSubstr("it is no CA certificate"));
  server.Join();
  EXPECT_EQ(server.received, "");
}

TEST_F(HttpsClientTest, TheCertificateMustBeGood) {
  const struct {
    TestAuthority::Leaf leaf;
    const char* text;
  } kCases[] = {
      {{.from_seconds = -100, .to_seconds = -10}, "the server's certificate has expired"},
      {{.from_seconds = 100}, "not valid yet"},
      {{.names = "DNS:other.example"}, "has the wrong name: it does not name 127.0.0.1"},
      {{.names = "DNS:127.0.0.1"}, "has the wrong name"},
      {{.names = "IP:127.0.0.2"}, "has the wrong name"},
      {{.names = ""}, "has the wrong name"},
      {{.usage = "clientAuth"}, "is not good: "},
  };
  for (const auto& [leaf, text] : kCases) {
    const absl::Status status = StatusOf({.identity = authority_.Issue(leaf)});
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(status.ToString(), HasSubstr(text));
    EXPECT_EQ(received_, "");
  }
}

TEST_F(HttpsClientTest, NamesAreCheckedAsNames) {
  EXPECT_TRUE(StatusOf({.identity = authority_.Issue({.names = "DNS:localhost"})}, "localhost").ok());
  EXPECT_THAT(StatusOf({.identity = authority_.Issue({.names = "DNS:test leaf"})}, "localhost").ToString(),
              HasSubstr("wrong name"));
  EXPECT_THAT(StatusOf({.identity = authority_.Issue({.names = "IP:127.0.0.1"})}, "localhost").ToString(),
              HasSubstr("it does not name localhost"));
}

TEST_F(HttpsClientTest, OtherProtocolsAreNamed) {
  FakeServer plain([](FakeServer&, int fd) {
    char buffer[100];
    (void)!::read(fd, buffer, sizeof buffer);
    (void)!::write(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
  });
  const absl::Status status = Ask(plain).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.ToString(), HasSubstr("does not speak TLS at this port"));
  const absl::Status old = StatusOf({.identity = authority_.Issue(), .max_version = TLS1_2_VERSION});
  EXPECT_EQ(old.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(old.ToString(), HasSubstr("does not speak our TLS 1.3"));
}

TEST_F(HttpsClientTest, AnAnswerOfRubbishIsNoAnswer) {
  for (const std::string& answer :
       {"rubbish\r\n\r\n"s, "HTTP/1.1\r\n\r\n"s, "HTTP/1.1 abc\r\n\r\n"s, "HTTP/1.1 099\r\n\r\n"s,
        "HTTP/1.1 2000\r\n\r\n"s, "HTTP/1.1 100 Continue\r\n\r\n"s, "HTTP/2 200\r\n\r\n"s, "\r\n\r\n"s,
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"s, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"s,
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"s,
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"s,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"s, std::string(20'000, 'x')}) {
    EXPECT_EQ(AnswerStatus(answer).code(), absl::StatusCode::kDataLoss) << answer.substr(0, 60);
  }
}

TEST_F(HttpsClientTest, AnAnswerIsBounded) {
  for (const std::string& answer : {"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n"s,
                                    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"s,
                                    "HTTP/1.1 200 OK\r\n\r\n" + std::string(1'000'000, 'x')}) {
    const absl::Status status = AnswerStatus(answer);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(status.ToString(), HasSubstr("too large"));
  }
}

TEST_F(HttpsClientTest, HalfAnAnswerIsCutOff) {
  const auto expect = [&](const std::string& answer, bool close) {
    const absl::Status status = AnswerStatus(answer, close);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), StartsWith("cut off: "));
  };
  for (bool close : {false, true}) {
    expect("", close);
    expect("HTTP/1.1 200 OK\r\nContent-Le", close);
    expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234", close);
  }
  expect("HTTP/1.1 200 OK\r\n\r\n1234", false);
  FakeServer gone([](FakeServer&, int) {});
  EXPECT_THAT(Ask(gone).status().ToString(), HasSubstr("cut off: "));
}

TEST_F(HttpsClientTest, EveryWaitHasADeadline) {
  const auto expect = [&](const FakeServer& server) {
    const absl::Status status = Ask(server, 100ms).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    EXPECT_THAT(status.ToString(), HasSubstr("timed out"));
  };
  expect(FakeServer([](FakeServer&, int fd) {  // never shakes hands
    char buffer[100];
    while (::read(fd, buffer, sizeof buffer) > 0) {
    }
  }));
  expect(FakeServer(Say({.identity = authority_.Issue(), .hold = true})));  // never answers
  FakeServer deaf([&](FakeServer&, int fd) {                                // takes no request
    const Context context = MakeContext(authority_.Issue());
    const Ssl ssl(SSL_new(context.get()), SSL_free);
    SSL_set_fd(ssl.get(), fd);
    SSL_accept(ssl.get());
    pollfd entry{fd, 0, 0};
    while (::poll(&entry, 1, 1000) == 0) {  // until the client is gone
    }
  });
  EXPECT_EQ(
      Post(deaf.Url(), std::string(20'000'000, 'x'), "text/plain", authority_.pin(), 200ms).status().code(),
      absl::StatusCode::kDeadlineExceeded);
}

TEST_F(HttpsClientTest, NobodyThereIsUnavailable) {
  std::string url;
  {
    FakeServer server([](FakeServer&, int) {});
    url = server.Url();
  }
  const absl::Status refused = Post(url, "", "text/plain", authority_.pin(), kLong).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(refused.ToString(), HasSubstr("refused the connection"));
  const absl::Status unknown =
      Post("https://nobody.invalid:7875/", "", "text/plain", authority_.pin(), kLong).status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(unknown.ToString(), HasSubstr("cannot resolve nobody.invalid"));
}

TEST_F(HttpsClientTest, WrongArgumentsAreTold) {
  for (const std::string& url :
       {""s, "queen:7875/"s, "http://queen:7875/"s, "https://queen/"s, "https://queen:7875"s,
        "https://:7875/"s, "https://queen:0/"s, "https://queen:65536/"s, "https://queen:x/"s,
        "https://queen:/"s, "https://me@queen:7875/"s, "https://queen:7875/a b"s,
        "https://queen:7875/\r\nX: y"s, "https://queen:7875/#a"s, "https://::1:7875/"s, "https://[::1]/"s,
        "https://[queen]:1/"s, "https://.example:1/"s, "https://queen?:1/"s}) {
    EXPECT_EQ(Post(url, "", "text/plain", authority_.pin(), kLong).status().code(),
              absl::StatusCode::kInvalidArgument)
        << url;
  }
  const std::string url = "https://127.0.0.1:1/";
  for (const std::string& pin :
       {""s, authority_.pin().substr(1), authority_.pin() + "0", std::string(64, 'g')}) {
    const absl::Status status = Post(url, "", "text/plain", pin, kLong).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.ToString(), HasSubstr("is not 64 hex digits"));
  }
  for (const std::string& type : {""s, "a\r\nX: y"s, "a\0"s})
    EXPECT_EQ(Post(url, "", type, authority_.pin(), kLong).status().code(),
              absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace waggle::rpc
