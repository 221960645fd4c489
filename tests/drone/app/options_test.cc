#include "drone/app/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "drone/app/keys.h"
#include "tests/support/temp_dir.h"

namespace waggle::drone {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class OptionsTest : public testing::Test {
 protected:
  OptionsTest() {
    Flag("queen", "unix:/run/queen.sock");
    Flag("data", "data");
  }
  void Flag(std::string_view name, const std::string& value) {
    for (const config::Key& key : kProgram.keys) {
      if (key.name == name) sources_.flags.emplace_back(&key, value);
    }
  }
  absl::StatusOr<Options> Read() {
    auto settings = config::Settings::Load(kProgram, sources_);
    if (!settings.ok()) return settings.status();
    if (absl::Status status = settings->RequireAll(); !status.ok()) return status;
    return Resolve(*settings, "0.1.0");
  }
  std::string Error(std::string_view name, const std::string& value) {
    Flag(name, value);
    auto options = Read();
    sources_.flags.pop_back();
    return options.ok() ? "" : std::string(options.status().message());
  }
  config::Sources sources_;
};

TEST_F(OptionsTest, CompletesWhatTheHostSays) {
  Flag("labels", "zone=eu=1");
  Flag("labels", "host=mine");
  Flag("env", "A=b=c");
  Flag("env", "EMPTY=");
  auto options = Read();
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->target, "unix:/run/queen.sock");
  EXPECT_EQ(options->data.front(), '/');
  EXPECT_EQ(options->info.labels.at("os"), "linux");
  EXPECT_EQ(options->info.labels.at("zone"), "eu=1");
  EXPECT_EQ(options->info.labels.at("host"), "mine");
  EXPECT_EQ(options->env.at("A"), "b=c");
  EXPECT_EQ(options->env.at("EMPTY"), "");
  EXPECT_GE(options->info.capacity, 1u);
  EXPECT_EQ(options->info.speed, 1.0);
  EXPECT_EQ(options->name, options->host);
}

TEST_F(OptionsTest, TakesWhatIsGiven) {
  Flag("slots", "7");
  Flag("speed", "2.5");
  Flag("name", "bee-1");
  auto options = Read();
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->info.capacity, 7u);
  EXPECT_EQ(options->info.speed, 2.5);
  EXPECT_EQ(options->name, "bee-1");
  EXPECT_EQ(options->spool_budget, 0u);
  Flag("spool.budget", "100");
  EXPECT_EQ(Read()->spool_budget, 100u << 20);
}

TEST_F(OptionsTest, DirectoriesOfPlugins) {
  const test::TempDir temp;
  auto directories = [&](const std::string& text) {
    sources_.file = temp / "drone.yaml";
    test::WriteText(sources_.file, text);
    auto options = Read();
    return options.ok() ? options->plugin_directories
                        : std::vector<std::string>{std::string(options.status().message())};
  };
  EXPECT_THAT(
      directories("plugins: {dirs: [/srv/a, /srv/b], limit: 3s}\n"),
      testing::ElementsAre(testing::EndsWith("data/plugins"), "/srv/a", "/srv/b", testing::_, testing::_));
  EXPECT_EQ(Read()->plugin_limit, std::chrono::seconds(3));
  EXPECT_EQ(directories("plugins: {dirs: \"/srv/a:/srv/b\"}\n")[2], "/srv/b");
  EXPECT_EQ(directories("plugins:\n  dirs: []\n").size(), 3u);
  EXPECT_THAT(directories("plugins:\n  dirs: [/srv/a, srv/b]\n")[0],
              HasSubstr("drone.yaml:2:18: `plugins.dirs` has what is no absolute path"));
  EXPECT_THAT(directories("plugins:\n  dirs: srv/b\n")[0], HasSubstr("is not an absolute path"));
  Flag("plugins.dirs", "/srv/c:/srv/d");
  EXPECT_EQ(directories("")[1], "/srv/c");
}

