#include "drone/shim/protocol.h"

#include <cstring>

#include "gtest/gtest.h"

namespace waggle::shim {
namespace {

Start FullStart() {
  Start start;
  start.job = JobId(7);
  start.epoch = Epoch(1ULL << 40);
  start.attempt = 3;
  start.type = JobType::kTestAndDeploy;
  start.header = "drone d1";
  start.base_directory = "/a";
  start.job_directory = "/a/job";
  start.env = {{"A", "1"}, {"EMPTY", ""}, {"BYTES", std::string("\0\xff\n", 3)}};
  start.checkout = {{"waggle-git", "checkout"}, "user:secret", "fetch x at y"};
  Step step{.name = "n", .command = "c", .screen = "s", .cwd = "d", .args = {"", "b"}, .env = {{"X", "Y"}}};
  step.silent = true;
  step.rules = {true, std::chrono::seconds(7), std::chrono::milliseconds(8), "sh"};
  start.phases[2] = {step, Step{.command = "two"}};
  start.phases[4] = {Step{.command = "end"}};
  start.wall = std::chrono::seconds(1);
  start.silence = std::chrono::seconds(2);
  start.cleanup = std::chrono::seconds(3);
  start.interrupt = std::chrono::milliseconds(4);
  start.terminate = std::chrono::milliseconds(5);
  start.log_bytes = 99;
  start.attempts = "/data/attempts";
  start.spool_budget = 1ULL << 33;
  start.spool_segment = 65536;
  start.truncates = true;
  start.plugins.uses = {{"p", "/p/plugin", "{\"a\":1}", {{"PLUGIN_A", "1"}}, 0x1F}, {.name = "q"}};
  start.plugins.limit = std::chrono::seconds(6);
  start.plugins.job = "{}";
  start.plugins.fault = "no";
  start.sandbox = {Isolation::kBubblewrap, false,     70000, 70511, "/usr/bin/bwrap", {"/opt/a"},
                   {"/c", "/d"},           {"/data"}, "why"};
  return start;
}

void ExpectSame(const Start& a, const Start& b) {
  EXPECT_EQ(a.job, b.job);
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.attempt, b.attempt);
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.header, b.header);
  EXPECT_EQ(a.base_directory, b.base_directory);
  EXPECT_EQ(a.job_directory, b.job_directory);
  EXPECT_EQ(a.env, b.env);
  EXPECT_EQ(a.checkout.argv, b.checkout.argv);
  EXPECT_EQ(a.checkout.input, b.checkout.input);
  EXPECT_EQ(a.checkout.comment, b.checkout.comment);
  EXPECT_EQ(a.wall, b.wall);
  EXPECT_EQ(a.silence, b.silence);
  EXPECT_EQ(a.cleanup, b.cleanup);
  EXPECT_EQ(a.interrupt, b.interrupt);
  EXPECT_EQ(a.terminate, b.terminate);
  EXPECT_EQ(a.log_bytes, b.log_bytes);
  EXPECT_EQ(a.attempts, b.attempts);
  EXPECT_EQ(a.spool_budget, b.spool_budget);
  EXPECT_EQ(a.spool_segment, b.spool_segment);
  EXPECT_EQ(a.truncates, b.truncates);
  ASSERT_EQ(a.plugins.uses.size(), b.plugins.uses.size());
  for (std::size_t i = 0; i < a.plugins.uses.size(); ++i) {
    EXPECT_EQ(a.plugins.uses[i].name, b.plugins.uses[i].name);
    EXPECT_EQ(a.plugins.uses[i].program, b.plugins.uses[i].program);
    EXPECT_EQ(a.plugins.uses[i].config, b.plugins.uses[i].config);
    EXPECT_EQ(a.plugins.uses[i].variables, b.plugins.uses[i].variables);
    EXPECT_EQ(a.plugins.uses[i].phases, b.plugins.uses[i].phases);
  }
  EXPECT_EQ(a.plugins.limit, b.plugins.limit);
  EXPECT_EQ(a.plugins.job, b.plugins.job);
  EXPECT_EQ(a.plugins.fault, b.plugins.fault);
  EXPECT_EQ(a.sandbox.mode, b.sandbox.mode);
  EXPECT_EQ(a.sandbox.network, b.sandbox.network);
  EXPECT_EQ(a.sandbox.first_user, b.sandbox.first_user);
  EXPECT_EQ(a.sandbox.last_user, b.sandbox.last_user);
  EXPECT_EQ(a.sandbox.program, b.sandbox.program);
  EXPECT_EQ(a.sandbox.read_only, b.sandbox.read_only);
  EXPECT_EQ(a.sandbox.writable, b.sandbox.writable);
  EXPECT_EQ(a.sandbox.hidden, b.sandbox.hidden);
  EXPECT_EQ(a.sandbox.warning, b.sandbox.warning);
  for (int p = 0; p < kPhaseCount; ++p) {
    ASSERT_EQ(a.phases[p].size(), b.phases[p].size());
    for (std::size_t i = 0; i < a.phases[p].size(); ++i) {
      const Step &x = a.phases[p][i], &y = b.phases[p][i];
      EXPECT_EQ(x.name, y.name);
      EXPECT_EQ(x.command, y.command);
      EXPECT_EQ(x.screen, y.screen);
      EXPECT_EQ(x.cwd, y.cwd);
      EXPECT_EQ(x.args, y.args);
      EXPECT_EQ(x.env, y.env);
      EXPECT_EQ(x.silent, y.silent);
      EXPECT_EQ(x.rules.allow_failure, y.rules.allow_failure);
      EXPECT_EQ(x.rules.wall, y.rules.wall);
      EXPECT_EQ(x.rules.silence, y.rules.silence);
      EXPECT_EQ(x.rules.shell, y.rules.shell);
    }
  }
}

