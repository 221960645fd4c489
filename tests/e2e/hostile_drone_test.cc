// A drone that breaks the rules of the control stream: every message is refused with a reason or changes
// nothing, and the hive goes on beside it.
#include <cmath>
#include <limits>
#include <vector>

#include "tests/e2e/hostile_fixture.h"

namespace waggle::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class HostileDrone : public HostileFixture {
 protected:
  // The stream of a drone that begins so ends with this code and a text that names the trouble.
  void ExpectRefused(const v1::FromDrone& first, grpc::StatusCode code, const std::string& text) {
    RawControl& control = Raw().Connect();
    control.Say(first);
    const grpc::Status end = control.End();
    EXPECT_EQ(end.error_code(), code) << end.error_message() << "\n"
                                      << first.ShortDebugString().substr(0, 300);
    EXPECT_THAT(end.error_message(), HasSubstr(text));
    EXPECT_LT(end.error_message().size(), 1000u);
    EXPECT_TRUE(control.Heard().empty()) << "the queen said something before";
  }
  template <typename Change>
  v1::FromDrone HelloWith(Change&& change) {
    v1::FromDrone message = Raw().Hello();
    change(*message.mutable_hello());
    return message;
  }
  void ExpectBadHello(const std::function<void(v1::Hello&)>& change, const std::string& field) {
    ExpectRefused(HelloWith(change), grpc::StatusCode::INVALID_ARGUMENT, field);
  }
};

// Everything people are shown, once more: nothing a drone said may steer their terminal.
bool HasControls(const std::string& text) {
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f) return true;
  }
  return text.find("\u202e") != std::string::npos;
}

