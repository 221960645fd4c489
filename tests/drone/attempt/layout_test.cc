#include "drone/attempt/layout.h"
#include "drone/attempt/janitor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/temp_dir.h"

namespace waggle::attempt {
namespace {

using test::Exists;
using test::ReadText;
using test::WriteText;

class LayoutTest : public testing::Test {
 protected:
  LayoutTest() : layout_(dir_ / "data") { EXPECT_TRUE(layout_.Prepare().ok()); }
  test::TempDir dir_;
  Layout layout_;
};

TEST_F(LayoutTest, IdentityIsMadeOnceAndKept) {
  auto first = layout_.Identity();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->size(), 32u);
  EXPECT_EQ(*layout_.Identity(), *first);
  EXPECT_NE(*first, std::string(32, '0'));
}

TEST_F(LayoutTest, ADamagedIdentityIsNeverReplacedSilently) {
  WriteText(dir_ / "data/identity", "hello\n");
  auto identity = layout_.Identity();
  EXPECT_TRUE(absl::IsDataLoss(identity.status())) << identity.status();
  EXPECT_EQ(ReadText(dir_ / "data/identity"), "hello\n");
}

TEST_F(LayoutTest, HighestEpochOnlyGrowsAndIsRemembered) {
  {
    auto highest = HighestEpoch::Open(layout_);
    ASSERT_TRUE(highest.ok());
    EXPECT_EQ(highest->value(), Epoch(0));
    highest->Raise(Epoch(100));
    highest->Raise(Epoch(9));
    EXPECT_EQ(highest->value(), Epoch(100));
  }
  EXPECT_EQ(HighestEpoch::Open(layout_)->value(), Epoch(100));
}

TEST_F(LayoutTest, DiscardTwoThingsOfOneName) {
  WriteText(dir_ / "data/work/1-1/a", "x");
  ASSERT_TRUE(layout_.Discard(dir_ / "data/work/1-1").ok());
  WriteText(dir_ / "data/work/1-1/a", "y");
  ASSERT_TRUE(layout_.Discard(dir_ / "data/work/1-1").ok());
  EXPECT_FALSE(Exists(dir_ / "data/work/1-1"));
  EXPECT_EQ(test::FilesContaining(dir_ / "data/trash", "").size(), 2u);
  EXPECT_TRUE(layout_.Discard(dir_ / "data/work/none").ok()) << "what is gone already is no error";
}

TEST_F(LayoutTest, TheJanitorRemovesDeepClosedAndLinkedTreesButNothingBehindLinks) {
  WriteText(dir_ / "outside/keep", "kept");
  std::string path = dir_ / "data/trash/deep";
  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  // Deeper than one pass goes, and than a path may be long.
  UniqueFd at(::open(path.c_str(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), "directory", 0700), 0);
    at = UniqueFd(::openat(at.get(), "directory", O_RDONLY | O_DIRECTORY));
    ASSERT_TRUE(at.valid());
  }
  at.Reset();
  WriteText(dir_ / "data/trash/closed/inner/file", "x");
  ASSERT_EQ(::symlink((dir_ / "outside").c_str(), (dir_ / "data/trash/link").c_str()), 0);
  ASSERT_EQ(::chmod((dir_ / "data/trash/closed/inner").c_str(), 0), 0);
  ASSERT_EQ(::chmod((dir_ / "data/trash/closed").c_str(), 0500), 0);
  {
    Janitor janitor(layout_);
    EXPECT_TRUE(test::Eventually([&] { return ::rmdir((dir_ / "data/trash").c_str()) == 0; }));
  }
  EXPECT_EQ(ReadText(dir_ / "outside/keep"), "kept");
}

}  // namespace
}  // namespace waggle::attempt
