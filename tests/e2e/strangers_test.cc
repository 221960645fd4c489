// Whoever knocks at the port for drones without a certificate of the queen's, or begins to and says no more:
// not a byte of HTTP/2, no state behind it. WAGGLE_ATTACK_SIZE=N makes each crowd N times as large (10: 5,000
// half-open connections).
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/tls/authority.h"
#include "tests/support/http2_peer.h"
#include "tests/support/remote_queen.h"
#include "tests/support/test_authority.h"
#include "tests/support/tls_peer.h"

namespace waggle::test {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr int kPerAddress = 50;  // below what one address may have
constexpr Millis kHandshake = 10s, kGone = 5s;

int Size(int small) {
  const char* factor = std::getenv("WAGGLE_ATTACK_SIZE");
  return small * (factor == nullptr ? 1 : std::max(1, std::atoi(factor)));
}

class Strangers : public RemoteFixture {
 protected:
  void SetUp() override {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    at_ = StartRemoteQueen({}, {"--lease", "3s"});
    EnrolDrone(at_.https, "bee");
    bee_ = std::make_unique<Child>(
        Start({Binary("drone"), "serve", "--data", DroneData("bee"), "--slots", "1"}));
    WaitForState(Submit(TestJob({"echo ran"})), "passed");
    open_ = Descriptors();
  }
  void TearDown() override {
    if (!HasFatalFailure()) {
      EXPECT_TRUE(Queen().Running());
      WaitForState(Submit(TestJob({"echo ran"})), "passed");
      EXPECT_FALSE(absl::StrContains(bee_->Err(), "lost")) << "its lease was of 3 s\n" << bee_->Err();
    }
    RemoteFixture::TearDown();
  }

  // The queen's open files: each connection is one, as long as anything is kept of it.
  std::size_t Descriptors() {
    std::size_t count = 0;
    const std::filesystem::path files = absl::StrCat("/proc/", Queen().pid(), "/fd");
    for (auto it = std::filesystem::directory_iterator(files); it != std::filesystem::end(it); ++it) ++count;
    return count;
  }
  bool NothingIsKept(Millis within) {
    return Eventually([&] { return Descriptors() <= open_ + 1; }, within);  // one may look at the moment
  }

  RemoteQueen at_;
  std::unique_ptr<Child> bee_;
  std::size_t open_ = 0;
};

TEST_F(Strangers, EightWaysToBeNobody) {
  const auto ours = tls::Authority::FromPem(ReadText(QueenData() + "/tls/authority.key"),
                                            ReadText(QueenData() + "/tls/authority.crt"));
  ASSERT_TRUE(ours.ok()) << ours.status();
  const auto foreign = *tls::Authority::Create("Waggle queen", WallNow());
  const tls::Key key = *tls::Key::Generate();
  const tls::Request request = *tls::Request::FromPem(*tls::MakeRequest(key));
  constexpr WallMillis kDay = 86'400'000;
  auto signed_by = [&](const tls::Authority& authority, WallMillis now, std::chrono::seconds validity) {
    return *authority.Sign(request, tls::Role::kDrone, "bee", now, validity);
  };
  const tls::Certificate expired = signed_by(*ours, WallNow(), 1s);
  ASSERT_TRUE(Eventually([&] { return !expired.CheckTime(WallNow()).ok(); }));
  const TestIdentity server = TestAuthority().Issue(), unauthorized = TestAuthority(/*is_ca=*/false).Issue();
  struct Variant {
    const char* what;
    std::string key, certificate;
  };
  const Variant variants[] = {
      {"no certificate", "", ""},
      {"an authority of the same name", *key.ToPem(), signed_by(foreign, WallNow(), 1h).pem()},
      {"a server's, of another authority", server.key, server.chain},
      {"signed by what is no authority", unauthorized.key, unauthorized.chain},
      {"expired", *key.ToPem(), expired.pem()},
      {"not yet valid", *key.ToPem(), signed_by(*ours, WallNow() + kDay, 1h).pem()},
  };
  const int each = Size(25);
  const std::size_t lines = Lines(Queen().Err()).size();
  for (int i = 0; i < each; ++i) {
    for (const Variant& variant : variants) {
      auto peer = Http2Peer::OverTls(at_.grpc, variant.key, variant.certificate);
      peer->Send(kPreface);
      EXPECT_TRUE(peer->Ends()) << variant.what;
      EXPECT_EQ(peer->heard_bytes(), 0u) << variant.what;
    }
    TlsPeer old(at_.grpc, {.alpn = "\x02h2", .tls12 = true});
    EXPECT_FALSE(old.Handshake());
    const UniqueFd plain = ConnectTcp(at_.grpc);
    EXPECT_GT(::send(plain.get(), kPreface.data(), kPreface.size(), MSG_NOSIGNAL), 0);
    char heard[256];
    const ssize_t n = ::recv(plain.get(), heard, sizeof heard, 0);
    EXPECT_TRUE(n <= 0 || heard[0] == '\x15') << "a TLS alert at most";
  }
  EXPECT_TRUE(NothingIsKept(kGone)) << Descriptors() << " of " << open_;
  const std::size_t said = Lines(Queen().Err()).size() - lines;
  std::printf("[ figures  ] %d connections, %zu lines in the log\n", 8 * each, said);
  EXPECT_LE(said, static_cast<std::size_t>(8 * each));
}

// They come from many addresses, for one alone gets no further than its share.
TEST_F(Strangers, WhoBeginsAndSaysNoMoreIsSentAway) {
  const std::string hello = TlsPeer(at_.grpc, {.alpn = "\x02h2"}).Hello();
  ASSERT_GT(hello.size(), 100u);
  std::vector<UniqueFd> half;
  const int crowd = Size(500);
  for (int i = 0; i < crowd; ++i) {
    half.push_back(ConnectTcp(at_.grpc, absl::StrCat("127.0.1.", 1 + i / kPerAddress)));
    const std::size_t begun = i % 3 == 0 ? 0 : i % 3 == 1 ? 5 : hello.size() - 1;
    if (begun > 0) ::send(half.back().get(), hello.data(), begun, MSG_NOSIGNAL);
  }
  const Time begin = BootClock::now();
  EXPECT_TRUE(Eventually([&] { return Descriptors() >= open_ + static_cast<std::size_t>(crowd); }))
      << "all are in";
  EXPECT_EQ(Waggle({"jobs"}, "", 1s).code, 0);
  WaitForState(Submit(TestJob({"echo ran"})), "passed", 5s);
  EXPECT_TRUE(NothingIsKept(kHandshake + kGone)) << Descriptors() << " of " << open_;
  std::printf("[ figures  ] %d half-open connections, all gone after %.1f s\n", crowd,
              std::chrono::duration<double>(BootClock::now() - begin).count());
}

}  // namespace
}  // namespace waggle::test
