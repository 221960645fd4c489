#include "drone/plugins/channel.h"

#include "absl/strings/str_cat.h"
#include "drone/plugins/data.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waggle::plugins {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr char kHello[] = "{\"hello\":1}\n";

struct Heard {
  std::vector<Message> messages;
  std::string fault;
  bool done = false;
};

Heard Hear(std::string_view text, std::size_t piece = std::string::npos) {
  Heard heard;
  Channel channel;
  absl::Status read;
  while (!text.empty() && read.ok()) {
    read = channel.Feed(text.substr(0, piece), &heard.messages);
    text.remove_prefix(std::min(piece, text.size()));
  }
  if (read.ok()) read = channel.Close(&heard.messages);
  heard.fault = std::string(read.message());
  heard.done = channel.done();
  return heard;
}

// What the channel says about one line behind the greeting.
std::string Fault(const std::string& line) {
  return Hear(kHello + line + "\n").fault;
}

TEST(Channel, EveryMessage) {
  const std::string text = absl::StrCat(
      kHello, R"({"env":{"A":"1","B_2":"x y"}})", "\n", R"({"path":["bin","/opt/x"]})", "\n",
      R"({"command":{"name":"n","run":"make","screen":"m","silent":true,"env":{"C":"d"},"cwd":"sub"}})",
      "\r\n", R"({"command":{"argv":["make","-j","2"]}})", "\n\n", R"({"comment":"hi \u00e9"})", "\n",
      R"({"warning":{"title":"t","description":"d","severity":"major"}})", "\n",
      R"({"warning":{"title":"t"}})", "\n",
      R"({"data":{"method":"push","path":"a.b","value":{"x":[1,2.5,null]}}})", "\n", R"({"nothing":true})",
      "\n", R"({"done":true})");
  for (std::size_t piece : {std::string::npos, std::size_t{1}, std::size_t{7}}) {
    Heard heard = Hear(text, piece);
    EXPECT_EQ(heard.fault, "");
    EXPECT_TRUE(heard.done);
    ASSERT_EQ(heard.messages.size(), 9u);
    EXPECT_THAT(std::get<SetEnv>(heard.messages[0]).env, ElementsAre(Pair("A", "1"), Pair("B_2", "x y")));
    EXPECT_THAT(std::get<AddPath>(heard.messages[1]).directories, ElementsAre("bin", "/opt/x"));
    const auto& command = std::get<AskCommand>(heard.messages[2]);
    EXPECT_EQ(command.name + "|" + command.run + "|" + command.screen + "|" + command.cwd, "n|make|m|sub");
    EXPECT_TRUE(command.silent);
    EXPECT_THAT(command.env, ElementsAre(Pair("C", "d")));
    EXPECT_THAT(std::get<AskCommand>(heard.messages[3]).argv, ElementsAre("make", "-j", "2"));
    EXPECT_EQ(std::get<Comment>(heard.messages[4]).text, "hi é");
    EXPECT_TRUE(std::get<Warn>(heard.messages[5]).major);
    EXPECT_FALSE(std::get<Warn>(heard.messages[6]).major);
    const auto& data = std::get<Data>(heard.messages[7]);
    EXPECT_EQ(data.method + " " + data.path + " " + data.value, R"(push a.b {"x":[1,2.5,null]})");
    EXPECT_TRUE(std::holds_alternative<Nothing>(heard.messages[8]));
  }
}

TEST(Channel, GreetingFirst) {
  EXPECT_EQ(Hear("").fault, "it ended without {\"hello\":1}");
  EXPECT_EQ(Hear("\n \n").fault, "it ended without {\"hello\":1}");
  EXPECT_EQ(Hear("{\"done\":true}\n").fault, "line 1: a plugin says {\"hello\":1} first");
  EXPECT_EQ(Hear("{\"hello\":2}\n").fault,
            "line 1: it speaks version 2 of the protocol; this drone speaks 1");
  EXPECT_EQ(Hear("{\"hello\":\"1\"}\n").fault, "line 1: hello must be the number of a protocol version");
  EXPECT_EQ(Hear("{\"hello\":1}").fault, "");
}

