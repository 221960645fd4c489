#include "common/journal/line_index.h"

#include <fcntl.h>

#include <algorithm>
#include <functional>

#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"

namespace waggle::journal {

std::uint64_t LineCounter::Feed(const RecordHeader& header, std::string_view payload) {
  bool output = IsOutput(header.kind);
  // Events of no command (warnings, comments) may stand between two pieces of one line.
  if (header.kind == Kind::kCommandStart || (output && header.command != command_)) {
    open_[0] = open_[1] = 0;
    command_ = header.command;
  }
  if (!output || payload.empty()) return 0;
  std::uint64_t& open = open_[header.kind == Kind::kStdout ? 0 : 1];
  auto newlines = static_cast<std::uint64_t>(std::count(payload.begin(), payload.end(), '\n'));
  bool ended = payload.back() == '\n';
  std::uint64_t first = open != 0 ? open : lines_ + 1;
  std::uint64_t begun = (open != 0 ? 0 : 1) + newlines - (ended ? 1 : 0);
  lines_ += begun;
  if (ended) {
    open = 0;
  } else if (begun > 0) {
    open = lines_;
  }
  return first;
}

void LineCounter::Save(std::string* out) const {
  ByteWriter w(out);
  w.U64(lines_);
  w.U64(open_[0]);
  w.U64(open_[1]);
  w.U32(command_);
}

bool LineCounter::Restore(std::string_view state) {
  ByteReader r(state);
  lines_ = r.U64();
  open_[0] = r.U64();
  open_[1] = r.U64();
  command_ = r.U32();
  return r.done();
}

std::uint64_t RunningState::Feed(const RecordView& record) {
  if (record.header.kind == Kind::kStdout) out.Update(record.payload);
  if (record.header.kind == Kind::kStderr) err.Update(record.payload);
  return lines.Feed(record.header, record.payload);
}

std::string Checkpoint::Encode() const {
  std::string bytes;
  bytes.reserve(kBytes);
  ByteWriter w(&bytes);
  w.U32(position.segment);
  w.U64(position.byte);
  w.U64(next.value());
  state.lines.Save(&bytes);
  state.out.Save(&bytes);
  state.err.Save(&bytes);
  w.U32(Crc32c(bytes.data(), bytes.size()));
  return bytes;
}

bool Checkpoint::Decode(std::string_view bytes, Checkpoint* out) {
  if (bytes.size() != kBytes) return false;
  ByteReader r(bytes);
  out->position.segment = r.U32();
  out->position.byte = r.U64();
  out->next = Seq(r.U64());
  bool whole = out->state.lines.Restore(r.Raw(LineCounter::kStateBytes)) &&
               out->state.out.Restore(r.Raw(StreamDigest::kStateBytes)) &&
               out->state.err.Restore(r.Raw(StreamDigest::kStateBytes));
  return r.U32() == Crc32c(bytes.data(), kBytes - 4) && whole;
}

absl::StatusOr<std::unique_ptr<IndexWriter>> IndexWriter::Open(const Location& location,
                                                               std::uint64_t entries) {
  ASSIGN_OR_RETURN(UniqueFd file, waggle::Open(location.Index(), O_RDWR | O_CREAT));
  std::uint64_t end = entries * Checkpoint::kBytes;
  RETURN_IF_ERROR(Truncate(file.get(), end, location.Index()));
  return std::unique_ptr<IndexWriter>(new IndexWriter(std::move(file), end));
}

absl::Status IndexWriter::MaybeAppend(const Checkpoint& checkpoint, std::uint64_t total_bytes) {
  if (total_bytes < last_total_ + limits::kIndexEvery) return absl::OkStatus();
  std::string bytes = checkpoint.Encode();
  RETURN_IF_ERROR(PwriteAll(file_.get(), bytes, end_, "log index"));
  end_ += bytes.size();
  last_total_ = total_bytes;
  return absl::OkStatus();
}

namespace {

// The last entry for which `before` holds; entries are ordered, so a binary search. A damaged entry ends the
// usable part.
Checkpoint Find(const Location& location, const std::function<bool(const Checkpoint&)>& before,
                std::uint64_t* entries) {
  Checkpoint start;
  start.position.byte = kSegmentHeaderBytes;
  if (entries != nullptr) *entries = 0;
  absl::StatusOr<UniqueFd> file = waggle::Open(location.Index(), O_RDONLY);
  absl::StatusOr<std::uint64_t> size = file.ok() ? FileSize(file->get()) : file.status();
  if (!size.ok()) return start;
  std::uint64_t low = 0, high = *size / Checkpoint::kBytes;
  Checkpoint best = start;
  while (low < high) {
    std::uint64_t middle = low + (high - low) / 2;
    std::string bytes(Checkpoint::kBytes, '\0');
    absl::StatusOr<std::size_t> got = PreadFull(file->get(), std::as_writable_bytes(std::span(bytes)),
                                                static_cast<off_t>(middle * Checkpoint::kBytes));
    Checkpoint entry;
    if (got.ok() && *got == bytes.size() && Checkpoint::Decode(bytes, &entry) && before(entry)) {
      best = entry;
      low = middle + 1;
      if (entries != nullptr) *entries = low;
    } else {
      high = middle;
    }
  }
  return best;
}

}  // namespace

Checkpoint FindLine(const Location& location, std::uint64_t line) {
  return Find(
      location, [line](const Checkpoint& c) { return c.state.lines.lines() < line; }, nullptr);
}

Checkpoint FindRecord(const Location& location, Seq seq, std::uint64_t* entries) {
  return Find(
      location, [seq](const Checkpoint& c) { return c.next <= seq; }, entries);
}

}  // namespace waggle::journal
