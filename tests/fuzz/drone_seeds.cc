// Decisions in the order drone_fuzz.cc takes them: short, right sequences to start from.
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds(3);
  const auto begin = [](ByteWriter& w) {
    w.U8(0);
    w.U8(0);
  };
  // Welcome: kind, protocol, session, lease, beats, no attempts.
  const auto welcome = [](ByteWriter& w) {
    for (int b : {0, 0, 0, 1, 9, 9, 9, 0}) w.U8(static_cast<std::uint8_t>(b));
  };
  const auto assign = [](ByteWriter& w, int epoch) {
    for (int b : {0, 1, 0, epoch - 1, 1}) w.U8(static_cast<std::uint8_t>(b));
  };
  const auto started = [](ByteWriter& w) {
    w.U8(7);
    w.U8(0);
    w.U8(14);
    w.U8(0);
  };
  const auto watermark = [](ByteWriter& w, int more) {
    w.U8(8);
    w.U8(0);
    w.U8(1);
    w.U8(static_cast<std::uint8_t>(more));
  };
  const auto status = [](ByteWriter& w, int state) {
    for (int b : {8, 0, 0, state - 1, 2, 1}) w.U8(static_cast<std::uint8_t>(b));
    w.U32(5);
    w.U8(1);
  };
  const auto bulk = [](ByteWriter& w) {  // ready, then sent
    w.U8(11);
    w.U8(0);
    w.U8(11);
    w.U8(0);
    w.U8(0);
    w.U8(200);
    w.U32(3000);
  };
  const auto ack = [](ByteWriter& w, int epoch) {
    for (int b : {5, 0, epoch - 1, 9, 0}) w.U8(static_cast<std::uint8_t>(b));
  };
  for (std::string& seed : seeds) {
    ByteWriter w(&seed);
    begin(w);
    welcome(w);
    assign(w, 1);
    started(w);
    status(w, 2);
    watermark(w, 20);
    bulk(w);
    ack(w, 1);
  }
  ByteWriter passes(&seeds[0]), cut(&seeds[1]), fenced(&seeds[2]);
  status(passes, 4);
  bulk(passes);
  for (int b : {0, 7, 0, 0, 5, 10, 0, 1}) passes.U8(static_cast<std::uint8_t>(b));
  cut.U8(12);
  cut.U8(0);
  PutText(cut, "reset");
  cut.U8(0);
  cut.U8(6);
  cut.U8(0);
  for (int b : {0, 0, 0, 2, 9, 9, 9, 1, 0, 0, 0, 0, 9, 0, 1}) cut.U8(static_cast<std::uint8_t>(b));
  bulk(cut);
  assign(fenced, 2);
  started(fenced);
  for (int b : {0, 11, 0, 0, 6, 0, 10, 0, 0, 0}) fenced.U8(static_cast<std::uint8_t>(b));
  return seeds;
}

}  // namespace waggle::fuzz
