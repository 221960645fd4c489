// The packaged gRPC under attack: without a certificate, with an enrolled drone's, and over the queen's
// socket. WAGGLE_ATTACK_SIZE=N makes each attack N times as large.
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/http2_peer.h"
#include "tests/support/remote_queen.h"
#include "tests/support/tls_peer.h"

namespace waggle::test {
namespace {

using namespace http2;

constexpr int kMostGrowth = 64;  // MiB of the queen's resident memory
constexpr std::string_view kControl = "/waggle.v1.Hive/Control", kBulk = "/waggle.v1.Hive/Bulk";
constexpr int kInvalidArgument = 3, kResourceExhausted = 8, kFailedPrecondition = 9, kUnimplemented = 12;

int Size(int small) {
  const char* factor = std::getenv("WAGGLE_ATTACK_SIZE");
  return small * (factor == nullptr ? 1 : std::max(1, std::atoi(factor)));
}

enum class Way { kStranger, kEnrolled, kLocal };

// A queen, a drone of another host that must not suffer, and the certificate of one that attacks.
class Attack : public RemoteFixture {
 protected:
  void SetUp() override { StartHive(); }
  void TearDown() override {
    if (!HasFatalFailure()) ExpectWell();
    RemoteFixture::TearDown();
  }

  void StartHive(Words flags = {}) {
    flags.insert(flags.end(), {"--lease", "3s"});
    at_ = StartRemoteQueen({}, flags);
    for (const char* name : {"healthy", "attacker"}) EnrolDrone(at_.https, name);
    const std::string tls = DroneData("attacker") + "/tls/";
    key_ = ReadText(tls + "drone.key");
    certificate_ = ReadText(tls + "drone.crt");
    healthy_ = std::make_unique<Child>(
        Start({Binary("drone"), "serve", "--data", DroneData("healthy"), "--slots", "1"}));
    ASSERT_TRUE(Eventually([&] { return Connected(); })) << healthy_->Err();
    rss_ = Rss();
  }
  bool Connected() {
    for (const Json& drone : Drones()) {
      if (drone["name"] == "healthy" && drone["connected_at"] != 0 && drone["state"] != "lost") return true;
    }
    return false;
  }
  int Rss() {
    const std::string status = ReadText(absl::StrCat("/proc/", Queen().pid(), "/status"));
    return std::atoi(status.c_str() + status.find("VmRSS:") + 6) / 1024;
  }

  // The same process, an answer within a second, a job on the drone that was there all the time.
  void ExpectWell(int most_growth = kMostGrowth) {
    ASSERT_TRUE(Queen().Running()) << "the queen died";
    const auto before = std::chrono::steady_clock::now();
    EXPECT_EQ(Waggle({"jobs"}).code, 0);
    EXPECT_LT(std::chrono::steady_clock::now() - before, 1s);
    WaitForState(Submit(TestJob({"echo ran"})), "passed");
    EXPECT_TRUE(may_cost_others_ || !absl::StrContains(healthy_->Err(), "lost")) << "its lease was of 3 s";
    const int growth = Rss() - rss_;
    EXPECT_LT(growth, most_growth);
    std::printf("[ figures  ] %s: queen +%d MiB\n",
                testing::UnitTest::GetInstance()->current_test_info()->name(), growth);
  }

  std::unique_ptr<Http2Peer> Connect(Way way) {
    switch (way) {
      case Way::kStranger:
        return Http2Peer::OverTls(at_.grpc);
      case Way::kEnrolled:
        return Http2Peer::OverTls(at_.grpc, key_, certificate_);
      case Way::kLocal:
        return Http2Peer::OverSocket(QueenData() + "/queen.sock");
    }
    return nullptr;
  }
  // One that said what a client says first.
  std::unique_ptr<Http2Peer> Greeted(Way way, bool acknowledge = true) {
    std::unique_ptr<Http2Peer> peer = Connect(way);
    EXPECT_TRUE(peer->Greet(acknowledge));
    return peer;
  }
  // A stranger says it, and hears not a byte of HTTP/2.
  void ExpectDeaf(std::string_view frames) {
    std::unique_ptr<Http2Peer> stranger = Connect(Way::kStranger);
    stranger->Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    stranger->Send(frames);
    EXPECT_TRUE(stranger->Ends());
    EXPECT_EQ(stranger->heard_bytes(), 0u);
  }
  // The status of a call whose one message is these bytes.
  int StatusOf(Way way, std::string_view path, std::string_view data, const std::string& fields = "") {
    std::unique_ptr<Http2Peer> peer = Greeted(way);
    peer->Send(Bytes(kHeaders, kEndHeaders, 1, Request(path) + fields));
    peer->SendData(1, data, kEndStream);
    return peer->Status();
  }

