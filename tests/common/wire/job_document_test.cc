#include "common/wire/job_document.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "common/base/limits.h"
#include "common/wire/enums.h"
#include "waggle/v1/job.pb.h"

namespace waggle::wire {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kFull[] = R"({
  "userId": "u-7", "jobId": "1845", "name": "build-test", "type": "TEST_AND_DEPLOY", "priority": -3,
  "repo": {"url": "https://bob:hunter2@git.example.com/team/shop.git",
           "https": {"user": "bob", "password": "hunter2"}, "provider": "github", "vcs": "git"},
  "ref": {"branch": "main", "id": "a17c0b5d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b"},
  "trigger": {"type": "commit", "message": "Fix the pump", "timestamp": "1700000000123", "url": "https://x.example/c/1",
              "author": {"id": "7", "url": "https://x.example/anna", "name": "Anna", "email": "anna@x.example",
                         "image": "https://x.example/anna.png", "username": "anna"},
              "ui": {"page": "/shop"}},
  "plugins": [{"name": "ccache", "version": "4.7", "config": {"size": "5G", "deep": {"b": [1, true, null], "a": 2.5}}}, {"name": "bare", "config": {}}],
  "environment": [{"command": "env"}],
  "prepare": [{"name": "configure", "command": "cmake", "args": ["-B", "build", ""], "cwd": "src/app"}],
  "test": [{"name": "unit", "command": "ctest\n./more", "screen": "tests", "silent": true, "env": {"A": "1", "B": ""},
            "allowFailure": true, "wallMs": "2000", "silenceMs": "300", "shell": "sh", "secrets": ["TOKEN"]}],
  "deploy": [{"command": "./install.sh"}],
  "cleanup": [{"command": "rm -rf build"}],
  "env": {"CC": "gcc-12", "EMPTY": ""}, "needs": {"os": "linux", "mem": "4G"},
  "limits": {"wallMs": "60000", "silenceMs": "5000", "cleanupMs": "1000", "logBytes": "1048576"},
  "isolation": "ISOLATION_BUBBLEWRAP", "noNetwork": true, "secrets": ["KEY", "KEY2"], "submodules": true,
  "matrix": {"cc": "gcc-12", "arch": "amd64"}
})";

v1::JobDocument Document(std::string_view json) {
  v1::JobDocument document;
  absl::Status status = DocumentFromJson(json, &document);
  EXPECT_TRUE(status.ok()) << status;
  return document;
}

v1::JobDocument Small() {
  return Document(R"({"trigger": {"timestamp": "1"}, "test": [{"command": "make"}]})");
}

std::string Refusal(const v1::JobDocument& document) {
  auto spec = FromProto(document);
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << spec.status();
  return std::string(spec.status().message());
}

TEST(JobDocument, EveryFieldSurvivesTheRoundTrip) {
  const v1::JobDocument in = Document(kFull);
  for (const auto* field :
       {"user_id", "repo", "job_id", "ref", "type", "trigger", "env", "needs", "priority", "limits"}) {
    ASSERT_NE(in.GetDescriptor()->FindFieldByName(field), nullptr) << field;
  }
  std::vector<const google::protobuf::FieldDescriptor*> set;
  in.GetReflection()->ListFields(in, &set);
  ASSERT_EQ(static_cast<int>(set.size()), in.GetDescriptor()->field_count()) << "kFull must set every field";

  auto spec = FromProto(in);
  ASSERT_TRUE(spec.ok()) << spec.status();
  v1::JobDocument out;
  ToProto(*spec, JobId(1845), &out);
  google::protobuf::util::MessageDifferencer differencer;
  std::string report;
  differencer.ReportDifferencesToString(&report);
  EXPECT_TRUE(differencer.Compare(in, out)) << report;

  auto parsed = ParseDocument(SerializeDocument(*spec, JobId(1845)));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ToProto(*parsed, JobId(1845), &out);
  EXPECT_TRUE(differencer.Compare(in, out)) << report;
}

