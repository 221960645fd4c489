// Drones on other hosts: enrolment, the port that demands a certificate, restarts, revocation.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/client_unary_call.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/rpc/channel.h"
#include "common/tls/authority.h"
#include "tests/support/remote_queen.h"
#include "waggle/v1/hive.grpc.pb.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

class RemoteDrones : public RemoteFixture {
 protected:
  // At the ports she had before, if there was one.
  void StartOrRestartQueen(const Words& flags = {}) { at_ = StartRemoteQueen(at_, flags); }
  Outcome Enrol(const std::string& name, const std::string& token) {
    return RemoteFixture::Enrol(at_.https, name, token);
  }
  void EnrolDrone(const std::string& name, const Words& flags = {}) {
    RemoteFixture::EnrolDrone(at_.https, name, flags);
  }
  // The enrolled drone's daemon, connected over TLS.
  Child& Serve(const std::string& name, const Words& flags = {}) {
    Words argv = {Binary("drone"), "serve", "--data", DroneData(name), "--slots", "1"};
    argv.insert(argv.end(), flags.begin(), flags.end());
    served_.push_back(std::make_unique<Child>(Start(argv)));
    Child& drone = *served_.back();
    EXPECT_TRUE(Eventually([&] { return !drone.Running() || IsConnected(name); })) << drone.Err();
    return drone;
  }
  bool IsConnected(const std::string& name) {
    for (const Json& drone : Drones()) {
      if (drone["name"] == name && drone["connected_at"] != 0) return true;
    }
    return false;
  }
  Outcome Revoke(const std::string& name) {
    return Start({Binary("queen"), "revoke", "drone", name, "--data", QueenData()}).Finish();
  }
  static Json Needing(const std::string& label, const std::string& script) {
    Json job = TestJob({script});
    job["needs"] = {{label, "yes"}};
    return job;
  }
  tls::Authority Authority() {
    auto authority = tls::Authority::FromPem(ReadText(QueenData() + "/tls/authority.key"),
                                             ReadText(QueenData() + "/tls/authority.crt"));
    EXPECT_TRUE(authority.ok()) << authority.status();
    return *std::move(authority);
  }

  RemoteQueen at_;
  std::vector<std::unique_ptr<Child>> served_;
};

TEST_F(RemoteDrones, AnEnrolledDroneRunsWhatOnlyItMay) {
  StartOrRestartQueen();
  StartDrone("local");
  EnrolDrone("bee", {"--label", "prod=yes"});
  EnrolDrone("liar");
  Serve("liar", {"--label", "prod=yes", "--speed", "100"});
  const std::uint64_t job = Submit(Needing("prod", "echo for bee alone"));
  EXPECT_THAT(std::string(Show(job)["detail"]), HasSubstr("prod"));
  Serve("bee");
  WaitForState(job, "passed");
  EXPECT_EQ(Show(job)["drone"], "bee");
  EXPECT_EQ(Raw(job), "for bee alone\n");
  ExpectVerified(job);
  const std::string key = DroneData("bee") + "/tls/drone.key";
  struct stat info;
  ASSERT_EQ(::stat(key.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_TRUE(FilesContaining(QueenData(), ReadText(key)).empty()) << "the key left its host";
}

TEST_F(RemoteDrones, AnInvitationWorksOnceAndItsPinMustMatch) {
  StartOrRestartQueen();
  const std::string token = Invite("drone", "");
  std::string forged = token;
  forged.back() = forged.back() == '0' ? '1' : '0';
  const Outcome other = Enrol("forged", forged);
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("does not match"));
  EXPECT_FALSE(Exists(DroneData("forged") + "/tls/enrolled"));
  EXPECT_EQ(Enrol("bee", token).code, 0) << "it was not used up by that";
  const Outcome again = Enrol("late", token);
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("already used by bee"));
  EXPECT_THAT(again.err, HasSubstr("next: "));
  EXPECT_TRUE(FilesContaining(QueenData(), token.substr(4, 43)).empty()) << "the token is stored";
  EXPECT_EQ(Enrol("late", "wg1.short").code, 2);
  const Outcome person = Enrol("anna", Invite("user", "anna"));
  EXPECT_EQ(person.code, 1);
  EXPECT_THAT(person.err, HasSubstr("this invitation was a person's"));
}

