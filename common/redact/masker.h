#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/redact/tracker.h"

namespace waggle::redact {

inline constexpr std::string_view kMask = "***";  // the same for every length, which is a secret, too

// Masks one stream of output (stdout and stderr have one each): every longest run of bytes that patterns
// cover, wherever they overlap or touch, becomes one kMask. What comes out in all is the same for every
// cutting of the input. One thread.
class Masker {
 public:
  // `patterns` must outlive it; nullptr: everything passes.
  explicit Masker(const Patterns* patterns);
  ~Masker();
  Masker(const Masker&) = delete;
  Masker& operator=(const Masker&) = delete;

  // What can be said now, maybe nothing: a view into `in` if nothing in it is masked, which is no copy, or
  // into this. Valid until the next call, and as long as `in` is. Only the beginning of a pattern at the very
  // end is held back, until more output decides what it is.
  std::string_view Feed(std::string_view in);
  // The end of a command: what was held back, and what follows begins anew.
  std::string_view Flush();

  // Bytes held back: fewer than the longest pattern has, and limits::kNoiseBytes of colours and CRs.
  std::size_t held() const { return held_.size() - held_begin_; }
  std::uint64_t masked() const { return masked_; }  // runs replaced

 private:
  std::string_view Emit(std::string_view in, std::uint64_t to);
  void Append(std::string_view in, std::uint64_t begin, std::uint64_t end);
  void Mask();
  void Hold(std::string_view in, std::uint64_t from);

  std::optional<Tracker> tracker_;  // none: nothing to mask
  std::uint64_t said_ = 0;          // position up to which everything was said; held_ begins there
  std::string held_;
  std::size_t held_begin_ = 0;  // in held_: what is before was said already
  std::string out_;
  bool in_mask_ = false;  // the last byte said was masked: more of the same run says nothing
  std::uint64_t masked_ = 0;
};

}  // namespace waggle::redact
