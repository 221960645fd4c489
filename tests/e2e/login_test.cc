// A person on another host: an invitation becomes a login, the command line works over TLS with it, and it
// ends when the administrator says so.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/rpc/channel.h"
#include "tests/e2e/raw_drone.h"
#include "tests/support/remote_queen.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace fs = std::filesystem;

std::string ReadText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

class Login : public RemoteFixture {
 protected:
  void SetUp() override { queen_ = StartRemoteQueen(); }

  Outcome LogIn(const std::string& token, const Words& flags = {}) {
    Words args = {"login", "https://" + queen_.https, "--token", token};
    args.insert(args.end(), flags.begin(), flags.end());
    return Waggle(args);
  }
  // Enrols and expects that it works.
  void LogInAs(const std::string& name) {
    const Outcome outcome = LogIn(Invite("user", name));
    EXPECT_EQ(outcome.code, 0) << outcome;
  }
  Words OverTls(Words args) const {
    args.insert(args.end(), {"--queen", queen_.grpc});
    return args;
  }
  Outcome Revoke(const std::string& name) {
    return Start({Binary("queen"), "revoke", "user", name, "--data", QueenData()}).Finish();
  }
  std::string Logins() const { return temp_ / "home/.config/waggle/queens"; }
  std::string Folder(std::string place) const {
    place[place.rfind(':')] = '_';
    return Logins() + "/" + place;
  }

  RemoteQueen queen_;
};

TEST_F(Login, APersonSubmitsWatchesAndListsFromAnotherHost) {
  StartDrone("bee");
  const Outcome in = LogIn(Invite("user", "anna"));
  EXPECT_EQ(in.code, 0) << in;
  EXPECT_EQ(in.out, "logged in to " + queen_.grpc + " as anna\nuse it: waggle --queen " + queen_.grpc +
                        " jobs, or set WAGGLE_QUEEN=" + queen_.grpc + "\n");
  EXPECT_THAT(in.err, StartsWith("hint: other users of this host could see that token"));
  EXPECT_EQ(ModeOf(Logins()), 0700);
  EXPECT_EQ(ModeOf(Folder(queen_.grpc)), 0700);
  EXPECT_EQ(ModeOf(Folder(queen_.grpc) + "/login.json"), 0600);

  const std::string job = WriteJob(TestJob({"echo over the wire"}));
  const Outcome watched = Waggle(OverTls({"submit", "--job", job, "--watch"}));
  EXPECT_EQ(watched.code, 0) << watched;
  EXPECT_EQ(watched.out, "over the wire\n");
  const Outcome listed = Waggle({"jobs", "-o", "json", "--queen", "https://" + queen_.https});
  EXPECT_EQ(listed.code, 0) << listed;
  EXPECT_EQ(Json::parse(listed.out).at(0)["state"], "passed");
  EXPECT_EQ(Waggle(OverTls({"logs", "1", "--raw"})).out, "over the wire\n");
  env_["WAGGLE_QUEEN"] = queen_.grpc;
  EXPECT_EQ(Waggle({"verify", "1"}).code, 0);
}

TEST_F(Login, ATokenWorksOnceAndThePersonKeepsWhatItGave) {
  const std::string token = Invite("user", "anna");
  ASSERT_EQ(LogIn(token).code, 0);
  const std::string kept = ReadText(Folder(queen_.grpc) + "/login.json");
  const Outcome again = LogIn(token, {"-q"});
  EXPECT_EQ(again.code, 4) << again;
  EXPECT_THAT(again.err, StartsWith("error: this invitation was already used by anna at "));
  EXPECT_THAT(again.err, HasSubstr("[WG501]\n"));
  EXPECT_EQ(ReadText(Folder(queen_.grpc) + "/login.json"), kept);
  EXPECT_EQ(Waggle(OverTls({"jobs"})).code, 0);
}

TEST_F(Login, ARevokedPersonIsCutOffInTheMiddleOfAWatch) {
  StartDrone("bee");
  LogInAs("anna");
  const std::uint64_t job = Submit(TestJob({"echo begun\n" + AwaitFile(Gate("end"))}));
  WaitForState(job, "started");
  Child watch = StartWaggle(OverTls({"watch", std::to_string(job)}));
  ASSERT_TRUE(Eventually([&] { return watch.Out() == "begun\n"; })) << watch.Err();
  ASSERT_EQ(Revoke("anna").code, 0);
  const std::optional<int> code = watch.Wait(5s);
  ASSERT_TRUE(code) << "the watch goes on\n" << watch.Err();
  EXPECT_EQ(*code, 125) << watch.Err();
  EXPECT_THAT(watch.Err(), HasSubstr("revoked"));
  const Outcome later = Waggle(OverTls({"jobs"}));
  EXPECT_EQ(later.code, 4) << later;
  EXPECT_THAT(later.err,
              StartsWith("error: the certificate of anna was revoked, or the queen does not know it"));
  Open("end");
  WaitForState(job, "passed");
}

