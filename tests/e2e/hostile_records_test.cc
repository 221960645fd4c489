// A drone that lies about attempts and their records: other drones' attempts and ended ones stay as they are,
// and what it sends of its own is stored as said once, or flagged.
#include <fstream>
#include <map>

#include "common/journal/record.h"
#include "tests/common/journal/record_maker.h"
#include "tests/e2e/hostile_fixture.h"
#include "tests/e2e/stored.h"

namespace waggle::test {
namespace {

using journal::RecordMaker;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A process that keeps what it freed to find errors cannot keep to the bound.
#ifdef __SANITIZE_ADDRESS__
constexpr long kMayGrowKib = 1024 * 1024;
#else
constexpr long kMayGrowKib = 64 * 1024;
#endif

// Memory of a process that is in use, in KiB.
long ResidentKib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    long kib = 0;
    if (std::sscanf(line.c_str(), "VmRSS: %ld", &kib) == 1) return kib;
  }
  return 0;
}

class HostileRecords : public HostileFixture {
 protected:
  // Says everything there is about `epoch` and expects that it is answered by Fenced, or by the end of the
  // session, and that nothing changes.
  void ExpectUntouchable(std::uint64_t epoch, bool strikes) {
    const auto before = StoredIn(QueenData());
    std::vector<v1::FromDrone> words = {AcceptOf(epoch), RejectOf(epoch, "mine"),
                                        ShimLostOf(epoch, 9, "mine")};
    for (int state = 1; state <= 6; ++state) {
      words.push_back(StatusOf(epoch, static_cast<v1::HeldAttempt::State>(state), 1000));
      words.back().mutable_status()->mutable_attempt()->set_wants_grant(true);
      words.back().mutable_status()->mutable_attempt()->set_test_code(0);
    }
    int struck = 0;
    for (const v1::FromDrone& word : words) {
      if (struck == 0) Raw().Join();
      const std::size_t heard = Raw().control().Heard().size();
      Raw().control().Say(word);
      ASSERT_TRUE(Eventually([&] { return Raw().control().Heard().size() > heard; }))
          << word.ShortDebugString();
      EXPECT_TRUE(Raw().control().Heard().back().has_fenced())
          << Raw().control().Heard().back().ShortDebugString();
      if (!strikes || ++struck < 3) continue;
      const grpc::Status end = Raw().control().End();
      EXPECT_EQ(end.error_code(), grpc::StatusCode::PERMISSION_DENIED);
      EXPECT_THAT(end.error_message(), AllOf(HasSubstr("raw"), HasSubstr(absl::StrCat("epoch ", epoch))));
      EXPECT_THAT(Queen().Err(), HasSubstr(end.error_message().substr(0, 40)));
      struck = 0;
    }
    Raw().Join();
    RawBulk& bulk = Raw().OpenBulk();
    bulk.Say(RecordsOf(epoch, RecordMaker(Epoch(epoch)).Out("forged\n")));
    EXPECT_TRUE(bulk.Hears([&](const auto& m) { return m.has_fenced() && m.fenced().epoch() == epoch; }));
    // In the greeting too.
    v1::FromDrone hello = Raw().Hello();
    *hello.mutable_hello()->add_attempts() = StatusOf(epoch, v1::HeldAttempt::FINISHED, 1).status().attempt();
    Raw().Join(hello);
    const v1::FromQueen welcome = Raw().control().Heard().front();
    for (const v1::Disposition& d : welcome.welcome().attempts()) {
      EXPECT_TRUE(d.action() != v1::Disposition::CONTINUE && d.action() != v1::Disposition::SEND_FINAL);
    }
    ExpectSameStored(before, StoredIn(QueenData()));
  }

  // A started attempt on the raw drone with an open bulk stream.
  std::uint64_t StartOne() {
    Raw().Join();
    const std::uint64_t epoch = GiveRawAJob();
    Raw().control().Say(AcceptOf(epoch));
    Raw().control().Say(StatusOf(epoch, v1::HeldAttempt::RUNNING, 1));
    WaitForState(job_, "started");
    Raw().OpenBulk();
    return epoch;
  }
  bool Acked(std::uint64_t seq) {
    return Raw().bulk().Hears([=](const auto& m) { return m.has_ack() && m.ack().seq() >= seq; }).has_value();
  }
  bool ResumeAt(std::uint64_t seq) {
    return Raw()
        .bulk()
        .Hears([=](const auto& m) { return m.has_resume_from() && m.resume_from().seq() == seq; })
        .has_value();
  }
  void ExpectBulkEnds(const v1::BulkUp& message, grpc::StatusCode code, const std::string& text) {
    Raw().bulk().Say(message);
    const grpc::Status end = Raw().bulk().End();
    EXPECT_EQ(end.error_code(), code) << end.error_message();
    EXPECT_THAT(end.error_message(), HasSubstr(text));
  }
};

