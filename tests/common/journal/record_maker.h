#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "common/journal/events.h"
#include "common/journal/record.h"
#include "common/journal/stream_digest.h"

namespace waggle::journal {

// Makes the records of one attempt as a shim would: numbered, with right offsets, and a final with right
// totals. Each call returns the encoded record.
class RecordMaker {
 public:
  explicit RecordMaker(Epoch epoch = Epoch(7)) : epoch_(epoch) {}

  std::string Out(std::string_view payload, std::uint32_t command = 0) {
    std::string raw = Make(Kind::kStdout, payload, command, out_.bytes());
    out_.Update(payload);
    return raw;
  }
  std::string Err(std::string_view payload, std::uint32_t command = 0) {
    std::string raw = Make(Kind::kStderr, payload, command, err_.bytes());
    err_.Update(payload);
    return raw;
  }
  std::string Other(Kind kind, std::string_view payload, std::uint32_t command = kNoCommand) {
    return Make(kind, payload, command, 0);
  }
  std::string Start(std::uint32_t command) {
    return Other(Kind::kCommandStart, Encode(CommandStart{}), command);
  }
  std::string Status(std::string_view text) { return Other(Kind::kStatus, text); }
  // The final record; what `change` sets is as it says, numbers and totals are right before it is called.
  template <typename Change>
  std::string End(Change&& change) {
    Final final;
    final.last = Seq(last_ + 1);
    final.out = out_.Total();
    final.err = err_.Total();
    change(final);
    return Other(Kind::kFinal, Encode(final));
  }
  std::string End() {
    return End([](Final&) {});
  }

  Epoch epoch() const { return epoch_; }
  Seq last() const { return Seq(last_); }
  StreamTotal out() const { return out_.Total(); }
  StreamTotal err() const { return err_.Total(); }

 private:
  std::string Make(Kind kind, std::string_view payload, std::uint32_t command, std::uint64_t offset) {
    RecordHeader header;
    header.epoch = epoch_;
    header.seq = Seq(++last_);
    header.offset = offset;
    header.boot_nanos = static_cast<std::int64_t>(last_) * 1'000'000;
    header.command = command;
    header.kind = kind;
    header.phase = 2;
    std::string raw;
    EncodeRecord(header, payload, &raw);
    return raw;
  }

  Epoch epoch_;
  std::uint64_t last_ = 0;
  StreamDigest out_, err_;
};

// In the order they are written: the operands of + are made in any order.
inline std::string Join(std::initializer_list<std::string> records) {
  std::string all;
  for (const std::string& record : records) all += record;
  return all;
}

}  // namespace waggle::journal