std::vector<Frame> AllFrames() {
  Status status{
      .epoch = Epoch(9), .state = AttemptState::kGranted, .phase = 3, .last = 12, .wants_grant = true};
  status.counter = 4;
  status.started_wall = -5;
  status.finished_wall = 6;
  status.test_code = 0;
  status.deploy_code = -1;
  return {FullStart(), status, Watermark{77}, Grant{}, Cancel{"anna", "why\nnot", true}};
}

TEST(Protocol, EveryFrameComesBackAlsoByteByByte) {
  std::string bytes;
  for (const Frame& frame : AllFrames()) bytes += EncodeFrame(frame);
  FrameReader reader;
  std::vector<Frame> got;
  for (char c : bytes) {
    reader.Feed(std::string_view(&c, 1));
    while (auto frame = reader.Next()) got.push_back(*frame);
  }
  EXPECT_FALSE(reader.failed());
  ASSERT_EQ(got.size(), 5u);
  ExpectSame(std::get<Start>(got[0]), FullStart());
  const Status& status = std::get<Status>(got[1]);
  EXPECT_EQ(status.epoch, Epoch(9));
  EXPECT_EQ(status.state, AttemptState::kGranted);
  EXPECT_EQ(status.phase, 3);
  EXPECT_EQ(status.last, 12u);
  EXPECT_TRUE(status.wants_grant);
  EXPECT_EQ(status.counter, 4u);
  EXPECT_EQ(status.started_wall, -5);
  EXPECT_EQ(status.finished_wall, 6);
  EXPECT_EQ(status.test_code, 0);
  EXPECT_EQ(status.deploy_code, -1);
  EXPECT_EQ(std::get<Watermark>(got[2]).last, 77u);
  EXPECT_TRUE(std::holds_alternative<Grant>(got[3]));
  const Cancel& cancel = std::get<Cancel>(got[4]);
  EXPECT_EQ(cancel.by, "anna");
  EXPECT_EQ(cancel.reason, "why\nnot");
  EXPECT_TRUE(cancel.now);
}

// Of a Start as daemons of releases before sent it: it ends where a later part begins.
std::size_t BytesWithoutSandbox(const Start& start) {
  const sandbox::Plan& plan = start.sandbox;
  std::size_t text = 1 + 1 + 4 + 4 + 4 + plan.program.size() + 4 + plan.warning.size();
  for (const auto* paths : {&plan.read_only, &plan.writable, &plan.hidden}) {
    text += 4;
    for (const std::string& path : *paths) text += 4 + path.size();
  }
  return EncodeFrame(start).size() - 4 - (4 + text);
}
std::size_t BytesWithoutRules(const Start& start) {
  std::size_t rules = 0;
  for (const auto& steps : start.phases) {
    for (const Step& step : steps) rules += 1 + 8 + 8 + 4 + step.rules.shell.size();
  }
  return BytesWithoutSandbox(start) - rules;
}
std::size_t BytesWithoutPlugins(Start start) {
  start.plugins = Plugins();
  const std::size_t none = 4 + 8 + 4 + 4;  // count, limit, two empty texts
  return BytesWithoutRules(start) - none;
}