TEST_F(RemoteDrones, TheTokenNeedNotBeAnArgument) {
  StartOrRestartQueen();
  const Outcome enrolled =
      Start({"/bin/sh", "-c", "echo \"$0\" | \"$@\"", Invite("drone", "bee"), Binary("drone"), "enroll",
             "https://" + at_.https, "--token-stdin", "--data", DroneData("bee")})
          .Finish();
  EXPECT_EQ(enrolled.code, 0) << enrolled;
  EXPECT_THAT(enrolled.out, HasSubstr("enrolled as bee"));
  const Outcome neither =
      Start({Binary("drone"), "enroll", "https://" + at_.https, "--data", DroneData("x")}).Finish();
  EXPECT_EQ(neither.code, 2);
  EXPECT_THAT(neither.err, HasSubstr("one of --token and --token-stdin is wanted"));
}

TEST_F(RemoteDrones, AnEnrolmentThatWasCutOffIsRepeated) {
  StartOrRestartQueen();
  const std::string token = Invite("drone", "bee");
  EXPECT_EQ(Enrol("bee", token).code, 0);
  // As if the answer had not come: the key is there, what it is for is not.
  const std::string tls = DroneData("bee") + "/tls/";
  ASSERT_EQ(::rename((tls + "drone.key").c_str(), (tls + "pending.key").c_str()), 0);
  ASSERT_EQ(::unlink((tls + "enrolled").c_str()), 0);
  const Outcome again = Enrol("bee", token);
  EXPECT_EQ(again.code, 0) << again;
  EXPECT_FALSE(Exists(tls + "pending.key"));
  Serve("bee");
  EXPECT_TRUE(IsConnected("bee"));
}

TEST_F(RemoteDrones, NobodyElseGetsAWordOfHttp2) {
  StartOrRestartQueen();
  const tls::Authority ours = Authority();
  const tls::Authority foreign = *tls::Authority::Create("Waggle queen", WallNow());
  const tls::Key key = *tls::Key::Generate();
  const tls::Request request = *tls::Request::FromPem(*tls::MakeRequest(key));
  const auto hour = std::chrono::hours(1);
  const tls::Certificate expired =
      *ours.Sign(request, tls::Role::kDrone, "bee", WallNow(), std::chrono::seconds(1));
  ASSERT_TRUE(Eventually([&] { return !expired.CheckTime(WallNow()).ok(); }));
  struct Case {
    const char* what;
    std::string certificate;
    bool tls12;
  };
  const Case cases[] = {
      {"no certificate", "", false},
      {"a foreign authority's", foreign.Sign(request, tls::Role::kDrone, "bee", WallNow(), hour)->pem(),
       false},
      {"an expired one", expired.pem(), false},
      {"TLS 1.2", ours.Sign(request, tls::Role::kDrone, "bee", WallNow(), hour)->pem(), true},
  };
  auto bytes_of = [&](const std::string& certificate, bool tls12) {
    std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    if (tls12) SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
    if (!certificate.empty()) {
      const std::string file = temp_ / "c.pem";
      WriteText(file, *key.ToPem() + certificate);
      EXPECT_EQ(SSL_CTX_use_certificate_file(context.get(), file.c_str(), SSL_FILETYPE_PEM), 1);
      EXPECT_EQ(SSL_CTX_use_PrivateKey_file(context.get(), file.c_str(), SSL_FILETYPE_PEM), 1);
    }
    const unsigned char alpn[] = "\x02h2";
    SSL_CTX_set_alpn_protos(context.get(), alpn, 3);
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(at_.grpc.substr(at_.grpc.rfind(':') + 1), &port));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    timeval patience{20, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::unique_ptr<SSL, void (*)(SSL*)> ssl(SSL_new(context.get()), SSL_free);
    SSL_set_fd(ssl.get(), fd.get());
    if (SSL_connect(ssl.get()) != 1) return 0;
    char buffer[64];
    return std::max(SSL_read(ssl.get(), buffer, sizeof buffer), 0);
  };
  for (const Case& refused : cases)
    EXPECT_EQ(bytes_of(refused.certificate, refused.tls12), 0) << refused.what;
  EXPECT_GT(bytes_of(ours.Sign(request, tls::Role::kDrone, "bee", WallNow(), hour)->pem(), false), 0)
      << "what is measured can be seen";
}