TEST_F(HostileRecords, AttemptsOfOthers) {
  const std::uint64_t job = Submit(For("healthy", "echo begun; " + AwaitFile(Gate("go"))));
  ASSERT_TRUE(Eventually([&] { return Output(job) == "begun\n"; }));
  const std::uint64_t epoch = Show(job)["attempts"][0]["epoch"];
  ExpectUntouchable(epoch, /*strikes=*/true);
  Open("go");
  WaitForState(job, "passed");
  ExpectVerified(job);
  ASSERT_TRUE(Eventually([&] { return JobProcesses("healthy").empty(); }));
  ExpectUntouchable(epoch, /*strikes=*/false);  // ended: whose it was is not remembered
}

TEST_F(HostileRecords, EpochsNobodyWasGivenAndZero) {
  ExpectUntouchable(4711, /*strikes=*/true);
}

TEST_F(HostileRecords, OwnOldAttempt) {
  Raw().Join();
  const std::uint64_t old = GiveRawAJob();
  Raw().control().Say(RejectOf(old, "not now"));
  const std::uint64_t epoch = Raw().NextAssigned();
  EXPECT_GT(epoch, old);
  const auto before = StoredIn(QueenData());
  Raw().control().Say(AcceptOf(old));
  Raw().control().Say(StatusOf(old, v1::HeldAttempt::FINISHED, 9));
  Raw().OpenBulk().Say(RecordsOf(old, RecordMaker(Epoch(old)).Out("late\n")));
  EXPECT_TRUE(Raw().bulk().Hears([&](const auto& m) { return m.has_fenced(); }));
  EXPECT_TRUE(
      Raw().control().Hears([&](const auto& m) { return m.has_fenced() && m.fenced().epoch() == old; }));
  EXPECT_EQ(StoredIn(QueenData()), before);
  Raw().control().Say(RejectOf(epoch, "not now"));
}

TEST_F(HostileRecords, BulkWithoutManners) {
  Raw().Join();
  v1::BulkUp stranger;
  stranger.mutable_hello()->set_identity(std::string(32, 'f'));
  stranger.mutable_hello()->set_session(Raw().session());
  Raw().OpenBareBulk();
  ExpectBulkEnds(stranger, grpc::StatusCode::PERMISSION_DENIED, "no such session");
  Raw().OpenBareBulk();
  ExpectBulkEnds(RecordsOf(1, "x"), grpc::StatusCode::INVALID_ARGUMENT,
                 "the first message must be BulkHello");
  Raw().OpenBareBulk();
  ExpectBulkEnds(v1::BulkUp(), grpc::StatusCode::INVALID_ARGUMENT, "the first message must be BulkHello");
  v1::BulkUp again;
  again.mutable_hello()->set_session(Raw().session());
  Raw().OpenBulk();
  ExpectBulkEnds(again, grpc::StatusCode::INVALID_ARGUMENT, "a second BulkHello");
  Raw().OpenBulk();
  ExpectBulkEnds(RecordsOf(1, std::string(1'500'000, 'x')), grpc::StatusCode::INVALID_ARGUMENT,
                 "records.packed: 1500000 bytes; at most 1 MiB");
  Raw().OpenBulk();
  ExpectBulkEnds(RecordsOf(1, std::string(8 << 20, 'x')), grpc::StatusCode::RESOURCE_EXHAUSTED,
                 "larger than max");
}

TEST_F(HostileRecords, NumbersThatDoNotContinue) {
  const std::uint64_t epoch = StartOne();
  RecordMaker maker{Epoch(epoch)};
  const std::string one = maker.Out("one\n"), two = maker.Out("two\n"), three = maker.Out("three\n");
  const long memory = ResidentKib(Queen().pid());
  Raw().bulk().Say(RecordsOf(epoch, one));
  ASSERT_TRUE(Acked(1));
  journal::RecordHeader header;
  header.epoch = Epoch(epoch);
  header.seq = Seq(~std::uint64_t{0});
  header.kind = journal::Kind::kStdout;
  std::string huge, damaged = two, foreign = RecordMaker(Epoch(epoch + 1)).Out("x");
  journal::EncodeRecord(header, "x", &huge);
  damaged[damaged.size() / 2] ^= 1;
  header.seq = Seq(0);
  std::string zero;
  journal::EncodeRecord(header, "x", &zero);
  for (int i = 0; i < 200; ++i) {
    for (const std::string& bad :
         {three, huge, damaged, foreign, two.substr(0, 20), std::string(1 << 20, '\0'), zero}) {
      if (bad.size() > 1000 && i > 5) continue;
      Raw().bulk().Say(RecordsOf(epoch, bad));
    }
  }
  ASSERT_TRUE(ResumeAt(2));
  Raw().bulk().Say(RecordsOf(epoch, one + two + one + two + three + one));  // overlaps and rewinds
  ASSERT_TRUE(Acked(3));
  EXPECT_EQ(Output(job_), "one\ntwo\nthree\n");
  EXPECT_LT(ResidentKib(Queen().pid()) - memory, kMayGrowKib);
  Raw().bulk().Say(RecordsOf(epoch, maker.End()));
  WaitForState(job_, "passed");
  ExpectVerified(job_);
}

