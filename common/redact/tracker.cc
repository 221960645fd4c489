#include "common/redact/tracker.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace waggle::redact {
namespace {

constexpr char kEscape = '\x1b';
constexpr std::size_t kStaleGaps = 64;  // so many are dropped at once

bool IsParameter(unsigned char c) {
  return (c >= '0' && c <= '9') || c == ';' || c == ':';
}

}  // namespace

void Tracker::Scan(std::string_view in) {
  for (std::size_t i = 0; i < in.size();) {
    if (!parted_) {
      const std::size_t end = FindNoise(in.data(), i, in.size());
      ScanClean(in.data(), i, end);
      i = end;
      if (i == in.size()) break;
    }
    Step(static_cast<unsigned char>(in[i++]));
  }
}

// Without noise in it, and with the views as one.
void Tracker::ScanClean(const char* data, std::size_t begin, std::size_t end) {
  const Automaton& automaton = patterns_.automaton();
  const Skip& skip = patterns_.skip();
  const std::uint64_t origin = position_ - begin;  // of data[0]
  State s = state_;
  for (std::size_t i = begin; i < end;) {
    // Where nothing begins before this byte, or just the byte before, the fast search takes over.
    if (const std::size_t depth = automaton.Depth(s); depth <= 1 && i - begin >= depth) {
      const std::size_t from = i - depth, at = skip.Find(data, from, end);
      if (at != from) {
        s = Automaton::kRoot;
        i = at;
      }
    }
    s = automaton.Next(s, static_cast<unsigned char>(data[i++]));
    if (const std::uint32_t size = automaton.Match(s); size > 0) {
      Mark(s, origin + i - size, origin + i);
      s = automaton.Live(s);
    }
  }
  state_ = s;
  position_ += end - begin;
}

void Tracker::Step(unsigned char c) {
  const Automaton& automaton = patterns_.automaton();
  if (!parted_ && (c == '\r' || c == kEscape)) Part();
  state_ = automaton.Next(state_, c);
  ++position_;
  if (const std::uint32_t size = automaton.Match(state_); size > 0) {
    Mark(state_, position_ - size, position_);
    state_ = automaton.Live(state_);
  }
  if (escape_size_ > 0) {
    const bool goes_on = escape_size_ == 1 ? c == '[' : IsParameter(c);
    if (goes_on && escape_size_ < limits::kEscapeBytes - 1) {
      escape_[escape_size_++] = static_cast<char>(c);
      return;
    }
    if (escape_size_ > 1 && c == 'm') {
      const std::size_t size = escape_size_ + 1;
      escape_size_ = 0;
      Noise(size);
      return MeetAgain();
    }
    ReleaseEscape();
  }
  if (c == kEscape) {
    escape_[escape_size_++] = kEscape;
    return;
  }
  if (c == '\r') {
    Noise(1);
  } else {
    ShadowStep(c);
  }
  MeetAgain();
}

void Tracker::ShadowStep(unsigned char c) {
  const Automaton& automaton = patterns_.automaton();
  shadow_ = automaton.Next(shadow_, c);
  ++shadow_position_;
  if (const std::uint32_t size = automaton.Match(shadow_); size > 0) {
    Mark(shadow_, Real(shadow_position_ - size), Real(shadow_position_ - 1) + 1);
    shadow_ = automaton.Live(shadow_);
  }
}

void Tracker::Part() {
  parted_ = true;
  shadow_ = state_;
  shadow_position_ = position_;
  noise_ = first_noise_ = 0;
  gaps_.clear();
}

// The views are one when they are in the same state because of the same bytes.
void Tracker::MeetAgain() {
  if (state_ == shadow_ && patterns_.automaton().Depth(state_) <= position_ - noise_end_) parted_ = false;
}

void Tracker::Noise(std::size_t bytes) {
  const Automaton& automaton = patterns_.automaton();
  noise_ += bytes;
  noise_end_ = position_;
  if (!gaps_.empty() && gaps_.back().at == shadow_position_) {
    gaps_.back().noise = noise_;
  } else {
    gaps_.push_back({shadow_position_, noise_});
  }
  std::uint64_t begin = shadow_position_ - automaton.Depth(shadow_);
  while (shadow_ != Automaton::kRoot && noise_ - NoiseBefore(begin) > limits::kNoiseBytes) {
    shadow_ = automaton.Shorter(shadow_);
    begin = shadow_position_ - automaton.Depth(shadow_);
  }
  const std::size_t stale = GapsUpTo(begin);
  if (stale > kStaleGaps && 2 * stale > gaps_.size()) {
    first_noise_ = gaps_[stale - 1].noise;
    gaps_.erase(gaps_.begin(), gaps_.begin() + static_cast<std::ptrdiff_t>(stale));
  }
}

// It was no colour sequence, so it is text of the shadow, too.
void Tracker::ReleaseEscape() {
  const std::size_t size = std::exchange(escape_size_, 0);
  for (std::size_t i = 0; i < size; ++i) ShadowStep(static_cast<unsigned char>(escape_[i]));
}

std::size_t Tracker::GapsUpTo(std::uint64_t shadow_position) const {
  const auto after = std::ranges::upper_bound(gaps_, shadow_position, {}, &Gap::at);
  return static_cast<std::size_t>(after - gaps_.begin());
}

std::uint64_t Tracker::NoiseBefore(std::uint64_t shadow_position) const {
  const std::size_t count = GapsUpTo(shadow_position);
  return count == 0 ? first_noise_ : gaps_[count - 1].noise;
}

void Tracker::Mark(State found, std::uint64_t begin, std::uint64_t end) {
  if (owners_ != nullptr) patterns_.automaton().AddOwners(found, owners_);
  auto first = marks_.end();
  while (first != marks_.begin() && std::prev(first)->end >= begin) --first;
  auto last = first;
  for (; last != marks_.end() && last->begin <= end; ++last) {
    begin = std::min(begin, last->begin);
    end = std::max(end, last->end);
  }
  if (first == last) {
    marks_.insert(first, {begin, end});
  } else {
    *first = {begin, end};
    marks_.erase(first + 1, last);
  }
}

std::uint64_t Tracker::settled() const {
  const Automaton& automaton = patterns_.automaton();
  std::uint64_t settled = position_ - automaton.Depth(state_);
  if (parted_ && shadow_ != Automaton::kRoot) {
    settled = std::min(settled, Real(shadow_position_ - automaton.Depth(shadow_)));
  }
  for (auto mark = marks_.rbegin(); mark != marks_.rend() && mark->end > settled; ++mark) {
    if (mark->begin <= settled) return mark->end;
  }
  return settled;
}

void Tracker::Finish() {
  ReleaseEscape();
  state_ = shadow_ = Automaton::kRoot;
  parted_ = false;
}

void Tracker::ForgetMarks(std::uint64_t before) {
  std::erase_if(marks_, [before](const Range& mark) { return mark.end <= before; });
}

}  // namespace waggle::redact