std::optional<Start> CutTo(const Start& start, std::size_t bytes) {
  std::string frame = EncodeFrame(start);
  const std::uint32_t size = static_cast<std::uint32_t>(bytes);
  frame.resize(4 + size);
  std::memcpy(frame.data(), &size, 4);
  FrameReader reader;
  reader.Feed(frame);
  auto got = reader.Next();
  return got ? std::optional(std::get<Start>(*got)) : std::nullopt;
}

TEST(Protocol, AStartOfAnEarlierReleaseIsUnderstood) {
  Start start = FullStart();
  const auto without_sandbox = CutTo(start, BytesWithoutSandbox(start));
  const auto without_rules = CutTo(start, BytesWithoutRules(start));
  const auto without_plugins = CutTo(start, BytesWithoutPlugins(start));
  ASSERT_TRUE(without_sandbox && without_rules && without_plugins);
  start.sandbox = {};
  ExpectSame(*without_sandbox, start);
  for (auto& steps : start.phases) {
    for (Step& step : steps) step.rules = {};
  }
  ExpectSame(*without_rules, start);
  start.plugins = Plugins();
  ExpectSame(*without_plugins, start);
}

// A body cut anywhere, with a size that says so, must be refused: never read past the end, never half taken.
TEST(Protocol, TruncatedBodiesFail) {
  for (const Frame& frame : AllFrames()) {
    std::string whole = EncodeFrame(frame);
    for (std::size_t size = 0; size + 4 < whole.size(); ++size) {
      const Start* start = std::get_if<Start>(&frame);
      const bool whole_parts =
          start != nullptr && (size == BytesWithoutPlugins(*start) || size == BytesWithoutRules(*start) ||
                               size == BytesWithoutSandbox(*start));
      if (whole_parts) continue;
      std::uint32_t said = static_cast<std::uint32_t>(size);
      std::string cut = whole.substr(0, 4 + size);
      std::memcpy(cut.data(), &said, 4);
      FrameReader reader;
      reader.Feed(cut);
      EXPECT_FALSE(reader.Next().has_value()) << "type " << frame.index() << " cut to " << size;
      EXPECT_TRUE(reader.failed());
      reader.Feed(EncodeFrame(Grant{}));
      EXPECT_FALSE(reader.Next().has_value()) << "after a bad frame nothing counts";
    }
  }
}

TEST(Protocol, BytesBehindTheKnownFieldsAreIgnored) {
  std::string frame = EncodeFrame(Watermark{5}) + "new";
  std::uint32_t size = static_cast<std::uint32_t>(frame.size() - 4);
  std::memcpy(frame.data(), &size, 4);
  FrameReader reader;
  reader.Feed(frame);
  auto got = reader.Next();
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(std::get<Watermark>(*got).last, 5u);
}

TEST(Protocol, GarbageFails) {
  auto fails = [](std::string bytes) {
    FrameReader reader;
    reader.Feed(bytes);
    return !reader.Next() && reader.failed();
  };
  EXPECT_TRUE(fails(std::string("\xff\xff\xff\xff", 4)));    // above kMaxFrame
  EXPECT_TRUE(fails(std::string("\x02\0\0\0\x02\x04", 6)));  // a later version
  EXPECT_TRUE(fails(std::string("\x02\0\0\0\0\x04", 6)));    // version 0
  EXPECT_TRUE(fails(std::string("\x02\0\0\0\x01\x63", 6)));  // unknown type
  EXPECT_TRUE(fails(std::string("\0\0\0\0", 4)));            // nothing in it
  Start no_epoch = FullStart();
  no_epoch.epoch = Epoch();
  EXPECT_TRUE(fails(EncodeFrame(no_epoch)));
  Start negative = FullStart();
  negative.wall = std::chrono::seconds(-1);
  EXPECT_TRUE(fails(EncodeFrame(negative)));
  // Every byte of a Start flipped: it decodes to something or fails; it never crashes or allocates by a lying
  // count.
  std::string start = EncodeFrame(FullStart());
  for (std::size_t i = 4; i < start.size(); ++i) {
    std::string bad = start;
    bad[i] = static_cast<char>(~bad[i]);
    FrameReader reader;
    reader.Feed(bad);
    reader.Next();
  }
}

}  // namespace
}  // namespace waggle::shim
