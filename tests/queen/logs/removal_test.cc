#include "queen/logs/removal.h"

#include <filesystem>

#include "tests/queen/logs/logs_fixture.h"

namespace waggle::queen {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(EpochOfLogFile, ReadsNamesAndNothingElse) {
  for (const char* name : {"17.000", "17.idx", "17-late.000", "17-late.idx", "17.123", "17"})
    EXPECT_EQ(EpochOfLogFile(name), Epoch(17)) << name;
  for (const char* name : {"", ".", "..", "0.000", "x.000", "-17.000", "17x.000", "99999999999999999999.000"})
    EXPECT_EQ(EpochOfLogFile(name), std::nullopt) << name;
}

class DeleteLogs : public LogsFixture {
 protected:
  std::vector<std::string> Files(const std::string& directory) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_ / "logs/" + directory))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
};

TEST_F(DeleteLogs, EveryFileOfThemAndNoOther) {
  for (const char* name : {"0/7.000", "0/7.003", "0/7.idx", "0/7-late.000", "0/70.000", "0/8.000", "0/notes",
                           "1/4100.000", "1/7.000"})
    test::WriteText(directory_ / "logs/" + name, "x");
  EXPECT_THAT(*logs_->Delete({Epoch(7), Epoch(4100), Epoch(9), Epoch(99'999)}),
              ElementsAre(Epoch(7), Epoch(9), Epoch(4100), Epoch(99'999)));
  EXPECT_THAT(Files("0"), ElementsAre("70.000", "8.000", "notes"));
  EXPECT_THAT(Files("1"), IsEmpty()) << "nothing but logs of epoch 4096 on belongs here";
}

TEST_F(DeleteLogs, AnOpenOneStays) {
  logs_->OpenLog(Epoch(7), SessionId(1));
  Append(maker_.Out("kept\n"));
  Drain();
  EXPECT_THAT(*logs_->Delete({Epoch(7)}), IsEmpty());
  EXPECT_NE(Stored(), "");
  logs_->CloseLog(Epoch(7));
  Drain();
  EXPECT_THAT(*logs_->Delete({Epoch(7)}), ElementsAre(Epoch(7)));
  EXPECT_EQ(Stored(), "");
}

}  // namespace
}  // namespace waggle::queen