TEST_F(Login, ARestartOfTheQueenKeepsLogins) {
  StartDrone("bee");
  LogInAs("anna");
  const std::uint64_t job = Submit(TestJob({AwaitFile(Gate("end")) + "echo done"}));
  WaitForState(job, "started");
  Child watch = StartWaggle(OverTls({"watch", std::to_string(job)}));
  ASSERT_TRUE(Eventually([&] { return !watch.Err().empty(); }));
  KillQueen();
  const Outcome away = Waggle(OverTls({"jobs"}));
  EXPECT_EQ(away.code, 5) << away;
  EXPECT_THAT(away.err, StartsWith("error: cannot reach the queen at " + queen_.grpc + "\n"));
  EXPECT_THAT(away.err, HasSubstr("[WG001]\n"));
  StartRemoteQueen(queen_);
  EXPECT_EQ(Waggle(OverTls({"jobs"})).code, 0);
  Open("end");
  const Outcome end = watch.Finish();
  EXPECT_EQ(end.code, 0) << end;
  EXPECT_EQ(end.out, "done\n");
}

TEST_F(Login, APersonIsNoDrone) {
  LogInAs("anna");
  const Json stored = Json::parse(ReadText(Folder(queen_.grpc) + "/login.json"));
  rpc::ChannelOptions options;
  options.tls = rpc::PeerTls{stored["key"], stored["certificate"], stored["authority"]};
  auto stub = v1::Hive::NewStub(rpc::OpenChannel("dns:///" + queen_.grpc, options));
  RawControl control([&](grpc::ClientContext* context) { return stub->Control(context); });
  const grpc::Status end = control.End();
  EXPECT_EQ(end.error_code(), grpc::StatusCode::PERMISSION_DENIED) << end.error_message();
  EXPECT_THAT(end.error_message(), HasSubstr("this certificate is a person's"));
}

TEST_F(Login, AnotherQueenIsToldApart) {
  LogInAs("anna");
  const std::string token = Invite("user", "ben");
  const RemoteQueen mine = queen_;
  KillQueen();
  fs::rename(QueenData(), temp_ / "old");
  queen_ = StartRemoteQueen();  // an authority of her own

  const Outcome wrong_pin = LogIn(token, {"-q"});
  EXPECT_EQ(wrong_pin.code, 4) << wrong_pin;
  EXPECT_THAT(wrong_pin.err,
              StartsWith("error: the queen at " + queen_.https + " is not the one that made this token\n"));
  EXPECT_THAT(wrong_pin.err, HasSubstr("nothing was sent"));
  EXPECT_THAT(wrong_pin.err, HasSubstr("[WG502]\n"));
  EXPECT_FALSE(fs::exists(Folder(queen_.grpc)));

  StopQueen();
  StartRemoteQueen({mine.grpc, mine.https});
  const Outcome met = Waggle({"jobs", "--queen", mine.grpc});
  EXPECT_EQ(met.code, 4) << met;
  EXPECT_THAT(met.err, StartsWith("error: the queen at " + mine.grpc + " is not the one you logged in to\n"));
  EXPECT_THAT(met.err, HasSubstr("[WG502]\n"));
}

TEST_F(Login, ADronesInvitationIsNoPersons) {
  const Outcome outcome = LogIn(Invite("drone", "bee"), {"-q"});
  EXPECT_EQ(outcome.code, 4) << outcome;
  EXPECT_EQ(outcome.err,
            "error: this invitation was a drone's, and is used up\n  next: ask for one of `queen "
            "invite user NAME` [WG501]\n");
  EXPECT_FALSE(fs::exists(Folder(queen_.grpc)));
}

TEST_F(Login, LogoutDeletesTheKey) {
  LogInAs("anna");
  const Outcome out = Waggle({"logout"});
  EXPECT_EQ(out.code, 0) << out;
  EXPECT_EQ(out.out,
            "logged out of " + queen_.grpc +
                ": its key is deleted\nher administrator takes anna from her list with `queen revoke "
                "user anna`\n");
  EXPECT_FALSE(fs::exists(Folder(queen_.grpc)));
  const Outcome later = Waggle(OverTls({"jobs"}));
  EXPECT_EQ(later.code, 4) << later;
  EXPECT_THAT(later.err, StartsWith("error: you are not logged in to " + queen_.grpc + "\n"));
  EXPECT_THAT(later.err, HasSubstr("[WG002]\n"));
}

}  // namespace
}  // namespace waggle::test