TEST(JobDocument, SpecHoldsWhatTheDocumentSays) {
  auto spec = FromProto(Document(kFull));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->type, JobType::kTestAndDeploy);
  EXPECT_EQ(std::get<pipeline::HttpsAuth>(spec->repo.auth).password, "hunter2");
  EXPECT_EQ(spec->trigger.source_kind, "UI");
  EXPECT_EQ(spec->trigger.source_name, "/shop");
  EXPECT_EQ(spec->trigger.timestamp, 1700000000123);
  EXPECT_EQ(spec->plugins[0].config_json, R"({"deep":{"a":2.5,"b":[1,true,null]},"size":"5G"})");
  EXPECT_EQ(spec->plugins[1].config_json, "{}");
  const auto& test = spec->phases[static_cast<int>(Phase::kTest)];
  ASSERT_EQ(test.size(), 1u);
  EXPECT_EQ(test[0].command, "ctest\n./more");
  EXPECT_TRUE(test[0].silent);
  EXPECT_EQ(test[0].env.at("B"), "");
  EXPECT_TRUE(test[0].allow_failure);
  EXPECT_EQ(test[0].wall, std::chrono::seconds(2));
  EXPECT_EQ(test[0].silence, std::chrono::milliseconds(300));
  EXPECT_EQ(test[0].shell, "sh");
  EXPECT_THAT(test[0].secrets, testing::ElementsAre("TOKEN"));
  EXPECT_EQ(spec->isolation, Isolation::kBubblewrap);
  EXPECT_FALSE(spec->network);
  EXPECT_THAT(spec->secrets, testing::ElementsAre("KEY", "KEY2"));
  EXPECT_TRUE(spec->submodules);
  EXPECT_EQ(spec->matrix.at("cc"), "gcc-12");
  EXPECT_EQ(spec->phases[static_cast<int>(Phase::kPrepare)][0].args.size(), 3u);
  EXPECT_EQ(spec->limits.wall, std::chrono::seconds(60));
  EXPECT_EQ(spec->limits.log_bytes, 1048576u);
  EXPECT_EQ(spec->priority, -3);
}

TEST(JobDocument, WhatAFullSpoolDoesIsKnownOrRefused) {
  v1::JobDocument document = Document(kFull);
  EXPECT_FALSE(FromProto(document)->limits.truncates);
  document.mutable_limits()->set_spool_full(v1::TRUNCATE);
  auto spec = FromProto(document);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_TRUE(spec->limits.truncates);
  v1::JobDocument again;
  ToProto(*spec, JobId(1), &again);
  EXPECT_EQ(again.limits().spool_full(), v1::TRUNCATE);
  document.mutable_limits()->set_spool_full(static_cast<v1::SpoolFull>(7));
  EXPECT_EQ(FromProto(document).status().message(),
            "limits.spool_full: 7 is no policy; write BLOCK or TRUNCATE");
}

TEST(JobDocument, OtherVariantsOfAuthAndSource) {
  v1::JobDocument in = Document(kFull);
  in.mutable_repo()->set_url("git@git.example.com:team/shop.git");
  in.mutable_repo()->mutable_ssh()->set_key("-----BEGIN KEY-----\nabc\n");
  in.mutable_trigger()->mutable_api()->set_app("bot");
  auto spec = FromProto(in);
  ASSERT_TRUE(spec.ok()) << spec.status();
  v1::JobDocument out;
  ToProto(*spec, JobId(1845), &out);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(in, out));

  in.mutable_trigger()->mutable_plugin()->set_plugin("cron");
  spec = FromProto(in);
  ASSERT_TRUE(spec.ok()) << spec.status();
  ToProto(*spec, JobId(1845), &out);
  EXPECT_EQ(out.trigger().plugin().plugin(), "cron");
}

TEST(JobDocument, DefaultsAreFilledIn) {
  auto spec = FromProto(Small());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->name, "job");
  EXPECT_EQ(spec->type, JobType::kTest);
  EXPECT_EQ(spec->repo.vcs, "git");
  EXPECT_EQ(spec->trigger.type, "manual");
}