TEST(Channel, GarbageIsNamed) {
  EXPECT_EQ(Fault("make: done"), "line 2: `make: done` is not JSON");
  EXPECT_EQ(Fault("\xFF\xFE"), "line 2: `??` is not JSON");
  EXPECT_EQ(Fault("[1]"), "line 2: `[1]` is not an object of one field");
  EXPECT_EQ(Fault("{}"), "line 2: `{}` is not an object of one field");
  EXPECT_EQ(Fault(R"({"evn":{}})"), "line 2: `evn` is not part of the protocol; did you mean `env`?");
  EXPECT_EQ(Fault(R"({"env":{"A-B":""}})"), "line 2: env has `A-B`, which is no variable");
  EXPECT_EQ(Fault(R"({"env":{"A":1}})"), "line 2: env.A must be a text, not number");
  EXPECT_EQ(Fault(R"({"env":{"A":"a\u0000b"}})"), "line 2: env.A has a NUL byte in it");
  EXPECT_EQ(Fault(R"({"path":"bin"})"), "line 2: path must be a list of texts, not string");
  EXPECT_EQ(Fault(R"({"path":["a:b"]})"), "line 2: path has `a:b`, which is no directory of a PATH");
  EXPECT_EQ(Fault(R"({"command":{"name":"x"}})"), "line 2: command needs either run or argv");
  EXPECT_EQ(Fault(R"({"command":{"run":"x","argv":["y"]}})"), "line 2: command needs either run or argv");
  EXPECT_EQ(Fault(R"({"command":{"argv":["a",2]}})"), "line 2: command.argv[1] must be a text, not number");
  EXPECT_EQ(Fault(R"({"command":{"rnu":"x"}})"),
            "line 2: command.`rnu` is not part of the protocol; did you mean `run`?");
  EXPECT_EQ(Fault(R"({"warning":{"title":"x","severity":"bad"}})"),
            "line 2: warning.severity is `bad`; write minor or major");
  EXPECT_EQ(Fault(R"({"warning":{}})"), "line 2: warning needs a title");
  EXPECT_EQ(Fault(R"({"data":{"path":"x"}})"), "line 2: data needs a method: replace, push or extend");
  EXPECT_EQ(Fault(R"({"done":false})"), "line 2: done can only be true");
  EXPECT_EQ(Fault("{\"done\":true}\n{\"comment\":\"x\"}"), "line 3: said after done");
}

TEST(Channel, MessagesBeforeGarbageCount) {
  Heard heard = Hear(absl::StrCat(kHello, "{\"comment\":\"x\"}\noops\n{\"comment\":\"y\"}\n"));
  EXPECT_EQ(heard.messages.size(), 1u);
  EXPECT_EQ(heard.fault, "line 3: `oops` is not JSON");
}

