#include "drone/attempt/facts.h"

#include <gtest/gtest.h>

namespace waggle::attempt {
namespace {

Facts Sample() {
  return {Epoch(7), JobId(12), 3, JobType::kTestAndDeploy, 1234, "boot", "/data/work/12-3"};
}

TEST(Facts, ComeBackAsTheyWere) {
  auto facts = DecodeFacts(EncodeFacts(Sample()));
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->epoch, Epoch(7));
  EXPECT_EQ(facts->job, JobId(12));
  EXPECT_EQ(facts->attempt, 3u);
  EXPECT_EQ(facts->type, JobType::kTestAndDeploy);
  EXPECT_EQ(facts->received, 1234);
  EXPECT_EQ(facts->boot_id, "boot");
  EXPECT_EQ(facts->work_directory, "/data/work/12-3");
}

TEST(Facts, EveryDamagedByteAndEveryCutIsFound) {
  const std::string bytes = EncodeFacts(Sample());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] ^= 0x40;
    EXPECT_FALSE(DecodeFacts(damaged).ok()) << "byte " << i;
    EXPECT_FALSE(DecodeFacts(bytes.substr(0, i)).ok()) << "cut at " << i;
  }
  EXPECT_FALSE(DecodeFacts(bytes + "x").ok());
}

}  // namespace
}  // namespace waggle::attempt
