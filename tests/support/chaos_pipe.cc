#include "tests/support/chaos_pipe.h"

namespace waggle::test {

namespace {
constexpr std::size_t kEraseAt = 64 * 1024;  // bytes popped: rarely enough to be cheap
}  // namespace

void ChaosPipe::Push(std::string_view bytes, Time now, Duration delay) {
  if (bytes.empty()) return;
  bytes_.append(bytes);
  Time due = now;
  if (delay.count() > 0)
    due = Time(std::chrono::ceil<std::chrono::milliseconds>((now + delay).time_since_epoch()));
  // What stands behind bytes that are due already, or due with them, is due as soon as they are.
  if (!pieces_.empty() && due <= std::max(pieces_.back().due, now)) {
    pieces_.back().size += bytes.size();
  } else {
    pieces_.push_back({due, bytes.size()});
  }
}

void ChaosPipe::Refill(Time now, std::uint64_t rate) {
  if (rate != rate_) {
    rate_ = rate;
    credit_ = 1;
    refilled_ = now;
  }
  const double per_second = static_cast<double>(rate);
  const double seconds = std::chrono::duration<double>(now - refilled_).count();
  credit_ = std::min(std::max(1.0, per_second / 100), credit_ + seconds * per_second);
  refilled_ = now;
}

std::string_view ChaosPipe::Ready(Time now, std::uint64_t rate) {
  Refill(now, rate);
  std::size_t due = 0;
  for (const Piece& piece : pieces_) {
    if (piece.due > now) break;
    due += piece.size;
  }
  if (rate != 0) due = std::min(due, static_cast<std::size_t>(credit_));
  return std::string_view(bytes_).substr(head_, due);
}

void ChaosPipe::Pop(std::size_t count) {
  if (rate_ != 0) credit_ -= static_cast<double>(count);
  head_ += count;
  while (count > 0) {
    Piece& first = pieces_.front();
    const std::size_t taken = std::min(count, first.size);
    first.size -= taken;
    count -= taken;
    if (first.size == 0) pieces_.pop_front();
  }
  if (head_ == bytes_.size() || head_ >= kEraseAt) {
    bytes_.erase(0, head_);
    head_ = 0;
  }
}

Time ChaosPipe::Due() const {
  if (empty()) return Time::max();
  Time due = pieces_.front().due;
  if (rate_ != 0 && credit_ < 1) {
    const double per_second = static_cast<double>(rate_);
    const double seconds =
        (std::max(1.0, per_second / 1000) - credit_) / per_second;  // a millisecond's worth
    due = std::max(due, refilled_ + std::chrono::ceil<Duration>(std::chrono::duration<double>(seconds)));
  }
  return due;
}

void ChaosPipe::Clear() {
  bytes_.clear();
  head_ = 0;
  pieces_.clear();
}

}  // namespace waggle::test
