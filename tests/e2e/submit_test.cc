// Submit twice, run once: keys of submissions, through kills of the queen and lost answers.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/rpc/channel.h"
#include "tests/support/hive_fixture.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::test {
namespace {

using ::testing::HasSubstr;

class SubmitOnce : public HiveFixture {
 protected:
  Outcome SubmitWith(const std::string& key, const Json& document) {
    return Waggle({"submit", "--job", WriteJob(document), "--key", key, "-o", "json"});
  }
  static std::uint64_t IdIn(const Outcome& outcome) {
    EXPECT_EQ(outcome.code, 0) << outcome;
    return outcome.code == 0 ? Json::parse(outcome.out)["id"].get<std::uint64_t>() : 0;
  }
};

TEST_F(SubmitOnce, ARepeatNamesTheFirstAndOtherWorkIsRefused) {
  StartQueen();
  StartDrone("bee");
  const Json job = TestJob({"echo once"});
  const std::uint64_t first = IdIn(SubmitWith("k1", job));
  EXPECT_EQ(IdIn(SubmitWith("k1", job)), first);
  WaitForState(first, "passed");
  const Outcome late = SubmitWith("k1", job);
  EXPECT_EQ(IdIn(late), first);
  EXPECT_EQ(Json::parse(late.out)["state"], "passed") << "as it is now";
  KillQueen();
  StartQueen();
  EXPECT_EQ(IdIn(SubmitWith("k1", job)), first) << "after a restart";
  const Outcome other = SubmitWith("k1", TestJob({"echo twice"}));
  EXPECT_NE(other.code, 0);
  EXPECT_THAT(other.err, HasSubstr(absl::StrCat("the key was used for job ", first)));
  EXPECT_THAT(other.err, HasSubstr("next: "));
  const Outcome odd = SubmitWith("no spaces", job);
  EXPECT_THAT(odd.err, HasSubstr("key: at most 128 printable ASCII characters without spaces"));
  EXPECT_EQ(Jobs().size(), 1u);
}

TEST_F(SubmitOnce, ARunIsRepeatedWithAllItsJobs) {
  StartQueen();
  GitRepo repo = MakeRepo("p");
  repo.Write(".waggle.yml", "jobs:\n  a: {test: echo a}\n  b: {test: echo b}\n");
  repo.Commit("Two jobs");
  auto submit = [&] { return Waggle({"submit", "--repo", repo.path(), "--key", "r", "-o", "json"}); };
  const Outcome first = submit();
  ASSERT_EQ(first.code, 0) << first;
  const Outcome again = submit();
  ASSERT_EQ(again.code, 0) << again;
  EXPECT_EQ(Json::parse(again.out), Json::parse(first.out));
  repo.Write("more", "x");
  repo.Commit("The branch moves on");
  EXPECT_THAT(submit().err, HasSubstr("the key was used for run r1")) << "another commit is other work";
  EXPECT_EQ(Jobs().size(), 2u);
}

// Many clients say each thing several times while the queen is killed again and again.
TEST_F(SubmitOnce, ManyClientsManyTimesUnderKills) {
  constexpr int kClients = 16, kKeys = 25, kTimes = 3, kKills = 6;
  StartQueen();
  const std::string target = absl::StrCat("unix:", QueenData(), "/queen.sock");
  std::mutex mutex;
  std::map<std::string, std::set<std::uint64_t>> ids;
  std::atomic<int> answered = 0;
  auto client = [&](int number) {
    auto stub = v1::Jobs::NewStub(rpc::OpenChannel(target, {}));
    for (int i = 0; i < kKeys; ++i) {
      // Half of the keys are shared by two clients.
      const std::string key = absl::StrCat(i % 2 == 0 ? number / 2 : number, i % 2 == 0 ? "s" : "o", i);
      for (int times = 0; times < kTimes; ++times) {
        v1::SubmitJobRequest request;
        request.set_key(key);
        request.mutable_document()->mutable_trigger()->set_timestamp(WallNow());
        request.mutable_document()->add_test()->set_command(absl::StrCat("echo ", key));
        for (;;) {
          grpc::ClientContext context;
          context.set_wait_for_ready(true);
          context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
          v1::Job job;
          const grpc::Status status = stub->Submit(&context, request, &job);
          if (status.error_code() == grpc::StatusCode::UNAVAILABLE) continue;
          EXPECT_TRUE(status.ok()) << status.error_message();
          ++answered;
          std::lock_guard lock(mutex);
          ids[key].insert(job.id());
          break;
        }
      }
    }
  };
  std::vector<std::thread> clients;
  for (int n = 0; n < kClients; ++n) clients.emplace_back(client, n);
  for (int kill = 1; kill <= kKills; ++kill) {
    Eventually([&] { return answered >= kill * kClients * kKeys * kTimes / (kKills + 1); });
    KillQueen();
    StartQueen();
  }
  for (std::thread& thread : clients) thread.join();
  for (const auto& [key, jobs] : ids) EXPECT_EQ(jobs.size(), 1u) << key;
  const Outcome list = Waggle({"jobs", "-L", "1000", "-o", "json"});
  EXPECT_EQ(Json::parse(list.out).size(), ids.size()) << "a job without an answer, or two of a key";
}

}  // namespace
}  // namespace waggle::test