TEST_F(OptionsTest, EveryErrorNamesItsFlagAndValue) {
  EXPECT_EQ(Error("slots", "0"), "--slots `0` is out of range\nwrite 1 to 1024, or auto");
  EXPECT_THAT(Error("slots", "1025"), StartsWith("--slots `1025` is out of range"));
  EXPECT_THAT(Error("speed", "-1"), StartsWith("--speed `-1` is out of range"));
  EXPECT_THAT(Error("speed", "nan"), StartsWith("--speed `nan` is not a number"));
  EXPECT_THAT(Error("name", "two words"), StartsWith("--name `two words` is no name for a drone"));
  EXPECT_THAT(Error("name", std::string(129, 'n')), StartsWith("--name `nnn"));
  EXPECT_THAT(Error("labels", "nothing"), StartsWith("--label `nothing` has no NAME=VALUE"));
  EXPECT_THAT(Error("labels", "a b=c"), StartsWith("--label `a b=c` is no label"));
  EXPECT_THAT(Error("labels", "a=" + std::string(257, 'x')), HasSubstr("its value at most 256"));
  EXPECT_THAT(Error("env", "1A=x"), StartsWith("--env `1A=x` is no variable"));
  EXPECT_THAT(Error("data", ""), StartsWith("--data `` is empty"));
  EXPECT_THAT(Error("queen", "ci.example.com:7874"), HasSubstr("remote queens come with certificates"));
  EXPECT_THAT(Error("queen", "unix:/" + std::string(120, 'x')), HasSubstr("at most 107 fit"));
}

TEST_F(OptionsTest, LabelsAreBoundedTogetherWithTheDetectedOnes) {
  for (int i = 0; i < 58; ++i) Flag("labels", "l" + std::to_string(i) + "=x");
  ASSERT_TRUE(Read().ok()) << Read().status();
  EXPECT_EQ(Read()->info.labels.size(), 61u);  // and a place for each kind of isolation
  EXPECT_THAT(Error("labels", "more=x"), HasSubstr("is one too many\nat most 58 are kept"));
}

TEST_F(OptionsTest, TheOwnerSaysWhatKeepsJobsApart) {
  EXPECT_EQ(Read()->isolation.fallback, Isolation::kAuto);
  EXPECT_EQ(Read()->isolation.first_user, 70000u);
  Flag("isolation.default", "user");
  Flag("isolation.allow", "user,bubblewrap");
  Flag("isolation.writable", "/var/cache/ccache");
  Flag("isolation.users", "5000-5009");
  auto options = Read();
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->isolation.fallback, Isolation::kUser);
  EXPECT_EQ(options->isolation.allow, (std::set{Isolation::kUser, Isolation::kBubblewrap}));
  EXPECT_EQ(options->isolation.writable, std::vector<std::string>{"/var/cache/ccache"});
  EXPECT_EQ(options->isolation.last_user, 5009u);
  EXPECT_THAT(Error("isolation.allow", "docker"), StartsWith("--isolation-allow `docker` names no kinds"));
  EXPECT_THAT(Error("isolation.read_only", "etc"),
              StartsWith("--isolation-read-only `etc` is no list of paths"));
  EXPECT_THAT(Error("isolation.users", "0-9"), StartsWith("--isolation-users `0-9` is no range"));
}

TEST(AutoSlots, OnePerTwoCoresAnd4GiBAtLeastOne) {
  constexpr std::uint64_t kGiB = 1ull << 30;
  EXPECT_EQ(AutoSlots(2, 24 * kGiB), 1u);
  EXPECT_EQ(AutoSlots(16, 24 * kGiB), 6u);
  EXPECT_EQ(AutoSlots(16, 128 * kGiB), 8u);
  EXPECT_EQ(AutoSlots(1, kGiB), 1u);
  EXPECT_EQ(AutoSlots(-1, 0), 1u);
}

}  // namespace
}  // namespace waggle::drone
