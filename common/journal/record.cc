#include "common/journal/record.h"

#include <cstring>

#include "common/base/crc32c.h"
#include "common/base/limits.h"

namespace waggle::journal {
namespace {

struct Wire {
  std::uint32_t crc, size;
  std::uint64_t epoch, seq, offset;
  std::int64_t boot_nanos;
  std::uint32_t command;
  std::uint8_t kind, phase;
  std::uint16_t reserved;
};
static_assert(sizeof(Wire) == kHeaderBytes);

}  // namespace

void EncodeRecord(RecordHeader header, std::string_view payload, std::string* out) {
  Wire wire{};
  wire.size = static_cast<std::uint32_t>(payload.size());
  wire.epoch = header.epoch.value();
  wire.seq = header.seq.value();
  wire.offset = header.offset;
  wire.boot_nanos = header.boot_nanos;
  wire.command = header.command;
  wire.kind = static_cast<std::uint8_t>(header.kind);
  wire.phase = header.phase;
  const char* bytes = reinterpret_cast<const char*>(&wire);
  wire.crc = ExtendCrc32c(Crc32c(bytes + 4, kHeaderBytes - 4), payload.data(), payload.size());
  out->append(bytes, kHeaderBytes);
  out->append(payload);
}

DecodeResult DecodeRecord(std::string_view in, RecordView* out) {
  if (in.size() < kHeaderBytes) return DecodeResult::kNeedMore;
  Wire wire;
  std::memcpy(&wire, in.data(), kHeaderBytes);
  bool known = wire.kind >= static_cast<std::uint8_t>(Kind::kStdout) &&
               wire.kind <= static_cast<std::uint8_t>(Kind::kFinal);
  if (wire.size > limits::kRecordPayload || !known) return DecodeResult::kBad;
  if (in.size() < kHeaderBytes + wire.size) return DecodeResult::kNeedMore;
  out->raw = in.substr(0, kHeaderBytes + wire.size);
  out->payload = out->raw.substr(kHeaderBytes);
  if (Crc32c(in.data() + 4, kHeaderBytes - 4 + wire.size) != wire.crc) return DecodeResult::kBad;
  RecordHeader& header = out->header;
  header.crc = wire.crc;
  header.size = wire.size;
  header.epoch = Epoch(wire.epoch);
  header.seq = Seq(wire.seq);
  header.offset = wire.offset;
  header.boot_nanos = wire.boot_nanos;
  header.command = wire.command;
  header.kind = static_cast<Kind>(wire.kind);
  header.phase = wire.phase;
  return DecodeResult::kOk;
}

}  // namespace waggle::journal
