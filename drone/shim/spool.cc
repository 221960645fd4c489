#include "drone/shim/spool.h"

#include "common/base/limits.h"
#include "common/base/planted.h"
#include "common/base/status_macros.h"

namespace waggle::shim {

void Spool::Add(journal::Kind kind, std::uint32_t command, std::string_view payload, Time now) {
  if (!journal::IsOutput(kind)) return AddOne(kind, command, payload.substr(0, limits::kRecordPayload), now);
  while (!payload.empty()) {
    std::string_view part = payload.substr(0, limits::kRecordPayload);
    payload.remove_prefix(part.size());
    AddOne(kind, command, part, now);
  }
}

void Spool::AddOne(journal::Kind kind, std::uint32_t command, std::string_view payload, Time now) {
  last_ = next();
  journal::RecordHeader header;
  header.epoch = epoch_;
  header.seq = last_;
  header.boot_nanos = now.time_since_epoch().count();
  header.command = command;
  header.kind = kind;
  header.phase = phase_;
  if (journal::IsOutput(kind)) {
    journal::StreamDigest& digest = kind == journal::Kind::kStdout ? out_ : err_;
    header.offset = planted::Is(planted::kOneOffsetCounter) ? output_bytes() : digest.bytes();
    digest.Update(payload);
  }
  journal::EncodeRecord(header, payload, &batch_);
}

absl::Status Spool::Flush() {
  if (batch_.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(append_(batch_, last_));
  flushed_ = last_;
  batch_.clear();
  return absl::OkStatus();
}

}  // namespace waggle::shim
