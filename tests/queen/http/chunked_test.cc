#include "queen/http/chunked.h"

#include <gtest/gtest.h>

#include <string>

namespace waggle::queen::http {
namespace {

using State = ChunkedDecoder::State;

struct Result {
  State state;
  std::string body, rest;
  bool operator==(const Result&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Result& result) {
  return out << static_cast<int>(result.state) << " `" << result.body << "` `" << result.rest << "`";
}

// In pieces of `piece` bytes; what is left behind the end is `rest`.
Result Decode(const std::string& text, std::size_t limit, std::size_t piece) {
  ChunkedDecoder decoder(limit);
  Result result{State::kMore, "", ""};
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size() && decoder.state() == State::kMore; at += piece)
    used = at + decoder.Feed(std::string_view(text).substr(at, piece), &result.body);
  result.state = decoder.state();
  if (result.state == State::kDone) result.rest = text.substr(used);
  return result;
}

void ExpectDecodes(const std::string& text, const Result& expected, std::size_t limit = 100) {
  for (std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, text.size()})
    EXPECT_EQ(Decode(text, limit, piece), expected) << text << " in pieces of " << piece;
}

TEST(Chunked, DecodesHoweverItIsCut) {
  ExpectDecodes("0\r\n\r\n", {State::kDone, "", ""});
  ExpectDecodes("5\r\nhello\r\n0\r\n\r\nGET", {State::kDone, "hello", "GET"});
  ExpectDecodes("5;a=b\r\nhello\r\nA \r\n, a world!\r\n00\r\nTrailer: x\r\n\r\n",
                {State::kDone, "hello, a world!", ""});
  ExpectDecodes("2\r\n\r\n\r\n0\r\n\r\n", {State::kDone, "\r\n", ""});
  ExpectDecodes("5\r\nhel", {State::kMore, "hel", ""});
}

TEST(Chunked, RefusesWhatIsMalformed) {
  for (const std::string text : {"\r\n", "x\r\n", "-1\r\n", "5\n", "5\rx", "5x\r\n", ";a\r\n",
                                 "000000001\r\n", "fffffffff\r\n", " 5\r\n", "5 \x01\r\n"})
    ExpectDecodes(text, {State::kBad, "", ""});
  ExpectDecodes("1\r\nab\r\n", {State::kBad, "a", ""});
  ExpectDecodes("1\r\na0\r\n\r\n", {State::kBad, "a", ""});
  ExpectDecodes("0\r\nT: x\n\r\n", {State::kBad, "", ""});
}

TEST(Chunked, RefusesALargeBodyWhenItIsAnnounced) {
  ExpectDecodes("8\r\n12345678\r\n0\r\n\r\n", {State::kDone, "12345678", ""}, 8);
  ExpectDecodes("9\r\n1", {State::kTooLarge, "", ""}, 8);
  ExpectDecodes("8\r\n12345678\r\n1\r\n9", {State::kTooLarge, "12345678", ""}, 8);
  ExpectDecodes("ffffffff\r\n", {State::kTooLarge, "", ""}, 8);
}

TEST(Chunked, FramingIsBounded) {
  EXPECT_EQ(Decode("1;" + std::string(ChunkedDecoder::kLineBytes, 'x'), 100, 50).state, State::kBad);
  std::string trailers = "0\r\n";
  for (int i = 0; i < 100; ++i) trailers += "T: " + std::string(60, 't') + "\r\n";
  EXPECT_EQ(Decode(trailers, 100, 50).state, State::kBad);
  std::string padded, tiny;
  for (int i = 0; i < 1000; ++i) {
    padded += "1;" + std::string(100, 'x') + "\r\na\r\n";
    tiny += "1\r\na\r\n";
  }
  EXPECT_EQ(Decode(padded, 10'000, 50).state, State::kBad);
  EXPECT_EQ(Decode(tiny + "0\r\n\r\n", 10'000, 50).body, std::string(1000, 'a'));
}

}  // namespace
}  // namespace waggle::queen::http
