// Every byte, exactly: large output of any content, many watchers, and what `verify` finds in a damaged log.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/escaping.h"
#include "tests/support/hive_fixture.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::size_t kMiB = 1024 * 1024;
constexpr std::size_t kStdoutBytes =
    64 * kMiB;  // 256 MiB passes too and takes 4 times as long and 1.5 GB of disk
constexpr std::size_t kStderrBytes = 4 * kMiB;
constexpr std::size_t kLongLine = 5'000'000;

// EXPECT_EQ would print both.
void ExpectSameBytes(const std::string& seen, const std::string& expected, const std::string& who) {
  if (seen == expected) return;
  const auto [at, unused] =
      std::mismatch(seen.begin(), seen.begin() + static_cast<long>(std::min(seen.size(), expected.size())),
                    expected.begin());
  ADD_FAILURE() << who << ": " << seen.size() << " bytes seen, " << expected.size()
                << " expected; the first difference is at byte " << at - seen.begin();
}

class Bytes : public HiveFixture {
 protected:
  void SetUp() override {
    StartQueen();
    StartDrone("bee");
  }

  // Prints the first half of both inputs, waits at a gate, prints the rest of both at the same time.
  Json Printer() {
    WriteText(temp_ / "out1", out_.substr(0, out_.size() / 2));
    WriteText(temp_ / "out2", out_.substr(out_.size() / 2));
    WriteText(temp_ / "err1", err_.substr(0, err_.size() / 2));
    WriteText(temp_ / "err2", err_.substr(err_.size() / 2));
    return TestJob({"cd " + temp_.path() + "; cat out1; cat err1 >&2\n" + AwaitFile(Gate("second")) +
                    "cat err2 >&2 & cat out2; wait"});
  }

  std::string out_, err_;
};

// The two streams of `watch -o json`.
void TakeApart(const std::string& ndjson, std::string* out, std::string* err) {
  std::size_t begin = 0;
  while (begin < ndjson.size()) {
    const std::size_t end = ndjson.find('\n', begin);
    const Json line =
        Json::parse(ndjson.begin() + static_cast<long>(begin), ndjson.begin() + static_cast<long>(end));
    begin = end + 1;
    if (line["event"] != "output") continue;
    std::string* stream = line["stream"] == "stdout" ? out : err;
    ASSERT_EQ(line["offset"], stream->size());
    std::string bytes;
    if (line.contains("data")) {
      bytes = line["data"];
    } else {
      ASSERT_TRUE(absl::Base64Unescape(line["data_base64"].get_ref<const std::string&>(), &bytes));
    }
    *stream += bytes;
  }
}

TEST_F(Bytes, EveryWatcherGetsEveryByte) {
  out_ = NoiseBytes(kStdoutBytes - kLongLine, 1) + std::string(kLongLine - 1, 'x') + "\n";
  std::rotate(out_.begin(), out_.begin() + 1000, out_.end());
  err_ = NoiseBytes(kStderrBytes, 2);
  const std::uint64_t job = Submit(Printer());
  const std::string id = std::to_string(job);

  Child text = StartWaggle({"watch", id}), json = StartWaggle({"watch", id, "-o", "json"});
  Child raw = StartWaggle({"logs", "-f", "--raw", id});
  Child raw_err = StartWaggle({"logs", "-f", "--raw", id, "--stream", "stderr"});
  const std::size_t half = out_.size() / 2 + err_.size() / 2;
  ASSERT_TRUE(Eventually([&] { return raw.Out().size() == half && text.Out().size() == half; }));
  Child middle = StartWaggle({"logs", "-f", "--raw", id, "--stream", "stdout"});
  ASSERT_TRUE(Eventually([&] { return middle.Out().size() == out_.size() / 2; }));
  Open("second");

  const Outcome text_end = text.Finish(), json_end = json.Finish(), raw_end = raw.Finish();
  EXPECT_EQ(text_end.code, 0);
  EXPECT_EQ(json_end.code, 0);
  EXPECT_EQ(raw_end.code, 0);
  ExpectSameBytes(middle.Finish().out, out_, "joined in the middle");
  ExpectSameBytes(raw_err.Finish().out, err_, "live standard error");
  std::string json_out, json_err;
  TakeApart(json_end.out, &json_out, &json_err);
  ExpectSameBytes(json_out, out_, "json, standard output");
  ExpectSameBytes(json_err, err_, "json, standard error");

  for (const char* again : {"late", "repeated"}) {
    ExpectSameBytes(Raw(job, {"--stream", "stdout"}), out_, again);
    ExpectSameBytes(Raw(job, {"--stream", "stderr"}), err_, again);
  }
  const std::string both = Raw(job);  // one order of both streams, the same for everybody
  EXPECT_EQ(both.size(), out_.size() + err_.size());
  ExpectSameBytes(raw_end.out, both, "live, both streams");
  ExpectSameBytes(text_end.out, both, "watch, both streams");
  const Outcome verify = Waggle({"verify", id, "-o", "json"});
  EXPECT_EQ(verify.code, 0) << verify;
  const Json checked = Json::parse(verify.out);
  EXPECT_EQ(checked["complete"], true);
  EXPECT_EQ(checked["stdout_bytes"], out_.size());
  EXPECT_EQ(checked["stderr_bytes"], err_.size());
}