TEST_F(HostileDrone, WhatIsNoGreeting) {
  v1::FromDrone info, beat;
  info.mutable_info();
  beat.mutable_heartbeat();
  for (const v1::FromDrone& first : {v1::FromDrone(), info, beat, AcceptOf(1), RejectOf(1, "no"),
                                     StatusOf(1, v1::HeldAttempt::RUNNING, 1), ShimLostOf(1, 0, "")}) {
    ExpectRefused(first, grpc::StatusCode::INVALID_ARGUMENT, "the first message must be Hello");
  }
  RawControl& twice = Raw().Join();
  twice.Say(Raw().Hello());
  EXPECT_EQ(twice.End().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(twice.End().error_message(), HasSubstr("a second Hello"));
  RawControl& unknown = Raw().Join();
  unknown.Say(v1::FromDrone());
  EXPECT_THAT(unknown.End().error_message(), HasSubstr("of a kind this queen does not know"));
}

TEST_F(HostileDrone, ProtocolsThatDoNotMeet) {
  auto range = [](std::uint32_t min, std::uint32_t max) {
    return [=](v1::Hello& hello) {
      hello.set_protocol_min(min);
      hello.set_protocol_max(max);
    };
  };
  const auto refused = grpc::StatusCode::FAILED_PRECONDITION;
  ExpectRefused(HelloWith(range(2, 4)), refused, "next: upgrade the queen");
  ExpectRefused(HelloWith(range(0, 0)), refused, "next: upgrade the drone");
  ExpectBadHello(range(3, 1), "hello.protocol_min");
  Raw().Join(HelloWith(range(1, 9)));
}

TEST_F(HostileDrone, StringsThatAreNoNames) {
  const std::string field_limit = std::string(4096, 'x');
  const std::vector<std::string> bad = {std::string("a\0b", 3), "a\nb", "\x1b]0;owned\x07", "a\u202eb",
                                        field_limit};
  for (const std::string& text : bad) {
    ExpectBadHello([&](v1::Hello& h) { h.set_name(text); }, "hello.name: ");
    ExpectBadHello([&](v1::Hello& h) { h.set_identity(text); }, "hello.identity: ");
    ExpectBadHello([&](v1::Hello& h) { h.set_host(text); }, "hello.host: ");
    ExpectBadHello([&](v1::Hello& h) { h.set_version(text); }, "hello.version: ");
    ExpectBadHello([&](v1::Hello& h) { h.set_boot_id(text); }, "hello.boot_id: ");
    ExpectBadHello([&](v1::Hello& h) { h.set_place(text); }, "hello.place: ");
    ExpectBadHello([&](v1::Hello& h) { (*h.mutable_info()->mutable_labels())[text] = ""; }, "info.labels: ");
    ExpectBadHello([&](v1::Hello& h) { (*h.mutable_info()->mutable_labels())["k"] = text; }, "info.labels: ");
    ExpectBadHello([&](v1::Hello& h) { h.mutable_info()->add_plugins()->set_name(text); },
                   "info.plugins.name: ");
    ExpectBadHello(
        [&](v1::Hello& h) {
          h.mutable_info()->add_plugins()->set_name("p");
          h.mutable_info()->mutable_plugins(0)->set_version(text);
        },
        "info.plugins.version: ");
  }
  for (const char* name : {"", "..", "../../etc", "-x", ".x", "a b", "a/b"}) {
    ExpectBadHello([&](v1::Hello& h) { h.set_name(name); }, "hello.name: ");
  }
  // Not UTF-8: no protobuf parser takes it, so the stream ends before a field can be named.
  ExpectBadHello([](v1::Hello& h) { h.set_host("\xff\xfe"); }, "cannot be read");
  ExpectBadHello([](v1::Hello& h) { (*h.mutable_info()->mutable_labels())["k"] = std::string(1 << 20, 'x'); },
                 "256 KiB");
}

TEST_F(HostileDrone, NumbersOutOfRange) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  for (double speed : {nan, inf, -inf, -1.0, 1e13}) {
    ExpectBadHello([&](v1::Hello& h) { h.mutable_info()->set_speed(speed); }, "info.speed: ");
  }
  ExpectBadHello([](v1::Hello& h) { h.mutable_info()->set_capacity(1u << 31); },
                 "info.capacity: 2147483648 slots; at most 1024");
  ExpectBadHello([](v1::Hello& h) { h.set_highest_epoch(~0ull); }, "hello.highest_epoch: ");
  auto hold = [](v1::Hello& h, std::uint64_t epoch, int state) {
    v1::HeldAttempt* held = h.add_attempts();
    held->set_epoch(epoch);
    held->set_state(static_cast<v1::HeldAttempt::State>(state));
  };
  ExpectBadHello([&](v1::Hello& h) { hold(h, 0, 1); }, "attempt.epoch: ");
  for (int state : {0, 7, 99, -1}) {
    ExpectBadHello([&](v1::Hello& h) { hold(h, 5, state); }, "attempt.state: ");
  }
  ExpectBadHello([&](v1::Hello& h) { hold(h, 5, 1), hold(h, 6, 2), hold(h, 5, 6); },
                 "hello.attempts: epoch 5 is listed twice");
  ExpectBadHello(
      [](v1::Hello& h) {
        for (int i = 0; i < 64; ++i) (*h.mutable_info()->mutable_labels())[absl::StrCat(i)] = "";
      },
      "info.labels: 65 labels; at most 64");
  ExpectBadHello(
      [&](v1::Hello& h) {
        for (int i = 1; i <= 1025; ++i) hold(h, i, 1);
      },
      "hello.attempts: 1025 attempts; at most 1024");
  ExpectBadHello(
      [&](v1::Hello& h) {
        for (int i = 1; i <= 50'000; ++i) hold(h, i, 1);
      },
      "256 KiB");
  ExpectRefused(HelloWith([&](v1::Hello& h) {
                  for (int i = 1; i <= 1'000'000; ++i) hold(h, i, 1);
                }),
                grpc::StatusCode::RESOURCE_EXHAUSTED, "larger than max");
}

// Numbers that are no ground for a refusal, but must not reach people as they are.
TEST_F(HostileDrone, NumbersThatAreOnlyShown) {
  Raw().Join();
  v1::FromDrone beat;
  beat.mutable_heartbeat()->set_nonce(~0ull);
  beat.mutable_heartbeat()->set_load1(std::nan(""));
  beat.mutable_heartbeat()->set_memory_free_kib(~0ull);
  Raw().control().Say(beat);
  ASSERT_TRUE(Raw().control().Hears([](const auto& m) { return m.has_heartbeat_ack(); }));
  for (const Json& drone : Drones()) {
    EXPECT_TRUE(drone["load1"].is_number()) << drone;
  }
  const std::uint64_t epoch = GiveRawAJob();
  v1::FromDrone status = StatusOf(epoch, v1::HeldAttempt::RUNNING, 7);
  status.mutable_status()->mutable_attempt()->set_received_at(std::numeric_limits<std::int64_t>::min());
  status.mutable_status()->mutable_attempt()->set_started_at(std::numeric_limits<std::int64_t>::max());
  Raw().control().Say(status);
  const Json job = WaitForState(job_, "started");
  EXPECT_LT(job["started_at"].get<std::int64_t>(), 1e13) << "not in the year 300,000";
  EXPECT_GE(job["received_at"].get<std::int64_t>(), 0);
}

TEST_F(HostileDrone, ReasonsCannotSteerATerminalOrBreakAList) {
  Raw().Join();
  std::string reason = "no\x1b[2J\x1b]0;owned\x07 \u202e\r\ndisk" + std::string("\0!", 2);
  while (reason.size() < 4096 + 10) reason += "\u00e9";  // a cut at 4 KiB goes through a character
  for (int attempt = 0; attempt < 3; ++attempt) {
    const std::uint64_t epoch = attempt == 0 ? GiveRawAJob() : Raw().NextAssigned();
    Raw().control().Say(attempt < 2 ? RejectOf(epoch, reason) : ShimLostOf(epoch, 0, reason));
  }
  const Json job = WaitForState(job_, "errored");
  EXPECT_THAT(std::string(job["detail"]), HasSubstr("disk"));
  for (const Words& args :
       {Words{"jobs"}, Words{"show", absl::StrCat(job_)}, Words{"watch", absl::StrCat(job_)},
        Words{"logs", absl::StrCat(job_)}, Words{"drones"}}) {
    const Outcome outcome = Waggle(args);
    EXPECT_NE(outcome.code, 1) << outcome;
    EXPECT_FALSE(HasControls(outcome.out + outcome.err)) << args[0] << outcome;
  }
  EXPECT_FALSE(HasControls(Queen().Err()));
}

TEST_F(HostileDrone, OneKeyTwoSessionsAndOneNameTwoKeys) {
  RawDrone rival(QueenData(), "raw", 'a');
  Raw().Join();
  rival.Join(rival.Hello());
  EXPECT_EQ(Raw().control().End().error_code(), grpc::StatusCode::ABORTED);
  EXPECT_THAT(Raw().control().End().error_message(), HasSubstr("raw-host"));
  RawDrone other(QueenData(), "raw", 'b'), thief(QueenData(), "healthy", 'c');
  for (RawDrone* liar : {&other, &thief}) {
    liar->Connect().Say(liar->Hello());
    const grpc::Status end = liar->control().End();
    EXPECT_EQ(end.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(end.error_message(),
                AllOf(HasSubstr("the name " + liar->name() + " is in use"), HasSubstr("next: ")));
  }
  EXPECT_FALSE(rival.control().Ended());
  EXPECT_EQ(Drones().size(), 2u);
}

TEST_F(HostileDrone, ReconnectLoop) {
  for (int i = 0; i < 300; ++i) {
    RawControl& control = Raw().Connect();
    control.Say(Raw().Hello());
    if (i % 3 == 0) control.SayNoMore();
    if (i % 3 == 1) control.Cut();
  }
  Raw().Join();
  EXPECT_EQ(Drones().size(), 2u);
}

// Says nothing of its assignment, though it looks like the best drone there is.
TEST_F(HostileDrone, AnAssignmentWithoutAnswerGoesToTheNextDrone) {
  Raw().Join();
  const std::uint64_t job = Submit(TestJob({"true"}));
  const std::uint64_t epoch = Raw().NextAssigned();
  const Json facts = WaitForState(job, "passed");
  EXPECT_EQ(facts["drone"], "healthy");
  EXPECT_EQ(facts["attempts"].size(), 2u);
  EXPECT_THAT(std::string(facts["attempts"][0]["detail"]), HasSubstr("raw did not answer the assignment"));
  EXPECT_TRUE(
      Raw().control().Hears([&](const auto& m) { return m.has_fenced() && m.fenced().epoch() == epoch; }));
}

// A fast drone that refuses everything must not use up the attempts of every job.
TEST_F(HostileDrone, AFastDroneThatRefusesEverythingIsAvoided) {
  Raw().Join();
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t job = Submit(TestJob({"true"}));
    if (i == 0) Raw().control().Say(RejectOf(Raw().NextAssigned(), "broken"));
    const Json facts = WaitForState(job, "passed");
    EXPECT_EQ(facts["drone"], "healthy");
  }
}

}  // namespace
}  // namespace waggle::test
