#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "common/base/limits.h"
#include "common/pipeline/pipeline.h"

// What is refused before any word of the grammar is looked at, and hostile input: quick refusal, no crash.
namespace waggle::pipeline {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Error(const std::string& text) {
  auto jobs = ParsePipeline(text, ".waggle.yml", RunFacts());
  EXPECT_EQ(jobs.status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 200);
  return std::string(jobs.status().message());
}

std::string TestCommand(const std::string& text) {
  auto jobs = ParsePipeline(text, ".waggle.yml", RunFacts());
  EXPECT_TRUE(jobs.ok()) << jobs.status();
  if (!jobs.ok() || jobs->jobs.size() != 1) return "?";
  const auto& commands = jobs->jobs[0].spec.phases[static_cast<int>(Phase::kTest)];
  return commands.size() == 1 ? commands[0].command : "?";
}

std::string Repeat(const std::string& piece, std::size_t bytes) {
  std::string out;
  while (out.size() + piece.size() <= bytes) out += piece;
  return out;
}

TEST(Yaml, DuplicateKeys) {
  EXPECT_EQ(Error("test: a\nname: x\ntest: b\n"),
            ".waggle.yml:3:1: key `test` appears twice (first at line 1)\n"
            "  YAML would silently keep only one of them\n"
            "  next: merge the two blocks [WG102]");
  EXPECT_THAT(Error("jobs:\n  a: {test: x, env: {A: 1, B: 2, \"A\": 3}}\n"),
              HasSubstr(".waggle.yml:2:34: key `A` appears twice (first at line 2)"));
  EXPECT_EQ(TestCommand("test:\n  - {run: x, name: y, env: {run: z}}\n"), "x")
      << "the same key elsewhere is another key";
}

TEST(Yaml, TabsDoNotIndent) {
  const std::string tail = ": a tab cannot indent YAML\n  next: replace the tab on line ";
  EXPECT_EQ(Error("jobs:\n\tunit:\n    test: x\n"), ".waggle.yml:2:1" + tail + "2 by two spaces [WG104]");
  EXPECT_EQ(Error("test:\n  \tmake\n"), ".waggle.yml:2:3" + tail + "2 by two spaces [WG104]");
  EXPECT_EQ(Error("test: |\n\tmake\n"), ".waggle.yml:2:1" + tail + "2 by two spaces [WG104]");
  EXPECT_EQ(Error("\ttest: x\n"), ".waggle.yml:1:1" + tail + "1 by two spaces [WG104]");
  EXPECT_EQ(TestCommand("test: |\n  all:\n  \tmake\n"), "all:\n\tmake\n")
      << "a tab inside a script is the script's";
  EXPECT_EQ(TestCommand("test:\tmake\t# comment\n"), "make");
}

TEST(Yaml, OnlyTheSubset) {
  EXPECT_EQ(Error("test: &x make\n"),
            ".waggle.yml:1:7: anchors are not part of pipeline files\n"
            "  1 | test: &x make\n"
            "    |       ^ write the value again [WG100]");
  const std::string alias =
      ".waggle.yml:1:7: aliases are not part of pipeline files\n"
      "  1 | test: *x\n"
      "    |       ^ write the value again; put a text that begins with * in quotes [WG100]";
  EXPECT_EQ(Error("test: *x\n"), alias);
  for (const char* tag : {"!!str x", "! x", "!local {a: b}", "!<tag:x> [a]", "!!binary |\n  eA=="}) {
    EXPECT_THAT(Error("test: "s + tag + "\n"),
                HasSubstr(".waggle.yml:1:7: tags are not part of pipeline files"))
        << tag;
  }
  EXPECT_EQ(TestCommand("test: \"!x *y &z\"\n"), "!x *y &z");
  EXPECT_EQ(Error("<<: {test: x}\n"),
            ".waggle.yml:1:1: merge keys are not part of pipeline files\n"
            "  1 | <<: {test: x}\n"
            "    | ^^ write the keys out [WG100]");
  EXPECT_EQ(Error("test: x\n---\ntest: y\n"),
            ".waggle.yml:2:1: a second document begins here\n"
            "  2 | ---\n"
            "    | ^^^ keep one pipeline per file [WG100]");
  EXPECT_THAT(Error("# first\n%YAML 1.1\n---\ntest: x\n"), HasSubstr(":2:1: directives are not part"));
  EXPECT_THAT(Error("? [a]\n: b\n"), HasSubstr(":1:3: a key must be one plain word"));
  EXPECT_THAT(Error("{a: b}: c\n"), HasSubstr(":1:1: a key must be one plain word"));
  EXPECT_EQ(TestCommand("---\ntest: x\n...\n"), "x");
}

TEST(Yaml, SyntaxErrorsPointAtThePlace) {
  EXPECT_EQ(Error("test: echo a: b\n"),
            ".waggle.yml:1:13: not valid YAML: illegal map value\n"
            "  1 | test: echo a: b\n"
            "    |             ^ a value with `: ` in it needs quotes [WG100]");
  EXPECT_THAT(Error("test: \"a\n"), HasSubstr(":1:7: a quote is not closed\n"));
  EXPECT_THAT(Error("test: \"a\nkind: DEPLOY\n"), HasSubstr(":1:7: a quote is not closed\n"));
  EXPECT_THAT(Error("test: 'it''s\n\n"), HasSubstr(":1:7: a quote is not closed\n"));
  EXPECT_THAT(Error("test: \"a\\\"\n"), HasSubstr(":1:7: a quote is not closed\n"));
  EXPECT_THAT(Error("test: \"a"), HasSubstr("a quote before this is not closed [WG100]"));
  EXPECT_EQ(TestCommand("test: 'it''s \\'\n"), "it's \\");
  EXPECT_EQ(TestCommand("test: \"a\n  \\\" b\"\n"), "a \" b");
  EXPECT_EQ(TestCommand("test: |\n  \"a\n"), "\"a\n");
  EXPECT_EQ(TestCommand("test: >-\n  'a\n"), "'a");
  EXPECT_THAT(Error("test: [a,\n"), HasSubstr("a `[` is not closed [WG100]"));
  EXPECT_THAT(Error("jobs: {a: {test: x}\n"), HasSubstr("a `{` is not closed [WG100]"));
  EXPECT_THAT(Error("]"), HasSubstr("illegal flow end"));
}

TEST(Yaml, AnUnknownEscapeIsNamedWithoutTheRawByte) {
  const std::string end = ": not valid YAML: this is no escape";
  EXPECT_THAT(Error("test: \"\\q\"\n"), HasSubstr(end));
  EXPECT_THAT(Error("test: \"\\\xC3\xA9\"\n"), HasSubstr(end)) << "half a character would follow";
  EXPECT_THAT(Error("test: \"\\"), HasSubstr(end))
      << "the library's mark for the end of the text would follow";
}

TEST(Yaml, ColumnsAreCharacters) {
  EXPECT_EQ(
      Error("test: x\nnamé: \"ü\" #\n"),
      ".waggle.yml:2:1: unknown key `namé`\n"
      "  2 | namé: \"ü\" #\n"
      "    | ^^^^ known: version, name, trigger, cancel_previous, concurrency, vars, defaults, jobs, kind, "
      "environment, prepare, test, deploy, cleanup [WG101]");
  EXPECT_EQ(Error("{test: \"日本\", kinb: TEST}\n"),
            ".waggle.yml:1:14: unknown key `kinb`\n"
            "  1 | {test: \"日本\", kinb: TEST}\n"
            "    |              ^^^^ did you mean `kind`? [WG101]");
}

TEST(Yaml, LongLinesAreShownInPart) {
  std::string error =
      Error("{test: \"" + std::string(5'000, 'x') + "\", kinb: TEST, name: " + std::string(100, 'y') + "}");
  EXPECT_THAT(error, HasSubstr(".waggle.yml:1:5012: unknown key `kinb`\n  1 | …xxx"));
  EXPECT_THAT(error, HasSubstr("…\n    |                                          ^^^^ did you mean"));
  EXPECT_LT(error.size(), 400u);
}

TEST(Yaml, BytesThatAreNoText) {
  EXPECT_EQ(Error("test: a\0b\n"s),
            ".waggle.yml:1:8: a NUL byte\n  next: save the file as plain UTF-8 text [WG100]");
  EXPECT_EQ(Error("name: x\ntest: a\xff\n"),
            ".waggle.yml:2:8: invalid UTF-8\n  next: save the file as plain UTF-8 text [WG100]");
  // This byte ends the input for the library: what follows it would be lost in silence.
  EXPECT_THAT(Error("test: a\n\x04\nkind: NONSENSE\n"), HasSubstr(":2:1: a control character"));
  EXPECT_THAT(Error("test: a\rb\n"), HasSubstr("a carriage return without a line feed"));
  EXPECT_THAT(Error("\xff\xfet\0e\0s\0t\0"s), HasSubstr(":1:1: invalid UTF-8"));
  EXPECT_THAT(Error("t\0e\0s\0t\0"s), HasSubstr("a NUL byte"));
  EXPECT_THAT(Error("test: \"a\\0b\"\n"), HasSubstr(":1:7: an escape gives a NUL byte"));
  EXPECT_THAT(Error("\"\\e[31m\": x\n"), Not(HasSubstr("\x1b")))
      << "messages hold nothing a terminal would obey";
  EXPECT_EQ(TestCommand("\xef\xbb\xbftest: a\r\n"), "a");
  EXPECT_EQ(TestCommand("test: |\r\n  a\r\n  b\r\n"), "a\nb\n");
}

TEST(Yaml, SizeDepthAndNodesAreBounded) {
  EXPECT_EQ(Error(std::string(limits::kPipelineBytes + 1, '#')),
            ".waggle.yml: 1048577 bytes; a pipeline file has at most 1048576\n"
            "  next: move scripts into files of their own [WG100]");
  EXPECT_THAT(Error("test: " + std::string(100, '[') + std::string(100, ']')),
              HasSubstr(".waggle.yml:1:70: more than 64 levels inside each other"));
  EXPECT_THAT(Error("test:\n" + Repeat("  - x\n", 500'000)),
              HasSubstr(".waggle.yml:9999:5: more than 10000 values in one file"));
  EXPECT_THAT(Error(Repeat("- ", limits::kPipelineBytes)), HasSubstr(":1:129: more than 64 levels"));
}

// X2, each at its full size.
TEST(Yaml, TheCorpusOfHostileFiles) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(Error(std::string(50'000'000, 'x')), HasSubstr("50000000 bytes; a pipeline file has at most"));
  for (const std::string& open : {"["s, "{a: "s, "- "s}) {
    std::string nested = "test: ";
    for (int i = 0; i < 10'000; ++i) nested += open;
    EXPECT_THAT(Error(nested), HasSubstr(".waggle.yml:1:")) << open;
  }
  std::string bomb = "vars: {a: &a [x]}\n";
  for (char c = 'b'; c < 'z'; ++c) bomb += std::string(1, c) + ": &" + c + " [*" + char(c - 1) + "]\n";
  EXPECT_THAT(Error(bomb), HasSubstr("anchors are not part of pipeline files"));
  EXPECT_THAT(Error("jobs: {a: {<<: {test: x}}}\n"), HasSubstr("merge keys are not part"));
  EXPECT_THAT(Error("jobs: {a: {test: !!int 3}}\n"), HasSubstr("tags are not part"));
  EXPECT_THAT(Error("jobs: {a: {test: x, test: y}}\n"), HasSubstr("key `test` appears twice"));
  EXPECT_THAT(Error("jobs:\n\ta: {test: x}\n"), HasSubstr("a tab cannot indent YAML"));
  EXPECT_EQ(TestCommand("\xef\xbb\xbftest: .NaN\n"), ".NaN");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(Yaml, HostileInputIsRefusedQuickly) {
  const std::size_t most = limits::kPipelineBytes;
  const auto start = std::chrono::steady_clock::now();
  for (const char* piece :
       {"[",     "{",     "[a,",  "{a: ", "[[a]: ", "{? ", "? ", "a: ", ": ",  "-",   ":",     ",",
        "*",     "&",     "!",    "%",    "\"",     "'",   "|",  ">",   "[\n", "a\n", "- [\n", "---\n",
        "...\n", "- |\n", "%a\n", "&a ",  "\n ",    "\\",  "`",  "@",   "]",   "}"}) {
    Error(Repeat(piece, most));
    (void)ParsePipeline("test: " + Repeat(piece, most / 8), "f", RunFacts()).status();
  }
  Error("a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nd: &d [*c,*c,*c]\ntest: *d\n");
  std::string keys;
  for (int i = 0; i < 80'000; ++i) keys += "k" + std::to_string(i) + ": x\n";
  EXPECT_THAT(Error(keys), HasSubstr("more than 10000 values"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60))
      << "linear work takes a few seconds";
}

// The library is given no more text than this ahead of the last value it has told us of: what it keeps is
// bounded.
TEST(Yaml, OneTextIsBounded) {
  EXPECT_THAT(Error("name: a\ntest: |\n" + Repeat("  echo a\n", limits::kPipelineUntold * 3 / 2)),
              HasSubstr(".waggle.yml:2:7: more than 256 KiB in one text or one pair of brackets"))
      << "above the bound of a job document anyway";
  EXPECT_THAT(Error("test: " + std::string(limits::kPipelineUntold * 2, '[')),
              HasSubstr(".waggle.yml:1:8: "));
  const std::string filler = Repeat("x", limits::kPipelineUntold - 8192);
  EXPECT_EQ(TestCommand("test: [\"" + filler.substr(0, limits::kJobDocument / 2) + "\"]\n").size(),
            limits::kJobDocument / 2);
  EXPECT_EQ(TestCommand("# " + filler + "\ntest: a\n# " + filler + "\n"), "a");
}

TEST(Yaml, EveryPrefixOfAFileIsReadOrRefused) {
  const std::string text =
      "# c\nversion: 1\njobs:\n  \"a-b\": {kind: TEST, env: {A: 'x ''y'}}\n  b:\n    test:\n      - run: |\n "
      "         x\n"
      "        name: >-\n          y\n      - \"z\\u00e4\"\n    timeout: 1h30m\n";
  for (std::size_t i = 0; i <= text.size(); ++i) {
    auto jobs = ParsePipeline(text.substr(0, i), "f", RunFacts());
    if (!jobs.ok()) {
      EXPECT_THAT(std::string(jobs.status().message()), testing::StartsWith("f:"));
    }
    for (char c : {'\t', ':', '[', '"', '&', '\0', '\xff', '-', '\n'}) {
      std::string damaged = text;
      if (i < text.size()) damaged[i] = c;
      (void)ParsePipeline(damaged, "f", RunFacts()).status();
    }
  }
}

}  // namespace
}  // namespace waggle::pipeline
