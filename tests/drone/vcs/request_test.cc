#include "drone/vcs/request.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <string>

#include "common/base/fd.h"
#include "drone/vcs/credentials.h"
#include "drone/vcs/source.h"

namespace waggle::vcs {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Source, AcceptsWhatTheGuideNames) {
  struct Case {
    const char *text, *address, *username;
    Source::Kind kind;
  };
  for (const Case& c : {
           Case{"/srv/git/my repo/", "/srv/git/my repo", "", Source::Kind::kPath},
           Case{"file:///srv/git/a%20b", "/srv/git/a b", "", Source::Kind::kPath},
           Case{"https://example.org/a/b.git", "https://example.org/a/b.git", "", Source::Kind::kHttp},
           Case{"HTTPS://example.org/a/", "https://example.org/a", "", Source::Kind::kHttp},
           Case{"https://bee@example.org:8443/a", "https://bee@example.org:8443/a", "bee",
                Source::Kind::kHttp},
           Case{"ssh://git@example.org/a.git", "ssh://git@example.org/a.git", "git", Source::Kind::kSsh},
           Case{"git@example.org:a/b.git", "git@example.org:a/b.git", "git", Source::Kind::kSsh},
           Case{"git://[::1]:9418/a", "git://[::1]:9418/a", "", Source::Kind::kGit},
       }) {
    auto source = ParseSource(c.text);
    ASSERT_TRUE(source.ok()) << c.text << ": " << source.status();
    EXPECT_EQ(source->address, c.address);
    EXPECT_EQ(source->username, c.username);
    EXPECT_EQ(source->kind, c.kind);
  }
}

TEST(Source, RefusesEverythingElse) {
  for (std::string text : {"",
                           "relative/path",
                           "../up",
                           "ext::sh -c id",
                           "EXT::sh",
                           "a@ext::sh",
                           "ftp://h/x",
                           "ext://h/x",
                           "-oProxyCommand=id",
                           "ssh://-oProxyCommand=id/x",
                           "git@-oProxyCommand=id:x",
                           "git@host:-x",
                           "git@host:",
                           "git@host:a'b",
                           "https://",
                           "https://host",
                           "https://host/",
                           "https:///path",
                           "file://host/x",
                           "file://%",
                           "file:///a%0ab",
                           "file:///a%00b",
                           "https://ho st/x",
                           "https://h/x\ny",
                           "https://h\\x/y",
                           "git://h/x\r\nhost=other",
                           "ssh://h/$(id)",
                           "/a\nb"}) {
    auto source = ParseSource(text);
    EXPECT_FALSE(source.ok()) << text;
    EXPECT_THAT(std::string(source.status().message()), HasSubstr("https://")) << text;
    EXPECT_THAT(std::string(source.status().message()), Not(HasSubstr("\n"))) << text;
  }
  EXPECT_FALSE(ParseSource("/" + std::string(5000, 'x')).ok());
}

TEST(Source, NeverRepeatsAPassword) {
  auto source = ParseSource("https://bee:hunter22@example.org/a");
  ASSERT_FALSE(source.ok());
  EXPECT_THAT(std::string(source.status().message()), Not(HasSubstr("hunter22")));
  EXPECT_THAT(std::string(source.status().message()), HasSubstr("repo.auth"));
}

TEST(Source, MirrorNamesAreReadableDistinctAndSafe) {
  std::string a = ParseSource("https://a.example/x/waggle")->MirrorName();
  std::string b = ParseSource("https://b.example/x/waggle")->MirrorName();
  EXPECT_NE(a, b);
  EXPECT_EQ(a, ParseSource("https://a.example/x/waggle/")->MirrorName());
  EXPECT_EQ(a.rfind("waggle-", 0), 0u);
  EXPECT_EQ(ParseSource("/..")->MirrorName().find_first_of("./"), std::string::npos);
}

absl::StatusOr<Credentials> Parse(const std::string& text) {
  int pipe[2];
  EXPECT_EQ(::pipe(pipe), 0);
  UniqueFd reader(pipe[0]);
  {
    UniqueFd writer(pipe[1]);
    EXPECT_TRUE(WriteAll(writer.get(), text).ok());
  }
  return ReadCredentials(reader.get());
}

