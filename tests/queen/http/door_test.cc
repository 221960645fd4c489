// Who enters, who is turned away, and that the door opens again whatever happened.
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "queen/http/door.h"
#include "tests/support/child.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tls_peer.h"

namespace waggle::queen::http {
namespace {

using test::ConnectTcp;
using test::Eventually;
using testing::HasSubstr;

class DoorTest : public testing::Test {
 protected:
  void Start(const std::string& listen = "127.0.0.1:0", std::size_t in_all = 100,
             std::size_t per_address = 100) {
    auto door = Door::Bind({"grpc", listen, in_all, per_address, std::chrono::milliseconds(20)});
    ASSERT_TRUE(door.ok()) << door.status();
    door_ = *std::move(door);
    const absl::Status opened = door_->Open([this](UniqueFd socket) {
      absl::MutexLock lock(&mutex_);
      inside_.push_back(std::move(socket));
    });
    ASSERT_TRUE(opened.ok()) << opened;
  }
  UniqueFd Come(const std::string& from = "127.0.0.1") { return ConnectTcp(door_->bound(), from); }
  UniqueFd ComeLocally(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return socket;
  }
  std::size_t Inside() {
    absl::MutexLock lock(&mutex_);
    return inside_.size();
  }
  bool Enters(std::size_t count) {
    return Eventually([&] { return Inside() == count; });
  }
  void Leave(std::size_t which) {
    absl::MutexLock lock(&mutex_);
    inside_[which].Reset();
  }
  void LeaveAll() {
    absl::MutexLock lock(&mutex_);
    inside_.clear();
  }
  static bool IsClosed(const UniqueFd& socket) {
    timeval patience{20, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char byte;
    const ssize_t n = ::recv(socket.get(), &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
  }
  static std::string NameOf(const UniqueFd& socket) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    return absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }

  test::TempDir temp_;
  absl::Mutex mutex_;
  std::vector<UniqueFd> inside_;
  std::unique_ptr<Door> door_;
};

TEST_F(DoorTest, WhoEntersCanBeTalkedTo) {
  Start();
  UniqueFd guest = Come();
  ASSERT_TRUE(Enters(1));
  ASSERT_EQ(::write(guest.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_TRUE(Eventually([&] { return ::read(inside_[0].get(), &byte, 1) == 1; })) << "it does not block";
  EXPECT_EQ(byte, 'x');
  EXPECT_NE(door_->port(), 0);
  door_.reset();
  EXPECT_EQ(::write(inside_[0].get(), "y", 1), 1) << "what has entered stays";
  EXPECT_EQ(::read(guest.get(), &byte, 1), 1);
}

TEST_F(DoorTest, AnAddressHasSoManyPlacesAndGetsThemBack) {
  Start("127.0.0.1:0", 100, 3);
  std::vector<UniqueFd> guests;
  for (int i = 0; i < 3; ++i) guests.push_back(Come());
  ASSERT_TRUE(Enters(3));
  EXPECT_TRUE(IsClosed(Come()));
  EXPECT_EQ(door_->refused(Refused::kAddressFull), 1u);
  guests.push_back(Come("127.0.0.2"));
  ASSERT_TRUE(Enters(4));
  Leave(1);  // its owner closed it; nobody told the door
  EXPECT_TRUE(Eventually([&] {
    guests.push_back(Come());
    return Eventually([&] { return Inside() == 5; }, 200ms);
  }));
  EXPECT_EQ(door_->connections(), 4u);
}

TEST_F(DoorTest, ThereAreSoManyPlacesInAll) {
  Start("127.0.0.1:0", 4, 3);
  std::vector<UniqueFd> guests;
  for (int i = 0; i < 4; ++i) guests.push_back(Come("127.0.0." + std::to_string(1 + i)));
  ASSERT_TRUE(Enters(4));
  EXPECT_TRUE(IsClosed(Come("127.0.0.9")));
  EXPECT_EQ(door_->refused(Refused::kServerFull), 1u);
  LeaveAll();
  EXPECT_EQ(door_->connections(), 0u);
  guests.push_back(Come());
  EXPECT_TRUE(Enters(1));
}

TEST_F(DoorTest, OneOfManyIsCut) {
  Start();
  UniqueFd first = Come(), second = Come();
  ASSERT_TRUE(Enters(2));
  EXPECT_FALSE(door_->Cut("127.0.0.1:1"));
  EXPECT_TRUE(door_->Cut(NameOf(second)));
  EXPECT_TRUE(IsClosed(second));
  EXPECT_EQ(::write(inside_[0].get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(first.get(), &byte, 1), 1) << "the other goes on";
}

TEST_F(DoorTest, WithoutDescriptorsItPausesAndOpensAgain) {
  Start();
  UniqueFd waiting(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{4, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  test::ConnectTo(waiting.get(), door_->bound());
  EXPECT_TRUE(Eventually([&] { return door_->refused(Refused::kNoDescriptors) >= 3; }));
  EXPECT_EQ(Inside(), 0u);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(Enters(1)) << "it waited in the kernel";
}

TEST_F(DoorTest, AUnixSocketIsItsOwnersAloneAndTakesOverAnOldOne) {
  const std::string path = temp_ / "q.sock";
  Start("unix:" + path, 2, 2);
  struct stat info;
  ASSERT_EQ(::lstat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  UniqueFd first = ComeLocally(path), second = ComeLocally(path);
  ASSERT_TRUE(Enters(2));
  EXPECT_TRUE(IsClosed(ComeLocally(path)));
  LeaveAll();
  door_->Close();
  EXPECT_FALSE(FileExists(path));
  UniqueFd left(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(left.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  Start("unix:" + path);
  UniqueFd third = ComeLocally(path);
  EXPECT_TRUE(Enters(1));
}

TEST_F(DoorTest, BothFamiliesEnterByOneDoor) {
  Start("[::]:0", 100, 1);
  const std::string port = std::to_string(door_->port());
  UniqueFd four = ConnectTcp("127.0.0.1:" + port);
  ASSERT_TRUE(Enters(1));
  EXPECT_TRUE(IsClosed(ConnectTcp("127.0.0.1:" + port)));
  EXPECT_TRUE(door_->Cut(NameOf(four))) << "an IPv4 peer is called what it is";
  UniqueFd six = ConnectTcp("[::1]:" + port);
  EXPECT_TRUE(Enters(2));
}

TEST_F(DoorTest, WrongAddressesAreNamed) {
  for (const std::string wrong : {"", "7874", "nowhere:", ":7874", "127.0.0.1:70000", "127.0.0.1:7874x",
                                  "::1:7874", "[::1]", "no such host:1"}) {
    auto door = Door::Bind({"grpc", wrong, 1, 1});
    ASSERT_EQ(door.status().code(), absl::StatusCode::kInvalidArgument) << wrong;
    EXPECT_THAT(std::string(door.status().message()), HasSubstr("next: write an address and a port"));
  }
  EXPECT_EQ(Door::Bind({"grpc", "unix:" + std::string(200, 'a'), 1, 1}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Door::Bind({"grpc", "unix:/no/such/directory/s", 1, 1}).status().code(),
            absl::StatusCode::kNotFound);
  Start();
  const absl::Status taken = Door::Bind({"grpc", door_->bound(), 1, 1}).status();
  EXPECT_FALSE(taken.ok());
  EXPECT_THAT(std::string(taken.message()), HasSubstr(door_->bound()));
}

}  // namespace
}  // namespace waggle::queen::http
