#include "common/journal/reader.h"

#include <fcntl.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::journal {

Reader::Reader(Location location) : location_(std::move(location)) {}

void Reader::SeekToPosition(std::uint32_t segment, std::uint64_t position, Seq next) {
  file_.Reset();
  segment_ = segment;
  position_ = position;
  next_ = next;
}

absl::Status Reader::SeekTo(Seq seq) {
  // The segment headers say which record each starts with: go to the last that starts at or before `seq`.
  std::uint32_t first_left = 0;
  if (!FileExists(location_.Segment(0))) {
    ASSIGN_OR_RETURN(const std::vector<std::uint32_t> numbers, ListSegments(location_));
    if (!numbers.empty()) first_left = numbers.front();
  }
  SeekToPosition(first_left, 0, Seq(1));
  for (std::uint32_t number = first_left;; ++number) {
    absl::StatusOr<UniqueFd> file = Open(location_.Segment(number), O_RDONLY);
    if (absl::IsNotFound(file.status())) break;
    if (!file.ok()) return file.status();
    std::string bytes(kSegmentHeaderBytes, '\0');
    ASSIGN_OR_RETURN(std::size_t got, PreadFull(file->get(), std::as_writable_bytes(std::span(bytes)), 0));
    bytes.resize(got);
    absl::StatusOr<SegmentHeader> header = DecodeSegmentHeader(bytes);
    if (header.ok() && header->first > seq && number == first_left && number > 0) {
      return absl::OutOfRangeError(absl::StrCat(
          "record ", seq.value(), " is deleted; the first that is left is ", header->first.value()));
    }
    if (!header.ok() || header->first > seq) break;
    SeekToPosition(number, kSegmentHeaderBytes, header->first);
  }
  while (next_ < seq) {
    std::string skipped;
    ASSIGN_OR_RETURN(std::size_t n, ReadRaw(limits::kMiB, Seq(seq.value() - 1), &skipped));
    if (n == 0) return absl::NotFoundError(absl::StrCat("record ", seq.value(), " is not there yet"));
  }
  return absl::OkStatus();
}

absl::Status Reader::OpenSegment(std::uint32_t number) {
  ASSIGN_OR_RETURN(file_, Open(location_.Segment(number), O_RDONLY));
  segment_ = number;
  position_ = std::max<std::uint64_t>(position_, kSegmentHeaderBytes);
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> Reader::ReadRaw(std::size_t max_bytes, Seq last, std::string* out) {
  const std::size_t start = out->size();
  std::size_t count = 0;
  bool successor_seen =
      false;  // the next segment exists, so this one is complete: look once more before leaving it
  while (next_ <= last) {
    if (!file_.valid()) {
      absl::Status opened = OpenSegment(segment_);
      if (absl::IsNotFound(opened)) return count;
      RETURN_IF_ERROR(opened);
    }
    const std::size_t kept = out->size();
    const std::size_t used = kept - start;
    if (count > 0 && used + kHeaderBytes > max_bytes) return count;
    // Room for one record of any size, or for what the caller still wants.
    std::size_t room = std::max(max_bytes - std::min(max_bytes, used),
                                count > 0 ? 0 : kHeaderBytes + limits::kRecordPayload);
    // But no more than there is: whoever follows a log reads little at a time.
    ASSIGN_OR_RETURN(const std::uint64_t size, FileSize(file_.get()));
    room = std::min(room, static_cast<std::size_t>(size - std::min(size, position_)));
    out->resize(kept + room);
    absl::StatusOr<std::size_t> got = PreadFull(
        file_.get(), std::as_writable_bytes(std::span(*out).subspan(kept)), static_cast<off_t>(position_));
    bool full = false;
    absl::StatusOr<std::size_t> records = got;
    if (got.ok()) {
      records = TakeRecords(std::string_view(*out).substr(kept, *got), max_bytes, used, last, &count, &full);
    }
    const std::size_t taken = records.value_or(0);
    out->resize(kept + taken);  // what is not a wanted record is never left to the caller
    if (!records.ok()) return records.status();
    position_ += taken;
    if (full) return count;
    if (taken > 0) {
      successor_seen = false;
    } else if (*got > 0) {
      return count;  // half a record: its writer is not done, or it does not fit into this call
    } else if (successor_seen) {
      SeekToPosition(segment_ + 1, kSegmentHeaderBytes, next_);
      successor_seen = false;
    } else if (Open(location_.Segment(segment_ + 1), O_RDONLY).ok()) {
      successor_seen = true;
    } else {
      return count;
    }
  }
  return count;
}

// The bytes of the whole records at the start of `fresh` that are wanted; sets *full when the caller has
// enough.
absl::StatusOr<std::size_t> Reader::TakeRecords(std::string_view fresh, std::size_t max_bytes,
                                                std::size_t used, Seq last, std::size_t* count, bool* full) {
  std::size_t taken = 0;
  RecordView record;
  while (next_ <= last) {
    DecodeResult result = DecodeRecord(fresh.substr(taken), &record);
    if (result == DecodeResult::kNeedMore) return taken;
    if (result == DecodeResult::kBad || record.header.seq != next_) {
      *full = true;
      if (*count > 0) return taken;  // give what is good; the next call reports the damage
      return absl::DataLossError(absl::StrCat("record ", next_.value(), " is damaged in ",
                                              location_.Segment(segment_), " at byte ", position_ + taken));
    }
    if (*count > 0 && used + taken + record.raw.size() > max_bytes) {
      *full = true;
      return taken;
    }
    taken += record.raw.size();
    next_ = Seq(next_.value() + 1);
    ++*count;
  }
  *full = true;
  return taken;
}

}  // namespace waggle::journal
