#include "common/base/bytes.h"

#include <gtest/gtest.h>

#include <limits>

namespace waggle {
namespace {

std::string Sample() {
  std::string out;
  ByteWriter w(&out);
  w.U8(0xAB);
  w.U16(0xBEEF);
  w.U32(0xDEADBEEF);
  w.U64(0x0123456789ABCDEF);
  w.I64(std::numeric_limits<std::int64_t>::min());
  w.String(std::string_view("a\0b", 3));
  w.String("");
  w.Raw("xyz", 3);
  return out;
}

TEST(Bytes, RoundTrip) {
  std::string bytes = Sample();
  ByteReader r(bytes);
  EXPECT_EQ(r.U8(), 0xAB);
  EXPECT_EQ(r.U16(), 0xBEEF);
  EXPECT_EQ(r.U32(), 0xDEADBEEFu);
  EXPECT_EQ(r.U64(), 0x0123456789ABCDEFu);
  EXPECT_EQ(r.I64(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(r.String(), std::string_view("a\0b", 3));
  EXPECT_EQ(r.String(), "");
  EXPECT_EQ(r.left(), 3u);
  EXPECT_FALSE(r.done());
  EXPECT_EQ(r.Raw(3), "xyz");
  EXPECT_TRUE(r.done());
}

TEST(Bytes, AreLittleEndianWithLengthPrefixedStrings) {
  std::string out;
  ByteWriter w(&out);
  w.U32(0x01020304);
  w.String("hi");
  EXPECT_EQ(out, std::string("\x04\x03\x02\x01\x02\0\0\0hi", 10));
}

TEST(Bytes, WriterAppendsBehindWhatIsThere) {
  std::string out = "head";
  ByteWriter(&out).U8('!');
  EXPECT_EQ(out, "head!");
}

// After the first overrun everything reads as zero or empty, even what would still fit.
TEST(Bytes, OverrunIsSticky) {
  std::string bytes = "\x01\x02\x03";
  ByteReader r(bytes);
  EXPECT_EQ(r.U16(), 0x0201);
  EXPECT_EQ(r.U32(), 0u);
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.U8(), 0u) << "one byte is left, but the reader is spent";
  EXPECT_EQ(r.U64(), 0u);
  EXPECT_EQ(r.I64(), 0);
  EXPECT_EQ(r.String(), "");
  EXPECT_EQ(r.Raw(0), "");
  EXPECT_FALSE(r.ok());
  EXPECT_FALSE(r.done());
}

TEST(Bytes, StringLengthBeyondTheInputIsAnOverrun) {
  for (std::uint32_t length : {4u, 1000u, 0xFFFFFFFFu}) {
    std::string bytes;
    ByteWriter w(&bytes);
    w.U32(length);
    w.Raw("abc", 3);
    ByteReader r(bytes);
    EXPECT_EQ(r.String(), "");
    EXPECT_FALSE(r.ok()) << length;
  }
}

TEST(Bytes, EveryTruncationIsNoticed) {
  const std::string whole = Sample();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    ByteReader r(std::string_view(whole).substr(0, size));
    r.U8();
    r.U16();
    r.U32();
    r.U64();
    r.I64();
    r.String();
    r.String();
    r.Raw(3);
    EXPECT_FALSE(r.ok()) << size;
  }
}

TEST(Bytes, EmptyInput) {
  ByteReader r("");
  EXPECT_TRUE(r.done());
  EXPECT_EQ(r.U8(), 0);
  EXPECT_FALSE(r.ok());
}

}  // namespace
}  // namespace waggle
