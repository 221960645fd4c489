// Decisions in the order queen_fuzz.cc takes them: short, right sequences to start from.
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {

std::vector<std::string> Seeds() {
  const auto submit = [](ByteWriter& w, std::uint8_t type) {
    for (std::uint8_t b : {0, 0, int(type), 0, 0}) w.U8(b);
  };
  const auto connect = [](ByteWriter& w, std::uint8_t who) {
    // op, drone, hello; name, epoch, info: speed, capacity 4, labels; no attempts, nothing odd
    for (std::uint8_t b : {1, int(who), 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0}) w.U8(b);
  };
  const auto accept = [](ByteWriter& w, std::uint8_t who) {
    for (std::uint8_t b : {2, 3, 0, 0, 9, int(who)}) w.U8(b);
  };
  const auto status = [](ByteWriter& w, std::uint8_t who, std::uint8_t state, bool grant) {
    for (std::uint8_t b : {3, 5, 0, 0, 0, int(state), 9, int(grant), 1, 9, 9, 0, 0, 0, int(who)}) w.U8(b);
  };
  const auto log_ends = [](ByteWriter& w) {
    for (std::uint8_t b : {12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 0}) w.U8(b);
  };
  const auto wait = [](ByteWriter& w, std::uint16_t ticks) {
    w.U8(10);
    w.U16(ticks);
  };
  const auto lost = [](ByteWriter& w, std::uint8_t who) {
    for (std::uint8_t b : {4, 6, 0, 0, 9, 0, 0, 0, int(who)}) w.U8(b);
  };
  const auto reject = [](ByteWriter& w, std::uint8_t who, bool much) {
    for (std::uint8_t b : {4, 4, 0, 0, 0, 0, int(much), int(who)}) w.U8(b);
  };
  std::vector<std::string> seeds(6);
  std::vector<ByteWriter> w;
  for (std::string& seed : seeds) w.emplace_back(&seed);
  submit(w[0], 0);
  connect(w[0], 0);
  accept(w[0], 0);
  status(w[0], 0, 1, false);
  status(w[0], 0, 3, false);
  log_ends(w[0]);
  connect(w[1], 1);
  submit(w[1], 1);
  submit(w[1], 2);
  accept(w[1], 1);
  status(w[1], 1, 1, true);
  wait(w[1], 400);
  w[1].U8(9);
  w[1].U8(1);
  wait(w[1], 6000);
  w[1].U8(13);
  connect(w[2], 0);
  connect(w[2], 1);
  for (int i = 0; i < 6; ++i) submit(w[2], 0);
  accept(w[2], 0);
  accept(w[2], 1);
  lost(w[2], 0);
  w[2].U8(13);
  connect(w[2], 0);
  wait(w[2], 2000);
  w[2].U8(13);
  submit(w[3], 0);
  connect(w[3], 2);
  for (int i = 0; i < 4; ++i) {
    reject(w[3], 2, i % 2 == 0);
    wait(w[3], 200);
  }
  w[3].U8(13);
  submit(w[4], 1);
  connect(w[4], 0);
  status(w[4], 0, 1, true);
  w[4].U8(14);
  w[4].U8(0);
  for (std::uint8_t b : {1, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 1, 0, 0, 0, 2, 9, 0, 1, 9, 9, 0, 0, 0, 0, 0, 0})
    w[4].U8(b);
  wait(w[4], 6000);
  w[4].U8(13);
  for (std::uint8_t b = 0; b < 11; ++b) {
    w[5].U8(15);
    w[5].U8(b);
    w[5].U64(1);
    w[5].U64(0);
    w[5].U64(9);
    w[5].U32(1);
    w[5].U8(2);
    w[5].U64(1);
    PutText(w[5], "text \xE2\x82\xAC \xFF");
    w[5].U8(1);
    w[5].U64(7);
    w[5].U64(1);
  }
  return seeds;
}

}  // namespace waggle::fuzz
