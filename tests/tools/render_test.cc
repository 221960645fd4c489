#include "tools/waggle/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/fake_queen.h"
#include "tools/waggle/follow.h"
#include "tools/waggle/json.h"
#include "waggle/v1/queen.pb.h"

namespace waggle::cli {
namespace {

using testing::HasSubstr;

const Style kPlain{false, true};

TEST(RenderTest, EveryStateSaysWhy) {
  v1::Job queued = MakeJob(12, "unit", v1::QUEUED);
  queued.set_detail("no drone has os=windows");
  EXPECT_EQ(StateLine(queued), "job 12 unit  queued: no drone has os=windows");
  EXPECT_EQ(StateLine(MakeJob(12, "unit", v1::STARTED)), "job 12 unit  started on bee-1 (attempt 1)");
  EXPECT_EQ(Verdict(Passed(12, "unit"), kPlain), "✓ 12 unit passed 0:41");
  EXPECT_EQ(Verdict(Failed(12, "unit", 2), kPlain), "✗ 12 unit failed test/unit exit 2");
  EXPECT_EQ(Verdict(Errored(12, "unit", "timeout"), kPlain), "⚡ 12 unit errored (timeout): it took too long");
  v1::Job canceled = MakeJob(12, "unit", v1::CANCELED);
  canceled.set_canceled_by("anna");
  EXPECT_EQ(Verdict(canceled, kPlain), "⊘ 12 unit canceled by anna");
  EXPECT_EQ(Verdict(Failed(12, "unit", 2), Style()), "XX 12 unit failed test/unit exit 2");
}

TEST(RenderTest, AnEndedJobHasTheReceiptOfItsProcesses) {
  v1::Job canceled = MakeJob(12, "unit", v1::CANCELED);
  canceled.set_canceled_by("anna");
  canceled.mutable_receipt();
  EXPECT_EQ(Verdict(canceled, kPlain), "⊘ 12 unit canceled by anna · 0 processes left");
  canceled.mutable_receipt()->set_kill_ms(6100);
  EXPECT_EQ(Verdict(canceled, kPlain), "⊘ 12 unit canceled by anna · 0 processes left after 6.10 s");
  canceled.mutable_receipt()->set_processes_killed(2);
  EXPECT_EQ(Verdict(canceled, kPlain),
            "⊘ 12 unit canceled by anna · 0 processes left after 6.10 s, 2 killed");
  EXPECT_THAT(JobFacts(canceled, {}, 1, 0, kPlain),
              HasSubstr("processes  0 processes left after 6.10 s, 2 killed\n"));
  EXPECT_EQ(ToJson(canceled)["receipt"]["processes_killed"], 2);

  v1::Job passed = Passed(13, "unit");
  *passed.mutable_receipt() = canceled.receipt();
  EXPECT_EQ(Verdict(passed, kPlain), "✓ 13 unit passed 0:41");
  passed.mutable_receipt()->set_processes_left(3);  // must not be, and is said of whatever ended
  EXPECT_EQ(Verdict(passed, kPlain),
            "✓ 13 unit passed 0:41 · WARNING: 3 of its processes could not be killed, look at bee-1");
  EXPECT_EQ(Receipt(MakeJob(14, "unit", v1::STARTED)), "");
}

TEST(RenderTest, ALateTruthStandsBesideTheVerdict) {
  v1::Job job = Errored(12, "release", "unknown");
  v1::Attempt* attempt = job.add_attempts();
  attempt->set_number(1);
  attempt->set_late_awaited(true);
  EXPECT_THAT(JobFacts(job, {}, 1, 0, kPlain), HasSubstr("its drone may still come back"));
  attempt->set_late_awaited(false);
  v1::LateTruth* late = job.mutable_late();
  late->set_state(v1::PASSED);
  late->set_deploy_code(0);
  late->set_finished_at(1'795'172'582'000);
  EXPECT_EQ(Verdict(job, kPlain),
            "⚡ 12 release errored (unknown): it took too long; late truth: passed, deploy exit 0, "
            "2026-11-20T11:03:02Z");
  v1::ListJobsResponse list;
  *list.add_jobs() = job;
  EXPECT_THAT(JobsTable(list, 0, kPlain),
              HasSubstr("unknown; late truth: passed, deploy exit 0, 2026-11-20T"));
  EXPECT_THAT(JobFacts(job, {}, 1, 0, kPlain), HasSubstr("waggle logs 12 --late"));
  EXPECT_EQ(ToJson(job)["late"]["state"], "passed");
  late->set_state(v1::CANCELED);
  late->set_deploy_code(-1);
  EXPECT_THAT(Verdict(job, kPlain), HasSubstr("late truth: canceled, deploy never began, "));
  late->set_state(v1::ERRORED);
  late->set_reason("shim_lost");
  late->set_deploy_code(504);
  EXPECT_THAT(Verdict(job, kPlain), HasSubstr("late truth: errored (shim_lost), deploy still unknown, "));
  EXPECT_EQ(MirrorExitCodeOf(job), 122);  // whatever came later
}

TEST(RenderTest, AnUnknownStateFromANewerQueenIsNotAVerdict) {
  v1::Job job = MakeJob(1, "x", 77);
  EXPECT_FALSE(IsTerminal(StateOf(job)));
  EXPECT_EQ(ToJson(job)["state"], 77);
}

TEST(RenderTest, MirroredExitCodes) {
  EXPECT_EQ(MirrorExitCodeOf(Failed(1, "x", 2)), 2);
  EXPECT_EQ(MirrorExitCodeOf(Failed(1, "x", 139)), 139);
  EXPECT_EQ(MirrorExitCodeOf(Failed(1, "x", 122)), 1);
  EXPECT_EQ(MirrorExitCodeOf(Errored(1, "x", "timeout")), 121);
  EXPECT_EQ(MirrorExitCodeOf(Errored(1, "x", "log_limit")), 121);
  EXPECT_EQ(MirrorExitCodeOf(Errored(1, "x", "drone_lost")), 122);
  EXPECT_EQ(MirrorExitCodeOf(Errored(1, "x", "a reason of tomorrow")), 122);
  EXPECT_EQ(MirrorExitCodeOf(MakeJob(1, "x", v1::CANCELED)), 120);
}

TEST(RenderTest, SeveralJobsMirrorTheFirstFailedInOrder) {
  using Jobs = std::vector<v1::Job>;
  EXPECT_EQ(MirrorExitCodeOf(Jobs{Passed(1, "a"), Failed(2, "b", 7), Failed(3, "c", 9)}), 7);
  EXPECT_EQ(MirrorExitCodeOf(Jobs{Errored(1, "a", "drone_lost"), Failed(2, "b", 7)}), 7);
  EXPECT_EQ(MirrorExitCodeOf(Jobs{Passed(1, "a"), Errored(2, "b", "drone_lost")}), 122);
  EXPECT_EQ(MirrorExitCodeOf(Jobs{MakeJob(1, "a", v1::CANCELED), Passed(2, "b")}), 120);
  EXPECT_EQ(MirrorExitCodeOf(Jobs{Passed(1, "a"), MakeJob(2, "b", v1::SKIPPED)}), 0);
  EXPECT_EQ(MirrorExitCodeOf(Jobs{Errored(1, "a", "timeout")}), 121);
}

TEST(RenderTest, JobsTableHasTheColumnsOfTheManual) {
  v1::ListJobsResponse list;
  v1::Job queued = MakeJob(1848, "windows", v1::QUEUED);
  queued.set_run(412);
  queued.set_branch("feat/parser");
  queued.set_detail("stuck: os=windows");
  queued.set_created_at(1'000'000);
  *list.add_jobs() = queued;
  *list.add_jobs() = Failed(9, "job", 1);
  EXPECT_EQ(JobsTable(list, 1'120'000, kPlain),
            " JOB   STATE     RUN/NAME     KIND  BRANCH/TAG   DRONE  AGE  TOOK  NOTE\n"
            " 1848  ◷ queued  412/windows  TEST  feat/parser  –      2m   –     stuck: os=windows\n"
            " 9     ✗ failed  job          TEST  –            bee-1  18m  –     test/unit exit 1\n");
}

TEST(RenderTest, JsonHasEveryFieldInSnakeCase) {
  v1::Job job = Errored(12, "unit", "drone_lost");
  job.set_finished_at(1'795'172'582'000);
  Json json = ToJson(job);
  EXPECT_EQ(json["id"], 12);
  EXPECT_EQ(json["state"], "errored");
  EXPECT_EQ(json["type"], "TEST");
  EXPECT_EQ(json["reason"], "drone_lost");
  EXPECT_EQ(json["finished_at"], 1'795'172'582'000);
  for (const char* field :
       {"run", "name", "detail", "repo", "branch", "commit", "attempt", "drone", "created_at", "duration_ms",
        "test_code", "deploy_code", "cancel_requested", "attempts"}) {
    EXPECT_TRUE(json.contains(field)) << field;
  }
  EXPECT_FALSE(json.contains("document"));
}

TEST(RenderTest, ShowListsAttemptsAndCommands) {
  v1::Job job = Failed(12, "unit", 2);
  job.set_attempt(2);
  v1::Attempt* lost = job.add_attempts();
  lost->set_number(1);
  lost->set_drone("bee-9");
  lost->set_state(v1::ERRORED);
  lost->set_reason("drone_lost");
  v1::Attempt* second = job.add_attempts();
  second->set_number(2);
  second->set_drone("bee-1");
  second->set_state(v1::FAILED);
  v1::OutlineResponse outline;
  v1::CommandRecord* command = outline.add_commands();
  command->set_phase(v1::TEST_PHASE);
  command->set_exit_code(139);
  command->set_signal(11);
  std::string text = JobFacts(job, outline, 2, 0, kPlain);
  EXPECT_THAT(text, HasSubstr("12@1  errored (drone_lost) on bee-9"));
  EXPECT_THAT(text, HasSubstr("12@2  failed test/unit exit 2 on bee-1"));
  EXPECT_THAT(text, HasSubstr("test/#0"));
  EXPECT_THAT(text, HasSubstr("exit 139 (signal 11)"));
}

}  // namespace
}  // namespace waggle::cli