TEST_F(RemoteDrones, ACertificateOfOursIsNotEnough) {
  StartOrRestartQueen();
  const tls::Authority ours = Authority();
  const tls::Key key = *tls::Key::Generate();
  const tls::Request request = *tls::Request::FromPem(*tls::MakeRequest(key));
  auto refusal = [&](tls::Role role) {
    rpc::ChannelOptions options;
    options.tls = {*key.ToPem(), ours.Sign(request, role, "bee", WallNow(), std::chrono::hours(1))->pem(),
                   ours.certificate().pem()};
    auto stub = v1::Jobs::NewStub(rpc::OpenChannel(at_.grpc, options));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::ListJobsResponse jobs;
    return stub->List(&context, {}, &jobs);
  };
  for (tls::Role role : {tls::Role::kDrone, tls::Role::kUser}) {
    const grpc::Status status = refusal(role);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr("the queen does not know it"));
  }
  // A drone's own certificate opens nothing of people's.
  EnrolDrone("bee");
  rpc::ChannelOptions options;
  const std::string tls = DroneData("bee") + "/tls/";
  options.tls = {ReadText(tls + "drone.key"), ReadText(tls + "drone.crt"), ReadText(tls + "authority.crt")};
  auto stub = v1::Jobs::NewStub(rpc::OpenChannel(at_.grpc, options));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  v1::ListJobsResponse jobs;
  const grpc::Status status = stub->List(&context, {}, &jobs);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("this certificate is a drone's"));
}

// Each handler asks by itself: none may have forgotten. A method that is added is asked here too.
TEST_F(RemoteDrones, EveryMethodRefusesWhoMayNotCallIt) {
  StartOrRestartQueen();
  EnrolDrone("bee");
  struct Way {
    std::string what, key, certificate, spared;
    const google::protobuf::FileDescriptor* file;
  };
  const auto *people = v1::Job::descriptor()->file(), *drones = v1::HeldAttempt::descriptor()->file();
  const tls::Key stranger = *tls::Key::Generate();
  const tls::Request request = *tls::Request::FromPem(*tls::MakeRequest(stranger));
  const std::string key = *stranger.ToPem();
  const std::string unknown =
      Authority().Sign(request, tls::Role::kUser, "nobody", WallNow(), std::chrono::hours(1))->pem();
  const std::string tls = DroneData("bee") + "/tls/";
  const std::vector<Way> ways = {
      {"a drone at people's", ReadText(tls + "drone.key"), ReadText(tls + "drone.crt"), "Renew", people},
      {"an unknown one at people's", key, unknown, "", people},
      {"an unknown one at drones'", key, unknown, "", drones},
  };
  int calls = 0;
  for (const Way& way : ways) {
    rpc::ChannelOptions options;
    options.tls = {way.key, way.certificate, ReadText(tls + "authority.crt")};
    std::shared_ptr<grpc::Channel> channel = rpc::OpenChannel(at_.grpc, options);
    for (int s = 0; s < way.file->service_count(); ++s) {
      for (int m = 0; m < way.file->service(s)->method_count(); ++m) {
        const auto& method = *way.file->service(s)->method(m);
        if (method.name() == way.spared) continue;
        const std::string path = absl::StrCat("/", way.file->service(s)->full_name(), "/", method.name());
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + 10s);
        v1::ListDronesResponse response;
        const grpc::Status status = grpc::internal::BlockingUnaryCall(
            channel.get(), grpc::internal::RpcMethod(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC),
            &context, v1::ListDronesRequest(), &response);
        EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED)
            << way.what << " " << path << ": " << status.error_message();
        ++calls;
      }
    }
  }
  EXPECT_GE(calls, 30);
  EXPECT_TRUE(Queen().Running());
}

TEST_F(RemoteDrones, AnotherNameIsRefused) {
  StartOrRestartQueen();
  EnrolDrone("bee");
  Child& drone = Serve("bee", {"--name", "queen-of-hearts"});
  EXPECT_EQ(drone.Finish().code, 1);
  EXPECT_THAT(drone.Err(), HasSubstr("this drone is enrolled as bee, not as queen-of-hearts"));
}

