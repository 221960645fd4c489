#include "common/pipeline/pattern.h"

#include <gtest/gtest.h>

#include <chrono>

namespace waggle::pipeline {
namespace {

TEST(Pattern, Table) {
  struct Case {
    const char* pattern;
    const char* text;
    bool matches;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"main", "main", true},
           {"main", "mainline", false},
           {"main", "Main", false},
           {"main", "", false},
           {"", "", true},
           {"*", "", true},
           {"*", "feature/a/b", true},
           {"**", "feature/a/b", true},
           {"feature/*", "feature/a", true},
           {"feature/*", "feature/a/b", true},
           {"feature/*", "feature/", true},
           {"feature/*", "feature", false},
           {"feat/**", "feat/x/y", true},
           {"*/fix", "a/b/fix", true},
           {"*/fix", "fix", false},
           {"f.o", "f.o", true},
           {"f.o", "foo", false},
           {"v[0-9]*", "v1", false},
           {"v[0-9]*", "v[0-9]1", true},
           {"v?", "v1", false},
           {"v?", "v?", true},
           {"a+b", "aab", false},
           {"^main$", "main", false},
           {"(a|b)", "a", false},
           {"\\*", "\\x", true},
           {"*.md", "docs/read.md", true},
           {"*.md", "docs/read.mdx", false},
           {"docs/**", "docs/a/b.txt", true},
           {"a*b*c", "a-b-b-c", true},
           {"a*b*c", "a-c-b", false},
           {"*aab", "aaaab", true},
           {"***a***", "bab", true},
           {"größe/*", "größe/ü", true},
       }) {
    EXPECT_EQ(MatchesPattern(c.pattern, c.text), c.matches) << c.pattern << " on " << c.text;
  }
}

// The definition, as slow as it likes to be.
bool Slow(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*')
    return Slow(pattern.substr(1), text) || (!text.empty() && Slow(pattern, text.substr(1)));
  return !text.empty() && text[0] == pattern[0] && Slow(pattern.substr(1), text.substr(1));
}

TEST(Pattern, IsWhatItsDefinitionSays) {
  const auto word = [](int number, std::string_view letters) {
    std::string out;
    for (; number > 0; number /= static_cast<int>(letters.size() + 1)) {
      const std::size_t letter = static_cast<std::size_t>(number) % (letters.size() + 1);
      if (letter > 0) out += letters[letter - 1];
    }
    return out;
  };
  for (int p = 0; p < 4096; ++p) {
    for (int t = 0; t < 729; ++t) {
      const std::string pattern = word(p, "*ab"), text = word(t, "ab");
      ASSERT_EQ(MatchesPattern(pattern, text), Slow(pattern, text)) << pattern << " on " << text;
    }
  }
}

// What makes backtracking matchers take forever, as long as the file may have it, on a long path.
TEST(Pattern, NothingIsSlow) {
  const std::string many_a(4'096, 'a'), half(126, 'a');
  std::string stars;
  while (stars.size() < 254) stars += "a*";
  const std::vector<std::string> patterns = {stars + "b",
                                             std::string(255, '*') + "b",
                                             "*" + half + half + "b",
                                             "*a*a*a*a*a*a*a*a*a*a*a*b",
                                             "(a+)+$",
                                             "(a|aa)+b",
                                             "([a-zA-Z]+)*!",
                                             "*" + half + "*" + half + "b",
                                             "*" + half + "b*"};
  for (const std::string& pattern : patterns) {
    EXPECT_LE(pattern.size(), 256u);
    for (const std::string& text : {many_a, many_a + "!", many_a + "c" + many_a}) {
      const auto start = std::chrono::steady_clock::now();
      EXPECT_FALSE(MatchesPattern(pattern, text));
      EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(10)) << pattern;
    }
  }
}

TEST(BranchRules, ExactNamesFirstThenTheOrder) {
  const std::vector<BranchRule> rules = {
      {.pattern = "feature/*", .mirrors_main = true},
      {.pattern = "f.o", .deploys_on_green = true},
      {.pattern = "feature/old*", .active = false},
      {.pattern = "main", .deploys_on_green = true},
      {.pattern = "feature/exact", .parallel = true},
      {.pattern = "release/*", .active = false},
      {.pattern = "release/1"},
      {.pattern = "release/1", .parallel = true},
  };
  struct Case {
    const char* branch;
    int rule;  // -1: none
  };
  for (const Case& c : std::initializer_list<Case>{
           {"main", 3},
           {"feature/a", 0},
           {"feature/a/b", 0},
           {"feature/old-1", 0},  // the first pattern wins
           {"feature/exact", 4},  // an exact name beats the pattern before it
           {"f.o", 1},
           {"foo", -1},
           {"release/1", 6},  // of two exact names the first
           {"release/2", 5},
           {"other", -1},
           {"", -1},
       }) {
    const BranchRule* found = FindRule(rules, c.branch);
    EXPECT_EQ(found == nullptr ? -1 : static_cast<int>(found - rules.data()), c.rule) << c.branch;
  }
  EXPECT_EQ(FindRule({}, "main"), nullptr);
  EXPECT_FALSE(FindRule(rules, "release/2")->active);
  EXPECT_FALSE(FindRule(rules, "feature/a")->deploys_on_green) << "a mirror never deploys by itself";
}

TEST(BranchRules, AStarIsTheRuleForAllOthers) {
  const std::vector<BranchRule> rules = {{.pattern = "*", .mirrors_main = true}, {.pattern = "main"}};
  EXPECT_EQ(FindRule(rules, "main"), &rules[1]);
  EXPECT_EQ(FindRule(rules, "whatever/else"), &rules[0]);
}

}  // namespace
}  // namespace waggle::pipeline
