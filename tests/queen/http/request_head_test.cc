#include "queen/http/request_head.h"

#include <gtest/gtest.h>

#include <string>

namespace waggle::queen::http {
namespace {

using namespace std::string_literals;

// The status HeadFinder or ParseHead refuses with, 0 if the head is taken, -1 if it is not complete.
int StatusOf(const std::string& text) {
  HeadFinder finder;
  const auto found = finder.Find(text);
  if (const auto* refusal = std::get_if<Refusal>(&found)) return refusal->status;
  const auto size = std::get<std::optional<std::size_t>>(found);
  if (!size) return -1;
  const auto head = ParseHead(std::string_view(text).substr(0, *size));
  const auto* refusal = std::get_if<Refusal>(&head);
  return refusal != nullptr ? refusal->status : 0;
}

Head Parse(const std::string& text) {
  auto head = ParseHead(text);
  EXPECT_TRUE(std::holds_alternative<Head>(head)) << std::get<Refusal>(head).detail;
  return std::get<Head>(head);
}

std::string With(const std::string& fields) {
  return "POST /x HTTP/1.1\r\nHost: q\r\n" + fields + "\r\n";
}

TEST(RequestHead, SaysWhatWasAsked) {
  const Head head =
      Parse("POST /a/b?c=%20&d?e HTTP/1.1\r\nHost: q\r\nX-A:  1 \r\nx-a: 2\r\nContent-Length: 7\r\n\r\n");
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path, "/a/b");
  EXPECT_EQ(head.query, "c=%20&d?e");
  EXPECT_EQ(head.length, 7u);
  EXPECT_FALSE(head.chunked);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.expects_continue);
  EXPECT_EQ(head.fields.size(), 4u);
  Request request;
  request.fields = head.fields;
  EXPECT_EQ(request.Header("X-a"), "1");
  EXPECT_EQ(request.Header("x-b"), "");
}

TEST(RequestHead, SaysWhatComesBehindIt) {
  EXPECT_TRUE(Parse(With("Transfer-Encoding: Chunked\r\n")).chunked);
  EXPECT_TRUE(Parse(With("Expect: 100-Continue\r\n")).expects_continue);
  EXPECT_FALSE(Parse(With("Connection: close\r\n")).keep_alive);
  EXPECT_FALSE(Parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
}

TEST(RequestHead, IsFoundHoweverItIsCut) {
  const std::string text = With("A: b\r\n") + "body\r\n\r\n";
  const std::size_t size = text.size() - 8;
  HeadFinder finder;
  for (std::size_t n = 0; n < size; ++n) {
    const auto found = finder.Find(std::string_view(text).substr(0, n));
    ASSERT_TRUE(std::holds_alternative<std::optional<std::size_t>>(found)) << n;
    ASSERT_EQ(std::get<0>(found), std::nullopt) << n;
  }
  EXPECT_EQ(std::get<0>(finder.Find(text)), size);
}

TEST(RequestHead, RefusesWhatIsAmbiguousOrNoHttp) {
  const struct {
    std::string text;
    int status;
  } kCases[] = {
      {With("Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
      {With("Content-Length: 5\r\nContent-Length: 6\r\n"), 400},
      {With("Content-Length: 5, 5\r\n"), 400},
      {With("Content-Length: +5\r\n"), 400},
      {With("Content-Length: -5\r\n"), 400},
      {With("Content-Length: 0x5\r\n"), 400},
      {With("Content-Length: 5 5\r\n"), 400},
      {With("Content-Length:\r\n"), 400},
      {With("Content-Length: 18446744073709551616\r\n"), 400},
      {With("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
      {With("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400},
      {With("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
      {With("Transfer-Encoding: gzip, chunked\r\n"), 501},
      {With("Transfer-Encoding: chunked, gzip\r\n"), 501},
      {With("Transfer-Encoding: xchunked\r\n"), 501},
      {With("Transfer-Encoding:\r\n"), 501},
      {With("Transfer-Encoding : chunked\r\n"), 400},
      {With(" folded\r\n"), 400},
      {With("A: b\r\n\tfolded\r\n"), 400},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {With("Host: other\r\n"), 400},
      {With("Expect: tea\r\n"), 417},
      {With("A\r\n"), 400},
      {With(": b\r\n"), 400},
      {With("A: b\rC: d\r\n"), 400},
      {With("A: \x01\r\n"), 400},
      {With("A: \x7f\r\n"), 400},
      {With("A: \0\r\n"s), 400},
      {With("A\0: b\r\n"s), 400},
      {"GET / HTTP/1.1\nHost: q\n\n", 400},
      {"GET / HTTP/1.1\r\nHost: q\n\r\n", 400},
      {"\r\nGET / HTTP/1.1\r\nHost: q\r\n\r\n", 400},
      {"GET /\0 HTTP/1.1\r\nHost: q\r\n\r\n"s, 400},
      {"GET /a b HTTP/1.1\r\nHost: q\r\n\r\n", 505},
      {"GET / HTTP/2.0\r\nHost: q\r\n\r\n", 505},
      {"GET / HTTP/0.9\r\nHost: q\r\n\r\n", 505},
      {"GET / http/1.1\r\nHost: q\r\n\r\n", 505},
      {"GET /\r\n\r\n", 400},
      {"G(T / HTTP/1.1\r\nHost: q\r\n\r\n", 400},
      {" / HTTP/1.1\r\nHost: q\r\n\r\n", 400},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"\x16\x03\x01\x02\x01\n", 400},
  };
  for (const auto& [text, status] : kCases) EXPECT_EQ(StatusOf(text), status) << text;
}

std::string Line(std::size_t size) {  // a request line of so many bytes
  const std::string around = "GET / HTTP/1.1";
  return "GET /" + std::string(size - around.size(), 'a') + " HTTP/1.1";
}

TEST(RequestHead, HasLimits) {
  EXPECT_EQ(StatusOf(Line(kRequestLineBytes) + "\r\nHost: q\r\n\r\n"), 0);
  EXPECT_EQ(StatusOf(Line(kRequestLineBytes + 1) + "\r\nHost: q\r\n\r\n"), 414);
  EXPECT_EQ(StatusOf(std::string(kRequestLineBytes + 1, 'A')), -1) << "the line may still end in time";
  EXPECT_EQ(StatusOf(std::string(kRequestLineBytes + 3, 'A')), 414) << "without waiting for its end";

  const std::string rest = With("A: \r\n");
  EXPECT_EQ(StatusOf(With("A: " + std::string(kHeadBytes - rest.size(), 'a') + "\r\n")), 0);
  EXPECT_EQ(StatusOf(With("A: " + std::string(kHeadBytes - rest.size() + 1, 'a') + "\r\n")), 431);

  std::string fields;
  for (std::size_t i = 0; i < kHeadFields - 1; ++i) fields += "a:\r\n";
  EXPECT_EQ(StatusOf(With(fields)), 0);
  EXPECT_EQ(StatusOf(With(fields + "a:\r\n")), 431);
}

}  // namespace
}  // namespace waggle::queen::http