  RemoteQueen at_;
  std::string key_, certificate_;
  std::unique_ptr<Child> healthy_;
  int rss_ = 0;
  bool may_cost_others_ = false;
};

// CVE-2023-1428: fields that cannot be printed when the metadata is too large.
TEST_F(Attack, N2FieldsThatCannotBeShown) {
  const std::string fields[] = {Request(kControl, "x"), Request(kControl, "trailers", "x"),
                                Request(kControl) + Field("grpclb_client_stats", "x")};
  std::string padding;
  for (int i = 0; i < 12; ++i) padding += Field(absl::StrCat("x-", i), std::string(1000, 'a'));
  for (const std::string& trigger : fields) {
    ExpectDeaf(Bytes(kHeaders, kEndHeaders, 1, trigger + padding));
    for (const Way way : {Way::kEnrolled, Way::kLocal}) {
      for (int i = 0; i < Size(10); ++i) {
        std::unique_ptr<Http2Peer> peer = Greeted(way, /*acknowledge=*/i % 3 != 0);
        peer->Send(Bytes(kHeaders, kEndHeaders, 1, i % 2 == 0 ? trigger + padding : padding + trigger));
        // The end of the stream has fields too.
        peer->Send(Bytes(kHeaders, kEndHeaders | kEndStream, 1, trigger + padding));
        peer->AnswersPing();
        ASSERT_TRUE(Queen().Running());
      }
    }
  }
}

// CVE-2023-33953, and the flood of CONTINUATION.
TEST_F(Attack, N3HeadersWithoutEnd) {
  const std::string huge_name = std::string(1, '\0') + Number(0xffffffff, 7) + std::string(1000, 'a');
  const std::string huge_value = Field("a", "").substr(0, 3) + Number(0xffffffff, 7) + std::string(1000, 'a');
  const std::string endless = std::string(1, '\0') + '\x7f' + std::string(16000, '\x80');
  for (const std::string& shape : {huge_name, huge_value, endless}) {
    ExpectDeaf(Bytes(kHeaders, kEndHeaders, 1, shape));
    for (const Way way : {Way::kEnrolled, Way::kLocal}) {
      for (int i = 0; i < Size(5); ++i) {
        std::unique_ptr<Http2Peer> peer = Greeted(way, i % 2 == 0);
        peer->Send(Bytes(kHeaders, 0, 1, shape));
        for (int k = 0; k < 20 && peer->open(); ++k)
          peer->Send(Bytes(kContinuation, 0, 1, std::string(16000, '\x80')));
        peer->Send(Bytes(kContinuation, kEndHeaders, 1));
        ASSERT_TRUE(Queen().Running());
      }
    }
  }
}

TEST_F(Attack, N3FieldsWithoutEnd) {
  auto flood = [](Http2Peer& peer, std::uint32_t stream, int fields) {
    peer.Send(Bytes(kHeaders, 0, stream, Request(kControl)));
    for (int i = 0; i < fields && peer.open(); ++i)
      peer.Send(Bytes(kContinuation, 0, stream, Field(absl::StrCat("x-", i), std::string(16000, 'a'))));
  };
  for (const Way way : {Way::kEnrolled, Way::kLocal}) {
    std::unique_ptr<Http2Peer> peer = Greeted(way);
    flood(*peer, 1, Size(2000));
    EXPECT_TRUE(peer->Ends()) << "who knows the limit is held to it";
  }
  // Who does not say that it knows: the first such block that becomes a call is too much.
  std::unique_ptr<Http2Peer> peer = Greeted(Way::kEnrolled, false);
  for (std::uint32_t stream = 1; stream < 40 && peer->open(); stream += 2) {
    flood(*peer, stream, 900);
    peer->Send(Bytes(kContinuation, kEndHeaders, stream));
  }
  EXPECT_TRUE(peer->Ends()) << "who sends more than it may is cut off";
}

// Known, and open: a block of fields that never ends is kept, of a peer that does not acknowledge SETTINGS.
TEST_F(Attack, N3FieldsThatNeverEndAreKept) {
  constexpr int kSent = 100;  // MB
  std::unique_ptr<Http2Peer> peer = Greeted(Way::kEnrolled, false);
  peer->Send(Bytes(kHeaders, 0, 1, Request(kControl)));
  for (int i = 0; i < kSent * 1000 / 16; ++i)
    EXPECT_TRUE(
        peer->Send(Bytes(kContinuation, 0, 1, Field(absl::StrCat("x-", i), std::string(16000, 'a')))));
  std::printf("[ figures  ] %d MB of fields, queen +%d MiB\n", kSent, Rss() - rss_);
  ExpectWell(2 * kSent);
  rss_ = Rss();
}

// CVE-2023-4785: one accept without a descriptor, and the listeners of this gRPC hear nothing any more.
class FewDescriptors : public Attack {
 protected:
  void SetUp() override {
    queen_files_ = 256;
    StartHive();
  }
  std::vector<UniqueFd> Flood(int count) {
    std::vector<UniqueFd> flood;
    for (int i = 0; i < count; ++i)
      flood.push_back(ConnectTcp(at_.grpc, "127.0.0." + std::to_string(2 + i % 20)));
    return flood;
  }
  bool Welcomed() {
    return Eventually([&] { return Connect(Way::kEnrolled)->Greet(); }, 5s);
  }
};

TEST_F(FewDescriptors, N4StrangersThatStay) {
  std::vector<UniqueFd> flood = Flood(400);
  ExpectWell();  // on the connections there are, and over the socket
  flood.clear();
  EXPECT_TRUE(Welcomed());
}

TEST_F(FewDescriptors, N4NoneAtAll) {
  rlimit before{};
  const rlimit none{30, 256};
  ASSERT_EQ(::prlimit(Queen().pid(), RLIMIT_NOFILE, &none, &before), 0);
  {
    std::vector<UniqueFd> flood = Flood(50);
    std::vector<std::unique_ptr<Http2Peer>> local;
    for (int i = 0; i < 50; ++i) local.push_back(Connect(Way::kLocal));
    EXPECT_TRUE(Eventually([&] { return absl::StrContains(Queen().Err(), "Too many open files"); }));
  }
  ASSERT_EQ(::prlimit(Queen().pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  EXPECT_TRUE(Welcomed()) << "both doors open again";
  EXPECT_TRUE(Connect(Way::kLocal)->Greet());
}

TEST_F(FewDescriptors, N4ConnectsAndAborts) {
  for (int i = 0; i < Size(2000); ++i) {
    TlsPeer peer(at_.grpc, {.from = "127.0.0." + std::to_string(2 + i % 100), .alpn = "\x02h2"});
    if (i % 3 == 0) peer.SendRaw(peer.Hello());
    peer.Reset();
  }
  EXPECT_TRUE(Welcomed());
}

TEST_F(Attack, N4AnAddressHasSoManyConnections) {
  std::vector<UniqueFd> own;
  for (int i = 0; i < 100; ++i) own.push_back(ConnectTcp(at_.grpc, "127.0.0.1"));
  EXPECT_TRUE(Eventually([&] { return absl::StrContains(Queen().Err(), "its address has too many"); }));
  EXPECT_FALSE(Connect(Way::kEnrolled)->Greet());
  own.clear();
  EXPECT_TRUE(Eventually([&] { return Connect(Way::kEnrolled)->Greet(); }, 5s));
}

// CVE-2023-44487.
TEST_F(Attack, N5RapidReset) {
  const std::string request = Request(kControl);
  for (const Way way : {Way::kEnrolled, Way::kLocal}) {
    std::unique_ptr<Http2Peer> peer = Greeted(way);
    std::string batch;
    std::uint32_t sent = 0;
    for (const auto most = static_cast<std::uint32_t>(Size(10'000)); sent < most && peer->open(); ++sent) {
      const std::uint32_t stream = 2 * sent + 1;
      batch += Bytes(kHeaders, kEndHeaders, stream, request) + Bytes(kReset, 0, stream, ResetCode(8));
      if (batch.size() < 60'000) continue;
      peer->Send(batch);
      batch.clear();
    }
    if (way == Way::kEnrolled) {
      EXPECT_TRUE(peer->Ends());
      EXPECT_THAT(Queen().Err(), testing::HasSubstr("attacker at 127.0.0.1:"));
      EXPECT_THAT(Queen().Err(), testing::HasSubstr(" calls too often: its connection is cut"));
      EXPECT_LT(Rss() - rss_, kMostGrowth);
      rss_ = Rss();
    } else {
      EXPECT_TRUE(peer->AnswersPing()) << "who owns the socket may do so";
      std::printf("[ figures  ] over the socket: queen +%d MiB\n", Rss() - rss_);
      rss_ = Rss();
    }
  }
  ExpectDeaf(Bytes(kHeaders, kEndHeaders, 1, request) + Bytes(kReset, 0, 1, ResetCode(8)));
}

std::string Gzip(const std::string& plain) {
  z_stream stream{};
  EXPECT_EQ(::deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(::deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

TEST_F(Attack, N7SizesThatLie) {
  const std::string bomb = Gzip(std::string(Size(200) * (1 << 20), '\0'));
  const std::string gzip = Field("grpc-encoding", "gzip");
  const auto bomb_size = static_cast<std::uint32_t>(bomb.size());
  ExpectDeaf(Bytes(kHeaders, kEndHeaders, 1, Request(kBulk)) + Bytes(kData, 0, 1, Message("x", ~0u)));
  for (const Way way : {Way::kEnrolled, Way::kLocal}) {
    for (const std::string_view path : {kControl, kBulk}) {
      EXPECT_GT(StatusOf(way, path, Message("x", ~0u)), 0) << "more was promised than sent";
      EXPECT_EQ(StatusOf(way, path, Message(std::string(3 << 20, 'x'))), kResourceExhausted);
      EXPECT_EQ(StatusOf(way, path, Message(bomb, bomb_size, /*compressed=*/true), gzip), kUnimplemented);
      EXPECT_GT(StatusOf(way, path, Message(bomb, bomb_size, /*compressed=*/true)), 0);
      EXPECT_LT(Rss() - rss_, kMostGrowth);
    }
  }
}

class LittleMemory : public Attack {
 protected:
  void SetUp() override {
    StartHive({"--grpc-memory", "128"});
    may_cost_others_ = true;  // it is the memory of all connections together; a drone comes back by itself
  }
};

// This gRPC looks at the length of a message when all of it is there.
TEST_F(LittleMemory, N7AMessageWithoutEnd) {
  const std::string mib(1 << 20, 'x');
  for (const Way way : {Way::kEnrolled, Way::kLocal}) {
    std::unique_ptr<Http2Peer> peer = Greeted(way);
    peer->Send(Bytes(kHeaders, kEndHeaders, 1, Request(kBulk)));
    peer->SendData(1, Message("x", ~0u));
    int sent = 0;
    while (sent < Size(400) && peer->SendData(1, mib)) ++sent;
    std::printf("[ figures  ] %d MiB sent, queen +%d MiB\n", sent, Rss() - rss_);
    EXPECT_LT(Rss() - rss_, 128 + kMostGrowth);
  }
  rss_ = Rss();
}

std::string Varint(std::size_t n) {
  std::string out;
  for (; n >= 128; n >>= 7) out.push_back(static_cast<char>(n | 128));
  out.push_back(static_cast<char>(n));
  return out;
}

TEST_F(Attack, N8MessagesNoParserLikes) {
  std::string groups, nested, unknown;
  for (int i = 0; i < 10'000; ++i) groups += "\x7b";  // field 15 begins as a group
  for (int i = 0; i < 10'000; ++i) groups += "\x7c";
  for (int i = 0; i < 10'000; ++i) nested = "\x0a" + Varint(nested.size()) + nested;  // field 1 in field 1
  for (int i = 0; i < 1'000'000; ++i) unknown += "\x78\x01";                          // field 15 = 1
  const std::string wrong_types = "\x08\x01\x12\x01\x00\x1d\x00\x00\x00\x00\x21" + std::string(8, '\0');
  const std::string cut = "\x0a\xff\xff\xff\xff\x0f", bad_tag = std::string("\x07\x00\xff", 3);
  ExpectDeaf(Bytes(kHeaders, kEndHeaders, 1, Request(kControl)) + Bytes(kData, 0, 1, Message("\x7b\x7b")));
  for (const Way way : {Way::kEnrolled, Way::kLocal}) {
    for (const std::string_view path : {kControl, kBulk}) {
      for (const std::string& message : {groups, nested, unknown, wrong_types, cut, bad_tag})
        EXPECT_THAT(StatusOf(way, path, Message(message)),
                    testing::AnyOf(kInvalidArgument, kFailedPrecondition))  // or of a version nobody speaks
            << message.size();
    }
  }
}

}  // namespace
}  // namespace waggle::test
