#include "common/journal/trim.h"
#include "common/base/failpoint.h"

#include <fcntl.h>

#include "common/base/status_macros.h"

namespace waggle::journal {

absl::Status Trimmer::Trim(Seq acked) {
  if (!first_) {
    ASSIGN_OR_RETURN(const std::vector<std::uint32_t> numbers, ListSegments(location_));
    if (numbers.empty()) return absl::OkStatus();
    first_ = numbers.front();
  }
  for (;;) {
    if (!next_) {
      absl::StatusOr<UniqueFd> file = Open(location_.Segment(*first_ + 1), O_RDONLY);
      if (absl::IsNotFound(file.status())) return absl::OkStatus();
      RETURN_IF_ERROR(file.status());
      std::string bytes(kSegmentHeaderBytes, '\0');
      ASSIGN_OR_RETURN(std::size_t got, PreadFull(file->get(), std::as_writable_bytes(std::span(bytes)), 0));
      bytes.resize(got);
      absl::StatusOr<SegmentHeader> header = DecodeSegmentHeader(bytes);
      if (!header.ok()) return absl::OkStatus();  // being made, or damaged: nothing says what may go
      next_ = header->first;
    }
    if (next_->value() > acked.value() + 1) return absl::OkStatus();
    RETURN_IF_ERROR(RemoveFile(location_.Segment(*first_)));
    failpoint::Pass("drone.segment.trimmed");
    ++*first_;
    next_.reset();
  }
}

}  // namespace waggle::journal
