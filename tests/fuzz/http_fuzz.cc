// What strangers send to the HTTP port: how it is cut never matters, and what is taken keeps its limits.
#include "queen/http/chunked.h"
#include "queen/http/request_head.h"
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {
namespace {

using namespace queen::http;

using Found = std::variant<std::optional<std::size_t>, Refusal>;

bool Same(const Found& a, const Found& b) {
  if (a.index() != b.index()) return false;
  if (a.index() == 0) return std::get<0>(a) == std::get<0>(b);
  return std::get<Refusal>(a).detail == std::get<Refusal>(b).detail;
}

void CheckHead(std::string_view text) {
  const Found whole = HeadFinder().Find(text);
  HeadFinder slow;
  Found last = std::optional<std::size_t>();
  for (std::size_t n = 0; n <= text.size() && Same(last, Found()); ++n) last = slow.Find(text.substr(0, n));
  Require(Same(whole, last), "how a head is cut does not matter");
  if (whole.index() != 0 || !std::get<0>(whole)) return;
  const std::size_t size = *std::get<0>(whole);
  Require(size <= kHeadBytes && size <= text.size(), "a head is within its limit");
  const auto parsed = ParseHead(text.substr(0, size));
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) {
    Require(refusal->status >= 400 && refusal->status < 600, "a refusal is an error");
    return;
  }
  const Head& head = std::get<Head>(parsed);
  Require(!head.method.empty() && head.path.find('?') == std::string::npos, "path and query are apart");
  Require(!(head.chunked && head.length > 0), "a body has one length");
  Require(head.fields.size() <= kHeadFields, "fields are within their limit");
  for (const auto& [name, value] : head.fields)
    Require(!name.empty() && (name + value).find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos,
            "a field is one line");
}

void CheckChunks(std::size_t limit, std::string_view text) {
  ChunkedDecoder whole(limit), slow(limit);
  std::string body, pieces;
  const std::size_t used = whole.Feed(text, &body);
  std::size_t fed = 0;
  while (fed < text.size() && slow.state() == ChunkedDecoder::State::kMore)
    fed += slow.Feed(text.substr(fed, 1), &pieces);
  Require(whole.state() == slow.state() && used == fed && body == pieces,
          "how a body is cut does not matter");
  Require(body.size() <= limit, "a body is within its limit");
}

}  // namespace

void Run(std::string_view input) {
  Input in(input);
  const bool head = in.Flag();
  const std::size_t limit = in.U8();
  head ? CheckHead(in.Rest()) : CheckChunks(limit, in.Rest());
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const char* text :
       {"POST /a?b HTTP/1.1\r\nHost: q\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive, Upgrade\r\nX: y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: q\r\nTransfer-Encoding: chunked\r\nA:\r\n\r\n"})
    seeds.push_back(std::string("\x01\x00", 2) + text);
  for (const char* text :
       {"5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\nGET", "1\r\na\r\nA \r\n0123456789\r\n0\r\n\r\n"})
    seeds.push_back("\x02\x20" + std::string(text));
  return seeds;
}

}  // namespace waggle::fuzz
