#include "common/redact/masker.h"

#include <algorithm>

#include "common/redact/wipe.h"

namespace waggle::redact {
Masker::Masker(const Patterns* patterns) {
  if (patterns != nullptr && !patterns->empty()) tracker_.emplace(*patterns, nullptr);
}

Masker::~Masker() {
  Wipe(&held_);
  Wipe(&out_);
}

std::string_view Masker::Feed(std::string_view in) {
  if (!tracker_) return in;
  tracker_->Scan(in);
  // A mask may have been said whose end is also the beginning of something.
  return Emit(in, std::max(said_, tracker_->settled()));
}

std::string_view Masker::Flush() {
  if (!tracker_) return {};
  tracker_->Finish();
  const std::string_view out = Emit({}, tracker_->position());
  in_mask_ = false;
  return out;
}

// Says everything up to `to` and holds the rest; `in` is the end of what was scanned.
std::string_view Masker::Emit(std::string_view in, std::uint64_t to) {
  if (held() == 0 && tracker_->marks().empty()) {
    const std::string_view out = in.substr(0, to - said_);
    if (!out.empty()) in_mask_ = false;
    Hold(in, to);
    return out;
  }
  out_.clear();
  std::uint64_t at = said_;
  for (const Tracker::Range& mark : tracker_->marks()) {
    if (mark.begin >= to) break;
    if (mark.end <= at) continue;  // inside a mask that was said
    Append(in, at, mark.begin);
    Mask();
    at = std::min(mark.end, to);
  }
  Append(in, at, to);
  tracker_->ForgetMarks(to);
  Hold(in, to);
  return out_;
}

// The bytes from `begin` to `end` of the stream, of which some are held and some are in `in`.
void Masker::Append(std::string_view in, std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return;
  in_mask_ = false;
  const std::uint64_t fresh = tracker_->position() - in.size();  // where `in` begins
  if (begin < fresh) {
    out_.append(held_, held_begin_ + (begin - said_), std::min(end, fresh) - begin);
    begin = fresh;
  }
  if (begin >= end) return;
  out_.append(in.substr(begin - fresh, end - begin));
}

void Masker::Mask() {
  if (in_mask_) return;
  out_.append(kMask);
  in_mask_ = true;
  ++masked_;
}

void Masker::Hold(std::string_view in, std::uint64_t from) {
  const std::uint64_t fresh = tracker_->position() - in.size();
  if (from >= fresh) {
    held_.clear();
    held_begin_ = 0;
    held_.append(in.substr(from - fresh));
  } else {
    held_begin_ += from - said_;
    if (2 * held_begin_ > held_.size()) {  // seldom enough to cost nothing
      held_.erase(0, held_begin_);
      held_begin_ = 0;
    }
    held_.append(in);
  }
  said_ = from;
}

}  // namespace waggle::redact