TEST(Channel, Bounds) {
  const std::string padding(kLineBytes, 'x');
  EXPECT_EQ(Fault("{\"comment\":\"" + padding + "\"}"), "line 2: longer than 262144 bytes");
  Channel channel;
  std::vector<Message> out;
  EXPECT_TRUE(channel.Feed(padding, &out).ok());  // without an end it is not yet too long
  EXPECT_EQ(channel.Feed("x", &out).message(), "line 1: longer than 262144 bytes");
  EXPECT_EQ(channel.Feed("\n{\"hello\":1}\n", &out).message(), "line 1: longer than 262144 bytes");

  std::string lines = kHello;
  for (std::size_t i = 1; i < kLines; ++i) lines += "\n";
  EXPECT_EQ(Hear(lines).fault, "");
  EXPECT_EQ(Hear(lines + "\n").fault, "line 10001: more than 10000 lines");

  std::string much = kHello;
  const std::string line = "{\"comment\":\"" + std::string(200'000, 'x') + "\"}\n";
  while (much.size() <= kChannelBytes) much += line;
  EXPECT_THAT(Hear(much).fault, HasSubstr("more than 16777216 bytes in all"));

  EXPECT_EQ(Fault("{\"data\":{\"value\":" + std::string(100'000, '[')),
            "line 2: nested deeper than 32 levels");
}

TEST(Channel, GreetingOfTheHost) {
  EXPECT_EQ(Encode(Greeting{.plugin = "p",
                            .phase = "test",
                            .config = "{\"a\":1}",
                            .job = "",
                            .data = "{}",
                            .env = {{"A", "x\"\n"}, {"B", "\xFF"}}}),
            "{\"waggle\":1,\"plugin\":\"p\",\"phase\":\"test\",\"config\":{\"a\":1},\"job\":{},\"data\":{},"
            "\"env\":{\"A\":\"x\\\"\\n\",\"B\":\"\xEF\xBF\xBD\"}}\n");
}

TEST(DataStore, ThreeMethods) {
  DataStore store;
  EXPECT_TRUE(store.Apply("p", {"replace", "a.b", "1"}).ok());
  EXPECT_TRUE(store.Apply("p", {"push", "a.list", "\"x\""}).ok());
  EXPECT_TRUE(store.Apply("p", {"push", "a.list", "[2]"}).ok());
  EXPECT_TRUE(store.Apply("p", {"extend", "a", "{\"c\":true}"}).ok());
  EXPECT_TRUE(store.Apply("q", {"replace", "", "7"}).ok());
  EXPECT_EQ(store.AsJson(), R"({"p":{"a":{"b":1,"c":true,"list":["x",[2]]}},"q":7})");
  EXPECT_TRUE(store.Apply("p", {"replace", "a.b", "null"}).ok());
  EXPECT_TRUE(store.Apply("p", {"extend", "a.b.c", "{\"d\":1}"}).ok());
  EXPECT_EQ(store.AsJson(), R"({"p":{"a":{"b":{"c":{"d":1}},"c":true,"list":["x",[2]]}},"q":7})");
}

TEST(DataStore, WhatDoesNotFitChangesNothing) {
  DataStore store;
  EXPECT_TRUE(store.Apply("p", {"replace", "a", "1"}).ok());
  EXPECT_EQ(store.Apply("p", {"merge", "a", "1"}).message(),
            "the method `merge` is not known; there are replace, push and extend");
  EXPECT_EQ(store.Apply("p", {"push", "a", "1"}).message(), "`a` is no list");
  EXPECT_EQ(store.Apply("p", {"extend", "a", "{}"}).message(), "`a` is no object");
  EXPECT_EQ(store.Apply("p", {"extend", "b", "1"}).message(), "extend needs an object as its value");
  EXPECT_EQ(store.Apply("p", {"replace", "a.b.c", "1"}).message(),
            "`a.b.c` leads through what is no object, at `b`");
  EXPECT_EQ(store.Apply("p", {"replace", "a.b", "x"}).message(), "the value is not JSON");
  EXPECT_THAT(std::string(store.Apply("p", {"replace", std::string(40, '.'), "1"}).message()),
              HasSubstr("41 steps; at most 16"));
  const std::string half = "\"" + std::string(DataStore::kBytes / 2, 'x') + "\"";
  EXPECT_TRUE(store.Apply("q", {"replace", "a", half}).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(store.Apply("q", {"replace", "a", half})));
  EXPECT_TRUE(store.Apply("q", {"replace", "", "0"}).ok());
  EXPECT_EQ(store.AsJson(), R"({"p":{"a":1},"q":0})");
  EXPECT_EQ(DataStore::Event("p", {"push", "a\"b", "[1]"}),
            R"({"method":"push","path":"a\"b","plugin":"p","value":[1]})");
}

}  // namespace
}  // namespace waggle::plugins
