#include "queen/store/breadcrumb.h"

#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "queen/store/sqlite/sqlite_store.h"
#include "tests/queen/store/raw_database.h"
#include "tests/queen/store/store_contract.h"

namespace waggle::queen {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class BreadcrumbTest : public testing::Test {
 protected:
  std::string path() const { return directory_.path() + "/breadcrumb"; }
  std::string Left() const {
    std::ifstream file(path());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Leave(const std::string& text) { std::ofstream(path()) << text; }
  // A process that holds these rows, one after the other, and dies of the last.
  void DieOf(const std::vector<std::int64_t>& keys) {
    auto crumb = std::make_unique<Breadcrumb>(path());
    for (std::int64_t key : keys) crumb->Hold("jobs", key);
    const std::string left = Left();
    crumb.reset();
    Leave(left);
  }

  ScratchDirectory directory_;
};

TEST_F(BreadcrumbTest, AStartThatGoesWellLeavesNothing) {
  {
    Breadcrumb crumb(path());
    EXPECT_FALSE(crumb.IsDeadly("jobs", 1));
    crumb.Hold("jobs", 1);
    EXPECT_THAT(Left(), testing::StartsWith("jobs 1 0 "));
    EXPECT_EQ(Left().size(), Breadcrumb::kBytes);
    crumb.Drop();
    EXPECT_EQ(Left(), "");
  }
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(BreadcrumbTest, TheThirdDeathOfTheSameRowIsTheLast) {
  for (int death = 1; death <= 3; ++death) {
    DieOf({1, 2, 7});
    const std::string left = Left();
    EXPECT_THAT(left, testing::StartsWith("jobs 7 " + std::to_string(death - 1) + " "));
    {
      Breadcrumb crumb(path());
      EXPECT_EQ(crumb.IsDeadly("jobs", 7), death == 3) << death;
      EXPECT_FALSE(crumb.IsDeadly("jobs", 2));
      EXPECT_FALSE(crumb.IsDeadly("attempts", 7));
    }
    Leave(left);
  }
}

TEST_F(BreadcrumbTest, AnotherRowInBetweenBeginsAnew) {
  DieOf({7});
  DieOf({7});
  DieOf({6});
  DieOf({7});
  EXPECT_FALSE(Breadcrumb(path()).IsDeadly("jobs", 7));
}

TEST_F(BreadcrumbTest, DeathsBetweenRowsCountForNone) {
  for (int death = 0; death < 5; ++death) {
    auto crumb = std::make_unique<Breadcrumb>(path());
    crumb->Hold("jobs", 7);
    crumb->Drop();
    const std::string left = Left();
    crumb.reset();
    Leave(left);
  }
  EXPECT_FALSE(Breadcrumb(path()).IsDeadly("jobs", 7));
}

TEST_F(BreadcrumbTest, WhatItDidNotWriteIsNothing) {
  for (const std::string& text :
       {std::string(""), std::string("jobs"), std::string("jobs 7"), std::string("jobs 7 x"),
        std::string("jobs x 9"), std::string("jobs 7 -1"), std::string("jobs 7 99999999999"),
        std::string(64, '\0'), std::string(10'000, 'x'), std::string("jobs 7 2 2")}) {
    Leave(text);
    Breadcrumb crumb(path());
    EXPECT_FALSE(crumb.IsDeadly("jobs", 7)) << text;
    crumb.Hold("jobs", 1);
  }
}

TEST_F(BreadcrumbTest, WithoutAPlaceForItAStartGoesOn) {
  fs::create_directories(path());
  Breadcrumb crumb(path());
  crumb.Hold("jobs", 7);
  crumb.Drop();
  EXPECT_FALSE(crumb.IsDeadly("jobs", 7));
}

class LoadWithBreadcrumb : public BreadcrumbTest {
 protected:
  std::string Database() const { return directory_.path() + "/queen.db"; }
  void Fill(std::uint64_t jobs) {
    auto store = OpenSqliteStore(Database());
    ASSERT_TRUE(store.ok()) << store.status();
    WriteBatch batch;
    for (std::uint64_t n = 1; n <= jobs; ++n) batch.jobs.push_back(FullJob(n));
    ASSERT_TRUE((*store)->Commit(batch).ok());
  }
};

TEST_F(LoadWithBreadcrumb, ADeadlyRowIsSetAsideWithAllItHolds) {
  Fill(3);
  Leave("jobs 2 2");
  auto store = OpenSqliteStore(Database());
  ASSERT_TRUE(store.ok()) << store.status();
  Breadcrumb crumb(path());
  auto snapshot = (*store)->Load(crumb);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_THAT(JobIds(snapshot->jobs), ElementsAre(1, 3));
  RawDatabase raw(Database());
  EXPECT_EQ(raw.Ask("SELECT table_name, row_key, reason FROM quarantine"),
            "jobs|2|the queen died 3 times while she read it|");
  EXPECT_THAT(raw.Ask("SELECT raw FROM quarantine"), HasSubstr("\"repo\":\"repo2\""));
  EXPECT_EQ(raw.Ask("SELECT count(*) FROM jobs"), "2|");
  EXPECT_EQ(Left(), "") << "no row is in hand any more";
}

}  // namespace
}  // namespace waggle::queen
