#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/ids.h"

// One entry of an attempt's journal: the unit that is numbered, checked, stored, sent and acknowledged.
//
// Bytes, little-endian, the same on the drone's disk, on the wire and in the queen's log:
//
//    0  u32  crc32c of bytes 4 … 47+size
//    4  u32  size of the payload in bytes, at most 65,536
//    8  u64  epoch
//   16  u64  seq, 1 2 3 …
//   24  u64  stream offset: bytes of this kind of stream (stdout or stderr) before this record; 0 for other
//   kinds 32  i64  boot-clock time in nanoseconds, of the host that wrote it 40  u32  command number,
//   kNoCommand before command 0 and for records of no command 44  u8   kind 45  u8   phase 46  u16  reserved,
//   0 48       payload
//
// Downsides: 48 bytes beside a 10-byte line; no compression. Both are bearable because a read from a busy
// pipe gathers many lines into one record.
namespace waggle::journal {

enum class Kind : std::uint8_t {
  kStdout = 1,
  kStderr = 2,
  kCommandStart = 3,  // payload: CommandStart
  kCommandEnd = 4,    // payload: CommandEnd
  kPhase = 5,         // payload: PhaseEvent (start or end of a phase)
  kStatus = 6,        // payload: text of one line, for people ("queen restarted", …)
  kPlugin = 7,        // payload: PluginEvent
  kComment = 8,       // payload: text, informational, in command order
  kWarning = 9,       // payload: Warning
  kMarker = 10,       // payload: Gap: declared, counted missing bytes
  kFinal = 11,        // payload: Final; the last record of an attempt
};

inline constexpr std::uint32_t kNoCommand = 0xFFFF'FFFF;
inline constexpr std::size_t kHeaderBytes = 48;

struct RecordHeader {
  std::uint32_t crc = 0;
  std::uint32_t size = 0;  // payload bytes
  Epoch epoch;
  Seq seq;
  std::uint64_t offset = 0;
  std::int64_t boot_nanos = 0;
  std::uint32_t command = kNoCommand;
  Kind kind = Kind::kStatus;
  std::uint8_t phase = 0;
};

struct RecordView {
  RecordHeader header;
  std::string_view payload;  // into the caller's buffer
  std::string_view raw;      // header and payload as stored
};

constexpr bool IsOutput(Kind kind) {
  return kind == Kind::kStdout || kind == Kind::kStderr;
}

// From one boot-clock time to a later one; 0 when it is not later. A hostile writer's times may be any.
constexpr std::int64_t NanosBetween(std::int64_t from, std::int64_t to) {
  if (to <= from) return 0;
  const std::uint64_t nanos = static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from);
  return nanos > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(nanos);
}

// Appends header (with size and crc filled in) and payload to `out`. REQUIRES: payload ≤ 64 KiB.
void EncodeRecord(RecordHeader header, std::string_view payload, std::string* out);

enum class DecodeResult {
  kOk,
  kNeedMore,  // the input ends inside a record
  kBad,       // impossible size, kind, or checksum mismatch
};
// Decodes the record at the start of `in`. On kOk `*out` views into `in`; the record is out->raw.size() bytes
// long.
DecodeResult DecodeRecord(std::string_view in, RecordView* out);

}  // namespace waggle::journal
