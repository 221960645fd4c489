// Decisions in the order journal_fuzz.cc takes them: short, right sequences to start from.
#include "common/journal/events.h"
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {

std::vector<std::string> Seeds() {
  const auto seed = [](std::string_view ways, auto&& steps) {
    std::string out;
    ByteWriter w(&out);
    PutText(w, ways);
    steps(w);
    return out;
  };
  const auto output = [](ByteWriter& w, std::string_view text) {
    w.U8(0);
    w.U8(1);  // stdout
    w.U8(0);  // command 0
    PutText(w, text);
  };
  const auto filler = [](ByteWriter& w, std::uint16_t size) {
    w.U8(2);
    w.U16(size);
    w.U8(1);
    w.U8(1);
    w.U8(60);
  };
  const auto final = [](ByteWriter& w) {
    w.U8(4);
    w.U8(9);
  };
  const auto segment = [](ByteWriter& w) { w.U8(7); };
  constexpr std::string_view kWays(
      "\x03\x02\x00\x08\x20\x00\x08\x01\x08\x02\x08\x03\x01\x40\x03\x01\x00\x02\x00\x01\x04\x00\x10", 23);
  return {
      seed(kWays,
           [&](ByteWriter& w) {
             output(w, "hello\nworld");
             output(w, "\n");
             final(w);
           }),
      seed(kWays,
           [&](ByteWriter& w) {
             output(w, "a\n");
             segment(w);
             output(w, "b\n");
             segment(w);
             final(w);
           }),
      seed(kWays,
           [&](ByteWriter& w) {
             for (int i = 0; i < 6; ++i) filler(w, 60'000);
             final(w);
           }),
      seed(kWays,
           [&](ByteWriter& w) {
             for (int i = 0; i < 6; ++i) filler(w, 30'000);
             segment(w);
             filler(w, 9);
           }),
      seed(kWays,
           [&](ByteWriter& w) {
             output(w, "torn");
             output(w, "off");
             w.U8(10);
             w.U8(0);
             w.U8(1);
           }),
      seed(kWays,
           [&](ByteWriter& w) {
             output(w, "bit");
             output(w, "flip");
             w.U8(11);
             w.U8(0);
             w.U32(40);
             w.U8(1);
           }),
      seed(kWays,
           [&](ByteWriter& w) {
             output(w, "hole");
             segment(w);
             output(w, "x");
             w.U8(12);
             w.U8(1);
             w.U8(0);
           }),
      seed(kWays,
           [&](ByteWriter& w) {
             w.U8(3);
             w.U8(2);
             w.U8(0);
             PutText(w, journal::Encode(journal::CommandStart{"n", "d"}));
             w.U8(3);
             w.U8(3);
             w.U8(0);
             PutText(w, journal::Encode(journal::CommandEnd{0}));
             w.U8(3);
             w.U8(4);
             w.U8(0);
             PutText(w, journal::Encode(journal::PhaseEvent{true}));
             w.U8(3);
             w.U8(8);
             w.U8(0);
             PutText(w, journal::Encode(journal::Warning{"p", "t"}));
             w.U8(3);
             w.U8(9);
             w.U8(0);
             PutText(w, journal::Encode(journal::Gap{7, "quota"}));
           }),
  };
}

}  // namespace waggle::fuzz
