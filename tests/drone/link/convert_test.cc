#include "drone/link/convert.h"

#include <gtest/gtest.h>

#include "proto/waggle_proto.h"

namespace waggle::drone {
namespace {

// What the queen reads of it; an empty message if protobuf refuses it.
v1::FromDrone AsRead(const ControlUp& message) {
  v1::FromDrone sent, read;
  ToProto(message, Vitals{}, &sent);
  if (!read.ParseFromString(sent.SerializeAsString())) read.Clear();
  return read;
}

TEST(Convert, TextThatIsNotUtf8DoesNotCostTheSession) {
  const std::string cut = "no space for \xE2\x82";
  EXPECT_EQ(AsRead(Reject{Epoch(7), cut}).reject().reason(), "no space for ??");
  EXPECT_EQ(AsRead(ShimLost{Epoch(7), Seq(3), cut}).shim_lost().detail(), "no space for ??");
  EXPECT_EQ(AsRead(Info{1, 1, {{"os\xFF", "linux\xFF"}}}).info().labels().at("os?"), "linux?");
  EXPECT_EQ(AsRead(Reject{Epoch(7), "10 \xE2\x82\xAC"}).reject().reason(), "10 \xE2\x82\xAC");
}

TEST(Convert, AnEpochThatNoQueenGivesIsPassedOver) {
  for (std::uint64_t epoch : {std::uint64_t{0}, (std::uint64_t{1} << 62) + 1, UINT64_MAX}) {
    v1::FromQueen message;
    message.mutable_assign()->set_epoch(epoch);
    EXPECT_FALSE(FromProto(message, 1).has_value()) << epoch;
  }
  v1::FromQueen message;
  message.mutable_assign()->set_epoch(7);
  EXPECT_TRUE(FromProto(message, 1).has_value());
}

}  // namespace
}  // namespace waggle::drone