TEST_F(RemoteDrones, AJobOutlivesBothDaemons) {
  StartOrRestartQueen();
  EnrolDrone("bee");
  Serve("bee").Running();
  const std::uint64_t job = Submit(TestJob({"seq 1 5000", AwaitFile(Gate("go")), "seq 5001 10000"}));
  WaitForState(job, "started");
  const pid_t shim = JobProcesses("bee").front();
  KillQueen();
  served_.back()->Signal(SIGKILL);
  served_.back()->Wait();
  StartOrRestartQueen();
  Serve("bee");
  EXPECT_EQ(JobProcesses("bee").front(), shim);
  Open("go");
  WaitForState(job, "passed");
  std::string expected;
  for (int i = 1; i <= 10000; ++i) absl::StrAppend(&expected, i, "\n");
  EXPECT_TRUE(Raw(job) == expected);
  EXPECT_EQ(Show(job)["attempt"], 1);
}

TEST_F(RemoteDrones, ARevokedDroneIsGoneAndItsWorkGoesOnElsewhere) {
  StartOrRestartQueen();
  EnrolDrone("bee");
  Child& bee = Serve("bee");
  const std::uint64_t job = Submit(TestJob({AwaitFile(Gate("go"))}));
  WaitForState(job, "started");
  const Time before = BootClock::now();
  EXPECT_EQ(Revoke("bee").code, 0);
  EXPECT_TRUE(Eventually([&] { return !bee.Running(); })) << "a revoked drone has nothing to wait for";
  EXPECT_LT(BootClock::now() - before, std::chrono::seconds(5));
  EXPECT_THAT(bee.Err(), HasSubstr("revoked"));
  StartDrone("local");
  Open("go");
  WaitForState(job, "passed");
  EXPECT_EQ(Show(job)["drone"], "local");
  Child& again = Serve("bee");
  EXPECT_EQ(again.Finish().code, 1) << "not ever";
}

TEST_F(RemoteDrones, ACertificateIsRenewedInPassing) {
  // A minute of validity that began five minutes ago: more than half is over at once.
  StartOrRestartQueen({"--peer-certificate", "1m", "--lease", "3s"});
  EnrolDrone("bee");
  const std::string path = DroneData("bee") + "/tls/drone.crt", first = ReadText(path);
  Child& bee = Serve("bee");
  ASSERT_TRUE(Eventually([&] { return absl::StrContains(bee.Err(), "was renewed"); })) << bee.Err();
  EXPECT_NE(ReadText(path), first);
  KillQueen();
  StartOrRestartQueen({"--peer-certificate", "1m", "--lease", "3s"});
  EXPECT_TRUE(Eventually([&] { return IsConnected("bee"); })) << bee.Err();
}

TEST_F(RemoteDrones, WhatIsMissingIsSaid) {
  StartQueen();
  const Outcome closed = Start({Binary("queen"), "invite", "drone", "--data", QueenData()}).Finish();
  EXPECT_EQ(closed.code, 1);
  EXPECT_THAT(closed.err, HasSubstr("does not listen for other hosts"));
  const Outcome kind = Start({Binary("queen"), "invite", "wasp", "--data", QueenData()}).Finish();
  EXPECT_EQ(kind.code, 2);
  const Outcome stranger = Start({Binary("drone"), "serve", "--data", DroneData("x")}).Finish();
  EXPECT_EQ(stranger.code, 2);
  EXPECT_THAT(stranger.err, HasSubstr("drone enroll URL --token INVITATION"));
  StopQueen();
  const Outcome absent = Start({Binary("queen"), "peers", "--data", QueenData()}).Finish();
  EXPECT_THAT(absent.err, HasSubstr("no queen answers"));
  StartRemoteQueen();
  StopQueen();
  const Words check = {Binary("queen"), "check", "--data", QueenData()};
  EXPECT_THAT(Start(check).Finish().out, HasSubstr("✓ authority: until "));
  WriteText(QueenData() + "/tls/authority.crt", "damaged");
  const Outcome checked = Start(check).Finish();
  EXPECT_EQ(checked.code, 1);
  EXPECT_THAT(checked.out, HasSubstr("✗ the queen's authority in "));
  const Outcome damaged =
      Start({Binary("queen"), "serve", "--data", QueenData(), "--listen", "127.0.0.1:0"}).Finish();
  EXPECT_NE(damaged.code, 0);
  EXPECT_THAT(damaged.err, HasSubstr("restore it from a backup"));
}

}  // namespace
}  // namespace waggle::test
