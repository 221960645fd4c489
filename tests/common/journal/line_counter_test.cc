#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/journal/line_index.h"

namespace waggle::journal {
namespace {

RecordHeader Header(Kind kind, std::uint32_t command) {
  RecordHeader header;
  header.kind = kind;
  header.command = command;
  return header;
}

// The definition, byte by byte: a line belongs to (command, stream) and is numbered where its first byte
// appears. A command start begins a new command even if its number was used before.
class Naive {
 public:
  std::uint64_t Feed(Kind kind, std::uint32_t command, const std::string& payload) {
    if (kind == Kind::kCommandStart) open_.clear();
    if (!IsOutput(kind)) return 0;
    std::uint64_t first = 0;
    for (char c : payload) {
      std::uint64_t& line = open_[{command, kind}];
      if (line == 0) line = ++lines_;
      if (first == 0) first = line;
      if (c == '\n') line = 0;
    }
    return first;
  }
  std::uint64_t lines() const { return lines_; }

 private:
  std::uint64_t lines_ = 0;
  std::map<std::pair<std::uint32_t, Kind>, std::uint64_t> open_;
};

struct Entry {
  Kind kind;
  std::uint32_t command;
  std::string payload;
};

// Commands one after the other, each with both streams cut anywhere, and events of no command in between.
std::vector<Entry> RandomLog(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Entry> log;
  if (random() % 2) log.push_back({Kind::kStdout, kNoCommand, "before command 0"});
  for (std::uint32_t command = 0; command < 6; ++command) {
    if (random() % 4) log.push_back({Kind::kCommandStart, command, "x\n"});
    for (unsigned n = random() % 40; n > 0; --n) {
      switch (random() % 8) {
        case 0:
          log.push_back({Kind::kWarning, kNoCommand, "w\nw"});
          continue;
        case 1:
          log.push_back({Kind::kComment, command, "comment\n"});
          continue;
        default:
          break;
      }
      std::string payload(random() % 12, 'a');
      for (char& c : payload) c = random() % 4 == 0 ? '\n' : static_cast<char>('a' + random() % 26);
      log.push_back({random() % 3 ? Kind::kStdout : Kind::kStderr, command, payload});
    }
    if (random() % 4) log.push_back({Kind::kCommandEnd, command, ""});
  }
  return log;
}

TEST(LineCounter, EqualsTheDefinitionOnRandomLogs) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    LineCounter counter;
    Naive naive;
    std::size_t at = 0;
    for (const Entry& e : RandomLog(seed)) {
      ASSERT_EQ(counter.Feed(Header(e.kind, e.command), e.payload), naive.Feed(e.kind, e.command, e.payload))
          << "seed " << seed << " record " << at;
      ASSERT_EQ(counter.lines(), naive.lines()) << "seed " << seed << " record " << at;
      ++at;
    }
  }
}

TEST(LineCounter, GoesOnFromASavedStateAnywhere) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::vector<Entry> log = RandomLog(seed);
    for (std::size_t cut = 0; cut <= log.size(); ++cut) {
      LineCounter whole, second;
      for (std::size_t i = 0; i < log.size(); ++i) {
        if (i == cut) {
          std::string state;
          whole.Save(&state);
          ASSERT_EQ(state.size(), LineCounter::kStateBytes);
          ASSERT_TRUE(second.Restore(state));
        }
        std::uint64_t first = whole.Feed(Header(log[i].kind, log[i].command), log[i].payload);
        if (i < cut) continue;
        ASSERT_EQ(second.Feed(Header(log[i].kind, log[i].command), log[i].payload), first);
      }
    }
  }
}

TEST(LineCounter, AnEventOfNoCommandDoesNotBreakALine) {
  LineCounter counter;
  EXPECT_EQ(counter.Feed(Header(Kind::kStdout, 1), "half"), 1u);
  EXPECT_EQ(counter.Feed(Header(Kind::kWarning, kNoCommand), "warning"), 0u);
  EXPECT_EQ(counter.Feed(Header(Kind::kStdout, 1), " a line\nnext"), 1u);
  EXPECT_EQ(counter.lines(), 2u);
}

TEST(LineCounter, StreamsOfOneCommandHaveTheirOwnOpenLines) {
  LineCounter counter;
  EXPECT_EQ(counter.Feed(Header(Kind::kStdout, 0), "out"), 1u);
  EXPECT_EQ(counter.Feed(Header(Kind::kStderr, 0), "err"), 2u);
  EXPECT_EQ(counter.Feed(Header(Kind::kStdout, 0), "put\n"), 1u);
  EXPECT_EQ(counter.Feed(Header(Kind::kStderr, 0), "or\n"), 2u);
  EXPECT_EQ(counter.Feed(Header(Kind::kStdout, 0), "\n\n\n"), 3u);
  EXPECT_EQ(counter.lines(), 5u);
}

TEST(LineCounter, ANewCommandStartsANewLine) {
  LineCounter counter;
  EXPECT_EQ(counter.Feed(Header(Kind::kStdout, 0), "no newline at the end"), 1u);
  EXPECT_EQ(counter.Feed(Header(Kind::kStdout, 1), "x"), 2u);
  EXPECT_EQ(counter.Feed(Header(Kind::kCommandStart, 1), ""), 0u);
  EXPECT_EQ(counter.Feed(Header(Kind::kStdout, 1), "y"), 3u);
}

TEST(LineCounter, RestoreRefusesAnotherSize) {
  LineCounter counter;
  std::string state;
  counter.Save(&state);
  EXPECT_FALSE(counter.Restore(""));
  EXPECT_FALSE(counter.Restore(state + "x"));
}

}  // namespace
}  // namespace waggle::journal