TEST_F(Bytes, OutputWithoutANewlineIsSeenWhileTheJobRuns) {
  const std::uint64_t job = Submit(TestJob({"printf 'working...'\n" + AwaitFile(Gate("go")) + "echo done"}));
  Child watch = StartWaggle({"watch", std::to_string(job)});
  EXPECT_TRUE(Eventually([&] { return watch.Out() == "working..."; }));
  Open("go");
  const Outcome outcome = watch.Finish();
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "working...done\n");
}

TEST_F(Bytes, LogsWithoutFollowPrintWhatIsThereAndLeave) {
  const std::uint64_t job = Submit(TestJob({"echo now\n" + AwaitFile(Gate("go")) + "echo later"}));
  EXPECT_TRUE(Eventually([&] { return StateOf(job) == "started" && Raw(job) == "now\n"; }));
  Open("go");
  WaitForState(job, "passed");
  EXPECT_EQ(Raw(job), "now\nlater\n");
}

class DamagedLog : public Bytes {
 protected:
  // Changes the stored log of the only job while the queen is away; she comes back.
  void Damage(const std::function<void(std::string*)>& change) {
    StopQueen();
    std::string largest;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(QueenData() + "/logs")) {
      if (!entry.is_regular_file() || !entry.path().extension().string().starts_with(".0")) continue;
      if (largest.empty() || entry.file_size() > std::filesystem::file_size(largest)) largest = entry.path();
    }
    ASSERT_NE(largest, "");
    std::string content = ReadText(largest);
    change(&content);
    WriteText(largest, content);
    StartQueen();
  }

  void ExpectDamaged(const std::string& intact_prefix_of) {
    const Outcome verify = Waggle({"verify", "1"});
    EXPECT_EQ(verify.code, 1) << verify;
    EXPECT_THAT(verify.out, StartsWith("1@1 DAMAGED: "));
    EXPECT_THAT(verify.out, HasSubstr("1.000"));
    const Outcome logs = Waggle({"logs", "--raw", "1"}, "", 10s);
    EXPECT_EQ(logs.code, 1) << logs;
    EXPECT_THAT(logs.err, StartsWith("error: "));
    EXPECT_TRUE(intact_prefix_of.starts_with(logs.out));
    EXPECT_EQ(Waggle({"watch", "1"}, "", 10s).code, 125);
    EXPECT_EQ(StateOf(1), "passed");  // a verdict never changes
  }
};

TEST_F(DamagedLog, AFlippedByteIsNamedAndNothingHangs) {
  out_ = NoiseBytes(1 * kMiB, 3);
  WriteText(temp_ / "out", out_);
  WaitForState(Submit(TestJob({"cat " + temp_ / "out"})), "passed");
  ExpectVerified(1);
  Damage([](std::string* content) { (*content)[content->size() / 2] ^= 1; });
  ExpectDamaged(out_);
}

TEST_F(DamagedLog, ALostEndIsNamedAndNothingHangs) {
  out_ = NoiseBytes(1 * kMiB, 4);
  WriteText(temp_ / "out", out_);
  WaitForState(Submit(TestJob({"cat " + temp_ / "out"})), "passed");
  Damage([](std::string* content) { content->resize(content->size() / 2); });
  const Outcome verify = Waggle({"verify", "1"});
  EXPECT_EQ(verify.code, 1) << verify;
  EXPECT_THAT(verify.out, StartsWith("1@1 DAMAGED: "));
  const Outcome logs = Waggle({"logs", "--raw", "1"}, "", 10s);
  EXPECT_TRUE(out_.starts_with(logs.out));
  EXPECT_NE(logs.code, 0) << logs.err;
}

}  // namespace
}  // namespace waggle::test