TEST(JobDocument, SerializationDependsOnTheContentAlone) {
  v1::JobDocument a = Small(), b = Small();
  for (int i = 0; i < 50; ++i) (*a.mutable_env())["V" + std::to_string(i)] = "x";
  for (int i = 49; i >= 0; --i) (*b.mutable_env())["V" + std::to_string(i)] = "x";
  EXPECT_EQ(SerializeDocument(*FromProto(a), JobId(1)), SerializeDocument(*FromProto(b), JobId(1)));
  EXPECT_NE(SerializeDocument(*FromProto(a), JobId(1)), SerializeDocument(*FromProto(b), JobId(2)));
}

TEST(JobDocument, BadEnumsAreRefused) {
  v1::JobDocument document = Small();
  document.set_type(static_cast<v1::JobType>(17));
  EXPECT_EQ(Refusal(document), "type: 17 is no job type; write TEST, DEPLOY or TEST_AND_DEPLOY");
  document.set_type(static_cast<v1::JobType>(-1));
  EXPECT_THAT(Refusal(document), HasSubstr("type: -1"));
}

TEST(JobDocument, BrokenInputIsRefused) {
  EXPECT_EQ(Refusal(v1::JobDocument()),
            "trigger.timestamp: 0 is no time; it is required: milliseconds since 1970-01-01 UTC");
  v1::JobDocument document = Small();
  document.mutable_limits()->set_wall_ms(86'400'001);
  EXPECT_EQ(Refusal(document), "limits.wall_ms: 86400001 ms; write 0 (the default) to 86400000 ms (24 h)");
  document = Small();
  document.mutable_test(0)->set_command(std::string(limits::kJobDocument, 'x'));
  EXPECT_THAT(Refusal(document), AllOf(HasSubstr("job document"), HasSubstr("196608")));

  EXPECT_EQ(ParseDocument("\x0a\xff garbage").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseDocument(std::string(limits::kJobDocument + 1, '\0')).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// A plugin config of lists in lists: refused or kept whole, never cut.
TEST(JobDocument, DeepPluginConfigs) {
  int kept = 0, refused = 0;
  for (int depth = 1; depth < 3'000; depth = depth * 3 / 2 + 1) {
    v1::JobDocument document = Small();
    auto* plugin = document.add_plugins();
    plugin->set_name("deep");
    auto* value = &(*plugin->mutable_config()->mutable_fields())["a"];
    for (int i = 0; i < depth; ++i) value = value->mutable_list_value()->add_values();
    value->set_string_value("bottom");
    auto spec = FromProto(document);
    EXPECT_EQ(spec.ok(), depth < 24) << depth << ": " << spec.status();
    if (!spec.ok()) {
      ++refused;
      EXPECT_THAT(spec.status().message(), HasSubstr("plugins[0].config: nested deeper than 24 levels"));
      continue;
    }
    ++kept;
    v1::JobDocument out;
    ToProto(*spec, JobId(0), &out);
    EXPECT_EQ(out.plugins(0).SerializeAsString(), document.plugins(0).SerializeAsString());
    EXPECT_TRUE(ParseDocument(SerializeDocument(*spec, JobId(1))).ok());
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(refused, 0);
}

std::string JsonError(std::string_view json) {
  v1::JobDocument document;
  document.set_name("left over");
  absl::Status status = DocumentFromJson(json, &document);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_EQ(document.ByteSizeLong(), 0u) << "a refused document must be empty";
  return std::string(status.message());
}

TEST(DocumentFromJson, NamesTheFieldItRefuses) {
  EXPECT_THAT(JsonError(R"({"tests": []})"), AllOf(HasSubstr("job document"), HasSubstr("tests")));
  EXPECT_THAT(JsonError(R"({"repo": {"urll": "x"}})"), AllOf(HasSubstr("repo"), HasSubstr("urll")));
  EXPECT_THAT(JsonError(R"({"test": [{"command": "x"}, {"comand": "y"}]})"), HasSubstr("comand"));
  EXPECT_THAT(JsonError(R"({"priority": "high"})"), AllOf(HasSubstr("priority"), HasSubstr("high")));
  EXPECT_THAT(JsonError(R"({"type": "TESTS"})"), AllOf(HasSubstr("type"), HasSubstr("TESTS")));
  EXPECT_THAT(JsonError(R"({"env": ["A=1"]})"), HasSubstr("env"));
}

TEST(DocumentFromJson, MalformedAndHostileTextIsRefused) {
  JsonError("");
  JsonError("{");
  JsonError("[]");
  JsonError("{} {}");
  EXPECT_THAT(JsonError(std::string(2 * limits::kMiB, ' ')), HasSubstr("2097152 bytes"));
  JsonError(R"({"plugins": [{"name": "x", "config": {"a": )" + std::string(100'000, '[') + "}}]}");
}

TEST(StripCredentials, LeavesNoSecretBehind) {
  v1::JobDocument document = Document(kFull);
  StripCredentials(&document);
  EXPECT_EQ(document.repo().auth_case(), v1::Repo::AUTH_NOT_SET);
  EXPECT_EQ(document.repo().url(), "https://git.example.com/team/shop.git");
  EXPECT_EQ(document.repo().provider(), "github");
  EXPECT_THAT(document.SerializeAsString(), Not(HasSubstr("hunter2")));
  v1::JobDocument none = Small();
  StripCredentials(&none);
  EXPECT_FALSE(none.has_repo());
}

TEST(StripCredentials, ReplacesAScreenedCommandByItsScreen) {
  v1::JobDocument document = Small();
  v1::Command* command = document.add_cleanup();
  command->set_command("login");
  command->add_args("hunter2");
  command->set_screen("log in");
  StripCredentials(&document);
  EXPECT_THAT(document.SerializeAsString(), Not(HasSubstr("hunter2")));
  EXPECT_EQ(document.cleanup(0).command(), "log in");
}

TEST(PublicUrl, CutsUserAndPassword) {
  EXPECT_EQ(PublicUrl("https://user:pw@host/p"), "https://host/p");
  EXPECT_EQ(PublicUrl("https://token@host:8443/p@x"), "https://host:8443/p@x");
  EXPECT_EQ(PublicUrl("https://u:p@ss?w#rd@host/p"), "https://host/p");
  EXPECT_EQ(PublicUrl("https://u:p@host"), "https://host");
  EXPECT_EQ(PublicUrl("ssh://git@host/p"), "ssh://host/p");
  EXPECT_EQ(PublicUrl("https://host/a@b"), "https://host/a@b");
  EXPECT_EQ(PublicUrl("git@host:team/p"), "git@host:team/p");
  EXPECT_EQ(PublicUrl("u:pw@host:team/p"), "host:team/p");
  EXPECT_EQ(PublicUrl("/srv/git/a:b@c"), "/srv/git/a:b@c");
  EXPECT_EQ(PublicUrl(""), "");
}

TEST(Enums, AreOneToOne) {
  for (int i = 1; i <= 3; ++i) {
    auto ours = FromProto(static_cast<v1::JobType>(i));
    ASSERT_TRUE(ours.has_value());
    EXPECT_EQ(ToProto(*ours), i);
    EXPECT_EQ(Name(*ours), v1::JobType_Name(i));
  }
  for (int i = 1; i <= 9; ++i) {
    auto ours = FromProto(static_cast<v1::JobState>(i));
    ASSERT_TRUE(ours.has_value());
    EXPECT_EQ(ToProto(*ours), i);
    EXPECT_FALSE(v1::JobState_Name(i).empty());
  }
  EXPECT_EQ(ToProto(Phase::kTest), v1::TEST_PHASE);
  EXPECT_EQ(FromProto(v1::DEPLOY_PHASE), Phase::kDeploy);
  EXPECT_EQ(FromProto(v1::ENVIRONMENT), Phase::kEnvironment);
}

TEST(Enums, UnknownValuesAreNoValue) {
  for (int bad : {-1, 0, 4, 1000}) EXPECT_FALSE(FromProto(static_cast<v1::JobType>(bad)).has_value()) << bad;
  for (int bad : {-1, 0, 10, 1000})
    EXPECT_FALSE(FromProto(static_cast<v1::JobState>(bad)).has_value()) << bad;
  for (int bad : {-1, 5, 1000}) EXPECT_FALSE(FromProto(static_cast<v1::Phase>(bad)).has_value()) << bad;
}

}  // namespace
}  // namespace waggle::wire
