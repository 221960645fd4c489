// Which isolation a job gets, and what the owner may write about it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drone/attempt/isolation.h"
#include "tests/support/temp_dir.h"

namespace waggle::attempt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(IsolationRules, AreWrittenAsListsAndRanges) {
  EXPECT_EQ(ParseModes("none"), std::set{Isolation::kNone});
  EXPECT_EQ(ParseModes("user,bubblewrap"), (std::set{Isolation::kUser, Isolation::kBubblewrap}));
  for (const char* bad : {"", "auto", "none,", "docker", "none bubblewrap"})
    EXPECT_FALSE(ParseModes(bad)) << bad;
  EXPECT_THAT(*ParsePaths("/a,/b/c/"), ElementsAre("/a", "/b/c"));
  EXPECT_THAT(*ParsePaths(""), ElementsAre());
  for (const char* bad : {"a", "/", "/a/../b", "//", "/a,b"}) EXPECT_FALSE(ParsePaths(bad)) << bad;
  EXPECT_EQ(ParseUsers("70000-70511"), std::make_pair(70000u, 70511u));
  for (const char* bad : {"", "0-5", "70000", "5-4", "70001-70000", "a-b", "1000-2000", "70000-4294967295"})
    EXPECT_FALSE(ParseUsers(bad)) << bad;
}

class Choice : public testing::Test {
 protected:
  Choice() : layout_(temp_ / "d") {
    for (const std::string& path : {temp_.path(), std::string("/tmp")}) {
      if (path != "/tmp") ::chmod(path.c_str(), 0711);
    }
    EXPECT_TRUE(layout_.Prepare().ok());
    rules_.first_user = 72000;
    rules_.last_user = 72099;
  }
  absl::StatusOr<Isolations> Detect(const std::string& shim = WAGGLE_SHIM_PATH) {
    return Isolations::Detect(rules_, shim, layout_, {layout_.data()});
  }

  test::TempDir temp_;
  Layout layout_;
  IsolationRules rules_;
};

TEST_F(Choice, AutoIsTheStrongestThatWorks) {
  auto found = Detect();
  ASSERT_TRUE(found.ok()) << found.status();
  const Isolation strongest = found->Works(Isolation::kBubblewrap) ? Isolation::kBubblewrap
                              : found->Works(Isolation::kUser)     ? Isolation::kUser
                                                                   : Isolation::kNone;
  auto plan = found->For(Isolation::kAuto, true);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->mode, strongest) << found->Summary();
  EXPECT_EQ(plan->warning.empty(), strongest != Isolation::kNone);
  EXPECT_EQ(found->For(Isolation::kNone, true)->mode, Isolation::kNone);
  EXPECT_EQ(found->Labels().count("isolation.none"), 1u);
  if (strongest == Isolation::kNone) GTEST_SKIP() << "nothing works here: " << found->Summary();
  EXPECT_EQ(plan->first_user, ::geteuid() == 0 ? 72000u : 0u);
  EXPECT_THAT(plan->hidden, ElementsAre(layout_.data()));
}

TEST_F(Choice, WhatIsForbiddenOrDoesNotWorkIsRefusedAndSaysWhy) {
  rules_.allow = {Isolation::kUser, Isolation::kBubblewrap};
  auto found = Detect();
  if (!found.ok()) GTEST_SKIP() << found.status();
  auto plan = found->For(Isolation::kNone, true);
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr("the owner of the host does not allow it"));
  EXPECT_EQ(found->Labels().count("isolation.none"), 0u);
  auto offline = found->For(Isolation::kUser, false);
  EXPECT_FALSE(offline.ok());
}

TEST_F(Choice, WithoutBubblewrapNothingKeepsAJobFromTheNetwork) {
  rules_.allow = {Isolation::kNone};
  auto found = Detect();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->For(Isolation::kAuto, true)->warning, HasSubstr("does not allow it"));
  EXPECT_FALSE(found->For(Isolation::kAuto, false).ok());
}

TEST_F(Choice, AHostWhereNothingThatIsAllowedWorksIsAnError) {
  rules_.allow = {Isolation::kBubblewrap};
  auto found = Detect("/bin/false");
  EXPECT_EQ(found.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(found.status().message()), HasSubstr("--isolation-allow"));
}

TEST_F(Choice, ADataDirectoryThatOthersCannotReachIsSaidSo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root runs jobs as other users";
  ::chmod(temp_.path().c_str(), 0700);
  auto found = Detect();
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->Works(Isolation::kUser));
  EXPECT_THAT(found->Summary(), HasSubstr("let others through (o+x)"));
}

}  // namespace
}  // namespace waggle::attempt