TEST(CredentialsInput, TakesLinesAndKeys) {
  auto both = Parse("username bee\npassword with space \n");
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->username, "bee");
  EXPECT_EQ(both->password, "with space ");
  auto key = Parse("sshkey 9\nline\nmore\nusername git");
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->ssh_key, "line\nmore");
  EXPECT_EQ(key->username, "git");
  EXPECT_TRUE(Parse("").ok());
}

TEST(CredentialsInput, NamesTheBadLineButNotItsContent) {
  for (std::string text : {"passwort hunter22\n", "hunter22\n", "sshkey hunter22\n", "sshkey 100\nhunter22",
                           "sshkey -1\n", "sshkey 99999999999999999999999\n"}) {
    auto parsed = Parse("username a\n" + text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("line 2"));
    EXPECT_THAT(std::string(parsed.status().message()), Not(HasSubstr("hunter22")));
  }
}

absl::StatusOr<Request> ParseWith(std::vector<std::string> more) {
  std::vector<std::string> words = {"checkout", "--mirrors", "m", "--url", "/r", "--target", "/t"};
  words.insert(words.end(), more.begin(), more.end());
  return ParseRequest(words);
}

TEST(RequestLine, ChecksNamesBeforeTheyReachARepository) {
  for (std::string branch : {"a/../../x", "..", "-x", "a..b", "a b", "a~1", "a^", "a:b", "x.lock", "/a",
                             "a//b", "@{u}", "a\nb", "refs/../x", "--upload-pack=id"}) {
    EXPECT_FALSE(ParseWith({"--branch", branch}).ok()) << branch;
  }
  EXPECT_FALSE(ParseWith({"--branch", std::string(2000, 'b')}).ok());
  EXPECT_TRUE(ParseWith({"--branch", "feature/x-1"}).ok());
  EXPECT_FALSE(ParseWith({"--fetch", "refs/*:refs/*"}).ok());
  EXPECT_FALSE(ParseWith({"--fetch", "main"}).ok());
  EXPECT_FALSE(ParseWith({"--fetch", "+refs/a/../../x"}).ok());
  EXPECT_FALSE(ParseWith({"--fetch", "+"}).ok());
  EXPECT_FALSE(ParseWith({"--fetch", "--upload-pack=id"}).ok());
  EXPECT_EQ(ParseWith({"--fetch", "+refs/pull/141/merge:refs/heads/evil"})->wanted.fetch,
            "refs/pull/141/merge");
}

TEST(RequestLine, PinsWholeIdsExceptWhenResolving) {
  EXPECT_FALSE(ParseWith({"--id", "abcdef1"}).ok());
  EXPECT_FALSE(ParseWith({"--id", std::string(40, 'g')}).ok());
  EXPECT_EQ(ParseWith({"--id", std::string(40, 'A')})->wanted.id, std::string(40, 'a'));
  EXPECT_TRUE(ParseRequest({"resolve", "--mirrors", "m", "--url", "/r", "--id", "abcdef1"}).ok());
  EXPECT_FALSE(ParseRequest({"resolve", "--mirrors", "m", "--url", "/r", "--id", "abcdef"}).ok());
}

TEST(RequestLine, SaysWhatIsWrong) {
  EXPECT_THAT(std::string(ParseRequest({}).status().message()), HasSubstr("verb"));
  EXPECT_THAT(std::string(ParseRequest({"clone"}).status().message()), HasSubstr("clone"));
  EXPECT_THAT(std::string(ParseWith({"--force"}).status().message()), HasSubstr("--force"));
  EXPECT_THAT(std::string(ParseWith({"--branch"}).status().message()), HasSubstr("needs a value"));
  EXPECT_THAT(std::string(ParseWith({"--url", "/x"}).status().message()), HasSubstr("twice"));
  EXPECT_THAT(std::string(ParseWith({"--deadline", "0"}).status().message()), HasSubstr("deadline"));
  EXPECT_FALSE(ParseRequest({"checkout", "--mirrors", "m", "--url", "/r", "--target", "rel"}).ok());
  EXPECT_FALSE(ParseRequest({"checkout", "--mirrors", "m", "--url", "/r", "--target", "/a/../b"}).ok());
  EXPECT_FALSE(
      ParseRequest({"read", "--mirrors", "m", "--url", "/r", "--path", "f", "--max-bytes", "9"}).ok());
}

}  // namespace
}  // namespace waggle::vcs