TEST_F(HostileRecords, ANumberWithOtherBytesIsAConflictAndTheFirstStay) {
  const std::uint64_t epoch = StartOne();
  RecordMaker maker{Epoch(epoch)}, liar{Epoch(epoch)};
  // In one message, and behind an acknowledgement.
  Raw().bulk().Say(RecordsOf(epoch, maker.Out("true\n") + liar.Out("lie!\n")));
  ASSERT_TRUE(Acked(1));
  Raw().bulk().Say(RecordsOf(epoch, maker.End()));
  const Json job = WaitForState(job_, "errored");
  EXPECT_EQ(job["reason"], "log_incomplete");
  EXPECT_THAT(std::string(job["detail"]), HasSubstr("record 1 was sent twice with different content"));
  EXPECT_EQ(Output(job_), "true\n");
}

TEST_F(HostileRecords, FinalsThatLie) {
  const std::map<std::string, std::function<void(journal::Final&)>> lies = {
      {"999 + 0 bytes", [](journal::Final& f) { f.out.bytes = 999; }},
      {"digest differs", [](journal::Final& f) { f.out.digest[0] ^= 1; }},
      {"exit code 256 of its first failed command", [](journal::Final& f) { f.failed_code = 256; }},
      {"exit code -2147483648", [](journal::Final& f) { f.test_code = -2147483647 - 1; }},
      {"exit code 3 of its tests", [](journal::Final& f) { f.test_code = 3, f.failed_code = 0; }},
      {"exit code 4 of its deploy", [](journal::Final& f) { f.deploy_code = 4; }},
      {"its last record is 77", [](journal::Final& f) { f.last = Seq(77); }},
  };
  for (const auto& [text, lie] : lies) {
    const std::uint64_t epoch = StartOne();
    RecordMaker maker{Epoch(epoch)};
    const std::string out = maker.Out("out\n");
    Raw().bulk().Say(RecordsOf(epoch, out + maker.End(lie)));
    const Json job = WaitForState(job_, "errored");
    EXPECT_EQ(job["reason"], "log_incomplete") << text;
    EXPECT_THAT(std::string(job["detail"]), HasSubstr(text));
  }
}

TEST_F(HostileRecords, WordsInsideRecordsCannotBreakAnything) {
  const std::uint64_t epoch = StartOne();
  RecordMaker maker{Epoch(epoch)};
  journal::CommandStart start;
  start.name = "\xff\xfe\x1b[2J";
  start.display = std::string(60'000, '\xe9');
  journal::Warning warning;
  warning.title = "\x1b]0;owned\x07\xff";
  const std::string all =
      journal::Join({maker.Other(journal::Kind::kCommandStart, Encode(start), 0), maker.Out("\xff\n"),
                     maker.Other(journal::Kind::kWarning, Encode(warning)), maker.Status("\xff\x1b[2J"),
                     maker.Other(journal::Kind::kCommandStart, "\x01garbage", 1),
                     maker.Other(journal::Kind::kMarker, ""), maker.End([](journal::Final& f) {
                       f.test_code = f.failed_code = 3;
                       f.failed_step = "\xff\x1b[2J" + std::string(50'000, '\xe9');
                       f.detail = "\xff\nx";
                     })});
  Raw().bulk().Say(RecordsOf(epoch, all));
  const Json job = WaitForState(job_, "failed");
  EXPECT_LE(std::string(job["failed_step"]).size(), 1000u);
  for (const Words& args :
       {Words{"jobs"}, Words{"show", absl::StrCat(job_)}, Words{"watch", absl::StrCat(job_)},
        Words{"logs", absl::StrCat(job_)}, Words{"watch", absl::StrCat(job_), "-o", "json"}}) {
    const Outcome outcome = Waggle(args);
    EXPECT_TRUE(outcome.code == 0 || outcome.code == 3) << args[0] << outcome;
    EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos) << args[0] << outcome;
  }
}

// Messages without content cost their sender, not the queen.
TEST_F(HostileRecords, AFloodOfNothing) {
  const std::uint64_t epoch = StartOne();
  const long memory = ResidentKib(Queen().pid());
  const v1::BulkUp nothing = RecordsOf(epoch, "");
  for (int i = 0; i < 200'000 && Raw().bulk().Say(nothing); ++i) {
  }
  v1::FromDrone info;
  info.mutable_info()->set_capacity(1);
  for (int i = 0; i < 64; ++i)
    (*info.mutable_info()->mutable_labels())[absl::StrCat(i)] = std::string(200, 'x');
  for (int i = 0; i < 3'000 && Raw().control().Say(info); ++i) {
  }
  EXPECT_LT(ResidentKib(Queen().pid()) - memory, kMayGrowKib);
  WaitForState(Submit(For("healthy")), "passed");
}

}  // namespace
}  // namespace waggle::test
