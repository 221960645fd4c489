// The built `waggle` against a queen on another host: what is kept of a login, and everything that can go
// wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "common/base/fd.h"
#include "common/tls/authority.h"
#include "tests/tools/driver.h"
#include "tests/tools/tls_queen.h"
#include "tools/waggle/json.h"
#include "tools/waggle/logins.h"

namespace waggle::cli {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;
namespace http = queen::http;
using Words = std::vector<std::string>;

constexpr auto kDay = 24h;

class WaggleLoginTest : public testing::Test {
 protected:
  Exit Run(Words args, std::map<std::string, std::string> env = {}) {
    env.emplace("XDG_CONFIG_HOME", dir_.File("xdg"));
    return RunWaggle(std::move(args), std::move(env), dir_.path());
  }
  Exit LogIn(const std::string& token, const std::string& place) {
    return Run({"login", "https://" + place, "--token", token, "-q"});
  }
  Exit LogIn() { return LogIn(queen_.token(), queen_.https()); }
  Exit Drones() { return Run({"drones", "--queen", queen_.grpc()}); }

  std::string Queens() const { return dir_.File("xdg/waggle/queens"); }
  std::string FileOf(std::string place) const {
    place[place.rfind(':')] = '_';
    return Queens() + "/" + place + "/login.json";
  }
  // A login that is there already.
  void Put(const std::string& place, const std::string& text) {
    dir_.Write(FileOf(place).substr(dir_.path().size() + 1), text);
  }
  std::string Kept() const { return ReadFile(FileOf(queen_.grpc()), 99'999).value_or(""); }
  std::vector<std::string> Pending() const {
    std::vector<std::string> found;
    for (const std::string& name : ListDirectory(Queens()).value_or(std::vector<std::string>()))
      if (name.starts_with("pending-")) found.push_back(name);
    return found;
  }

  TempDir dir_;
  TlsQueen queen_;
};

TEST_F(WaggleLoginTest, TheTokenMayComeFromStandardInput) {
  Waggle login({"login", "https://" + queen_.https() + "/", "--token-stdin", "-o", "json"},
               {{"XDG_CONFIG_HOME", dir_.File("xdg")}});
  login.SendInput(queen_.token() + "\n");
  const Exit exit = login.Finish();
  EXPECT_EQ(exit.code, 0) << exit.err;
  EXPECT_EQ(exit.err, "");
  const Json said = Json::parse(exit.out);
  EXPECT_EQ(said["queen"], queen_.grpc());
  EXPECT_EQ(said["name"], "anna");
  EXPECT_EQ(Drones().code, 0);
  EXPECT_EQ(Run({"drones", "--queen", "https://" + queen_.https()}).code, 0);
  EXPECT_THAT(Pending(), testing::IsEmpty());
}

TEST_F(WaggleLoginTest, WithoutAQueenHereTheOnlyLoginIsMeant) {
  ASSERT_EQ(LogIn().code, 0);
  EXPECT_EQ(Run({"drones"}).code, 0);
  EXPECT_THAT(Run({"config", "show", "--origin"}).out,
              StartsWith("queen: " + queen_.grpc() + "  # the only login in " + Queens() + "\n"));
  EXPECT_THAT(Run({"drones"}, {{"WAGGLE_QUEEN", dir_.path()}}).err, HasSubstr("/queen.sock"))
      << "whatever is said stands over it";
  Put("other.example:1", "{}");
  EXPECT_THAT(Run({"config", "show", "--origin"}).out, HasSubstr("# built-in\n"));
}

TEST_F(WaggleLoginTest, ARefusedTokenLeavesTheOldLogin) {
  ASSERT_EQ(LogIn().code, 0);
  const std::string kept = Kept();
  queen_.AnswerEnrolment([](const http::Request&) {
    return http::Problem(409, "this invitation expired at 2026-01-01 10:00 UTC\nnext: ask for a new one");
  });
  const Exit refused = LogIn();
  EXPECT_EQ(refused.code, 4);
  EXPECT_EQ(refused.err,
            "error: this invitation expired at 2026-01-01 10:00 UTC\n  next: ask for a new one [WG501]\n");
  EXPECT_EQ(Kept(), kept);
  EXPECT_THAT(Pending(), testing::IsEmpty());
  const Exit drones = Drones();
  EXPECT_EQ(drones.code, 0) << drones.err;
}

TEST_F(WaggleLoginTest, ATokenWhoseAnswerGotLostIsSentAgainWithTheSameKey) {
  queen_.AnswerEnrolment([](const http::Request&) { return http::Problem(503, "she is overloaded"); });
  const std::string token = queen_.token();
  const Exit lost = LogIn(token, queen_.https());
  EXPECT_EQ(lost.code, 5);
  EXPECT_THAT(lost.err,
              StartsWith("error: cannot reach the queen at " + queen_.https() + "\n  she is overloaded\n"));
  EXPECT_EQ(Pending().size(), 1u);
  struct stat info = {};
  ASSERT_EQ(::stat((Queens() + "/" + Pending().at(0)).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const std::string key = *ReadFile(Queens() + "/" + Pending().at(0), 9999);
  queen_.AnswerEnrolment(nullptr);
  EXPECT_EQ(LogIn(token, queen_.https()).code, 0);
  EXPECT_EQ(Json::parse(Kept())["key"], key);
  EXPECT_THAT(Pending(), testing::IsEmpty());
}

TEST_F(WaggleLoginTest, AnotherPinIsRefusedBeforeTheTokenIsSent) {
  const TlsQueen other;
  const Exit exit = LogIn(other.token(), queen_.https());
  EXPECT_EQ(exit.code, 4);
  EXPECT_THAT(exit.err,
              StartsWith("error: the queen at " + queen_.https() + " is not the one that made this token\n"));
  EXPECT_THAT(exit.err, HasSubstr("[WG502]\n"));
  EXPECT_EQ(queen_.last_question(), "");
}

TEST_F(WaggleLoginTest, AnAnswerThatIsNoCertificateOfOursIsRefused) {
  const TlsQueen other;
  const Json foreign = Json::parse(other.Login(0s, kDay)), own = Json::parse(queen_.Login(0s, kDay));
  const Json good = {{"certificate", own["certificate"]}, {"authority", own["authority"]}, {"port", 1}};
  auto with = [&good](const char* field, const Json& value) {
    Json changed = good;
    changed[field] = value;
    return changed.dump();
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "no JSON object"},
      {"[]", "no JSON object"},
      {"{}", "port: missing"},
      {with("port", 0), "port: missing, or no port"},
      {with("port", 65536), "port: missing, or no port"},
      {with("port", -1), "port: missing, or no port"},
      {with("port", "1"), "port: missing, or no port"},
      {with("certificate", 7), "certificate"},
      {with("certificate", "x"), "certificate"},
      {with("authority", foreign["authority"]), "is not the one of the token"},
      {with("certificate", foreign["certificate"]), "the certificate is of another key"},
      {good.dump(), "the certificate is of another key"},
  };
  for (const auto& [body, error] : cases) {
    queen_.AnswerEnrolment([&answer = body](const http::Request&) {
      return http::Response{200, "application/json", answer};
    });
    const Exit exit = LogIn();
    EXPECT_NE(exit.code, 0) << body;
    EXPECT_THAT(exit.err, HasSubstr(error)) << body;
    EXPECT_FALSE(fs::exists(FileOf(queen_.grpc()))) << body;
  }
}

TEST_F(WaggleLoginTest, ACertificateThatLetsNobodyInIsNotKept) {
  const tls::Authority stranger = *tls::Authority::Create("stranger", WallNow());
  const Json own = Json::parse(queen_.Login(0s, kDay));
  queen_.AnswerEnrolment([&](const http::Request& request) {
    const auto proof = tls::Request::FromPem(Json::parse(request.body)["request"].get<std::string>());
    const Json body = {
        {"certificate", stranger.Sign(*proof, tls::Role::kUser, "anna", WallNow(), kDay)->pem()},
        {"authority", own["authority"]},
        {"port", 1}};
    return http::Response{200, "application/json", body.dump()};
  });
  const Exit exit = LogIn();
  EXPECT_EQ(exit.code, 4);
  EXPECT_THAT(exit.err, StartsWith("error: the certificate the queen sent cannot be used\n"));
  EXPECT_THAT(exit.err, HasSubstr("was issued by another authority"));
  EXPECT_THAT(Logins(Queens()).List(), testing::IsEmpty());
}

TEST_F(WaggleLoginTest, WhatIsNoQueenIsSaidSo) {
  UniqueFd mute(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in name{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof name;
  ASSERT_EQ(bind(mute.get(), reinterpret_cast<const sockaddr*>(&name), size), 0);
  ASSERT_EQ(getsockname(mute.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
  const std::string place = "127.0.0.1:" + std::to_string(ntohs(name.sin_port));
  const Exit nobody = LogIn(queen_.token(), place);
  EXPECT_EQ(nobody.code, 5);
  EXPECT_THAT(nobody.err, StartsWith("error: cannot reach the queen at " + place + "\n"));
  EXPECT_THAT(nobody.err, HasSubstr("[WG001]\n"));

  Put(place, queen_.Login(0s, kDay));
  EXPECT_THAT(Run({"drones", "--queen", place}).err, HasSubstr("refused the connection"));
  ASSERT_EQ(listen(mute.get(), 64), 0);
  std::thread stranger([&] {  // plain text to everyone; ends when its socket is shut down
    for (;;) {
      UniqueFd peer(accept(mute.get(), nullptr, nullptr));
      if (!peer.valid()) return;
      (void)send(peer.get(), "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL);
    }
  });
  const Exit plain = LogIn(queen_.token(), place);
  EXPECT_EQ(plain.code, 1);
  EXPECT_THAT(plain.err, StartsWith("error: what listens at " + place + " is no queen one can enrol with\n"));
  const Exit called = Run({"drones", "--queen", place});
  EXPECT_EQ(called.code, 5);
  EXPECT_THAT(called.err,
              StartsWith("error: cannot reach the queen at " + place + "\n  what listens there is no"));
  shutdown(mute.get(), SHUT_RDWR);
  stranger.join();

  const Exit wrong_port = LogIn(queen_.token(), queen_.grpc());
  EXPECT_NE(wrong_port.code, 0);
  EXPECT_THAT(wrong_port.err, HasSubstr(queen_.grpc()));
  queen_.AnswerEnrolment([](const http::Request&) { return http::Problem(404, "there is no /v1/enrol"); });
  EXPECT_THAT(LogIn().err, HasSubstr("is no queen one can enrol with\n  it answered 404: there is no"));
}

TEST_F(WaggleLoginTest, ADirectoryThatCannotBeWrittenKeepsTheToken) {
  dir_.Write("xdg/waggle/queens", "a file in the way");
  const Exit exit = LogIn();
  EXPECT_EQ(exit.code, 1);
  EXPECT_THAT(exit.err, StartsWith("error: cannot keep a login here\n"));
  EXPECT_THAT(exit.err, HasSubstr("the token was not used\n"));
  EXPECT_EQ(queen_.last_question(), "");
  const Exit homeless = Run({"login", "https://" + queen_.https(), "--token", queen_.token()},
                            {{"XDG_CONFIG_HOME", ""}, {"HOME", ""}});
  EXPECT_THAT(homeless.err, HasSubstr("there is no home directory to keep a login in\n"));
}

TEST_F(WaggleLoginTest, AnExpiredLoginIsNone) {
  Put(queen_.grpc(), queen_.Login(-4 * kDay, -2 * kDay));
  const Exit expired = Drones();
  EXPECT_EQ(expired.code, 4);
  EXPECT_THAT(expired.err, StartsWith("error: you are not logged in to " + queen_.grpc() +
                                      "\n  the certificate of anna expired 2"));
  EXPECT_THAT(expired.err, HasSubstr(" UTC, 2d ago\n"));
  EXPECT_THAT(expired.err, HasSubstr("[WG002]\n"));
  Put(queen_.grpc(), queen_.Login(2 * kDay, 4 * kDay));
  EXPECT_THAT(Drones().err, HasSubstr("is not valid before "));
  EXPECT_EQ(queen_.renewals(), 0);
}

TEST_F(WaggleLoginTest, ADamagedLoginIsNamedAndCanBeRemoved) {
  const Json good = Json::parse(queen_.Login(0s, kDay)), other = Json::parse(queen_.Login(0s, kDay));
  Json mixed = good;
  mixed["key"] = other["key"];
  for (const std::string& text : {std::string(), std::string("{}"), std::string("[1]"), mixed.dump(),
                                  good.dump().substr(0, 700), std::string(99'999, ' ')}) {
    Put(queen_.grpc(), text);
    const Exit exit = Drones();
    EXPECT_EQ(exit.code, 1) << text.substr(0, 50);
    EXPECT_THAT(exit.err, HasSubstr(FileOf(queen_.grpc()))) << text.substr(0, 50);
  }
  Put(queen_.grpc(), "{}");
  EXPECT_EQ(Run({"logout", queen_.grpc()}).code, 0);
  EXPECT_FALSE(fs::exists(FileOf(queen_.grpc())));
}

TEST_F(WaggleLoginTest, HalfOfItsTimeOverItIsRenewed) {
  Put(queen_.grpc(), queen_.Login(-kDay, 2 * kDay));
  const std::string young = Kept();
  EXPECT_EQ(Drones().code, 0);
  EXPECT_EQ(queen_.renewals(), 0);
  EXPECT_EQ(Kept(), young);

  Put(queen_.grpc(), queen_.Login(-2 * kDay, kDay));
  const Json old = Json::parse(Kept());
  EXPECT_EQ(Drones().code, 0);
  EXPECT_EQ(queen_.renewals(), 1);
  const Json renewed = Json::parse(Kept());
  EXPECT_EQ(renewed["key"], old["key"]);
  EXPECT_EQ(renewed["url"], old["url"]);
  EXPECT_NE(renewed["certificate"], old["certificate"]);
  EXPECT_EQ(Drones().code, 0);
  EXPECT_EQ(queen_.renewals(), 1);
}

TEST_F(WaggleLoginTest, ARenewalThatFailsIsNoFailure) {
  for (TlsQueen::Renewal renewal : {TlsQueen::Renewal::kRefuse, TlsQueen::Renewal::kHang}) {
    Put(queen_.grpc(), queen_.Login(-2 * kDay, kDay));
    const std::string old = Kept();
    queen_.OnRenew(renewal);
    const Time begin = BootClock::now();
    const Exit exit = Drones();
    EXPECT_LT(BootClock::now() - begin, 10s);
    EXPECT_EQ(exit.code, 0) << exit.err;
    EXPECT_EQ(exit.err, "");
    EXPECT_EQ(Kept(), old);
  }
  EXPECT_EQ(queen_.renewals(), 2);
}

TEST_F(WaggleLoginTest, ARenewalNeverOverwritesAnotherLogin) {
  const Logins logins(Queens());
  Put(queen_.grpc(), queen_.Login(-2 * kDay, kDay));
  const absl::StatusOr<Login> old = logins.Find(queen_.grpc());
  ASSERT_TRUE(old.ok()) << old.status();
  Put(queen_.grpc(), queen_.Login(0s, kDay));  // somebody logged in anew meanwhile
  const std::string newer = Kept();
  EXPECT_TRUE(logins.Renew(*old, *tls::Certificate::FromPem(old->certificate.pem())).ok());
  EXPECT_EQ(Kept(), newer);
  EXPECT_TRUE(logins.Remove(old->queen).ok());
  EXPECT_FALSE(logins.Renew(*old, *tls::Certificate::FromPem(old->certificate.pem())).ok());
  EXPECT_FALSE(fs::exists(FileOf(queen_.grpc())));
}

TEST_F(WaggleLoginTest, OnlyFoldersOfLoginsAreListed) {
  const Logins logins(Queens());
  EXPECT_THAT(logins.List(), testing::IsEmpty());
  Put("::1:7", "{}");
  Put("b.example:7", "{}");
  Put("a_b:7", "{}");
  fs::create_directories(Queens() + "/empty.example_7");
  for (const char* junk : {"x", "_7", "B.example_7", "b.example_07", "b.example_0", "..._7", "[::1]_7"})
    dir_.Write(std::string("xdg/waggle/queens/") + junk + "/login.json", "{}");
  EXPECT_THAT(logins.List(), testing::ElementsAre("[::1]:7", "a_b:7", "b.example:7"));
  EXPECT_THAT(Logins("").List(), testing::IsEmpty());
}

TEST_F(WaggleLoginTest, LogoutNeedsToKnowWhich) {
  EXPECT_EQ(Run({"logout"}).err, "error: you are not logged in to any queen\n");
  EXPECT_EQ(Run({"logout"}).code, 3);
  Put(queen_.grpc(), queen_.Login(0s, kDay));
  Put("other.example:1", queen_.Login(0s, kDay));
  const Exit which = Run({"logout"});
  EXPECT_EQ(which.code, 2);
  EXPECT_EQ(which.err, "error: you are logged in to 2 queens\n  next: name one of " + queen_.grpc() +
                           ", other.example:1\n");
  EXPECT_EQ(Run({"logout", "nobody.example:1"}).code, 3);
  EXPECT_EQ(Run({"logout", "/run/queen"}).code, 2);
  EXPECT_EQ(Run({"logout", "--queen", "other.example:1"}).code, 0);
  EXPECT_EQ(Run({"logout", "https://" + queen_.https()}).code, 0);
  EXPECT_THAT(Logins(Queens()).List(), testing::IsEmpty());
}

TEST_F(WaggleLoginTest, AWrongLineIsOneClearError) {
  const std::string url = "https://" + queen_.https();
  const std::vector<std::pair<Words, std::string>> cases = {
      {{"login"}, "waggle login needs URL\n"},
      {{"login", "x"}, "the URL `x` is no https URL\n  next: write https://HOST:PORT as"},
      {{"login", "https://x"}, "the URL `https://x` has no port\n"},
      {{"login", url}, "there is no token\n  `queen invite user NAME` makes one\n"},
      {{"login", url, "--token", ""}, "there is no token\n"},
      {{"login", url, "--token", "wg1.a.b", "--token-stdin"},
       "--token and --token-stdin do not go together\n"},
      {{"login", url, "--token", "wg1.a.b"}, "cannot read the token\n  invitation: its token"},
      {{"login", url, "--token", "wg2.a.b"}, "cannot read the token\n  invitation: does not start with wg1"},
      {{"login", url, "--token-stdin"}, "cannot read the token\n  invitation: is empty\n"},
  };
  for (const auto& [args, error] : cases) {
    const Exit exit = Run(args);
    EXPECT_EQ(exit.code, 2) << testing::PrintToString(args);
    EXPECT_THAT(exit.err, StartsWith("error: " + error)) << testing::PrintToString(args);
  }
  EXPECT_FALSE(fs::exists(Queens()));
}

}  // namespace
}  // namespace waggle::cli
