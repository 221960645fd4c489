#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/base/limits.h"
#include "common/redact/patterns.h"

namespace waggle::redact {

// Finds the patterns in one stream of bytes, however it is cut; holds positions and no bytes. One thread.
//
// Two views of the stream are followed: the bytes as they are, and the shadow, which lacks the noise that a
// terminal does not show as text: carriage returns and colour sequences, ESC [ digits ; : m of at most
// limits::kEscapeBytes. A match in the shadow counts from its first to its last byte in the stream, with the
// noise inside, of which there are at most limits::kNoiseBytes. As long as both views are at the same place
// of the same pattern, which is nearly always, they are one.
class Tracker {
 public:
  // Positions are bytes since the beginning of the stream.
  struct Range {
    std::uint64_t begin, end;
  };

  // `patterns` and `owners` must outlive it. `owners`, if given, has a flag for each secret and gets those of
  // what is found.
  Tracker(const Patterns& patterns, std::vector<bool>* owners) : patterns_(patterns), owners_(owners) {}

  void Scan(std::string_view in);
  // No more bytes belong together with those before; what is behind the marks is settled.
  void Finish();

  std::uint64_t position() const { return position_; }  // bytes scanned
  // No pattern that is not yet complete begins before this, or inside what is marked just behind it.
  std::uint64_t settled() const;
  // What the patterns cover, ascending, with something between any two.
  const std::vector<Range>& marks() const { return marks_; }
  void ForgetMarks(std::uint64_t before);

 private:
  using State = Automaton::State;
  // Noise in front of byte `at` of the shadow, in all since the views parted.
  struct Gap {
    std::uint64_t at, noise;
  };

  void ScanClean(const char* data, std::size_t begin, std::size_t end);
  void Step(unsigned char c);
  void ShadowStep(unsigned char c);
  void Part();
  void MeetAgain();
  void Noise(std::size_t bytes);
  void ReleaseEscape();
  std::size_t GapsUpTo(std::uint64_t shadow_position) const;
  std::uint64_t NoiseBefore(std::uint64_t shadow_position) const;
  std::uint64_t Real(std::uint64_t shadow_position) const {
    return shadow_position + NoiseBefore(shadow_position);
  }
  void Mark(State found, std::uint64_t begin, std::uint64_t end);

  const Patterns& patterns_;
  std::vector<bool>* const owners_;

  std::uint64_t position_ = 0;
  State state_ = Automaton::kRoot;
  std::vector<Range> marks_;

  // The shadow, if it is not the stream.
  bool parted_ = false;
  State shadow_ = Automaton::kRoot;
  std::uint64_t shadow_position_ = 0;
  std::uint64_t noise_ = 0, noise_end_ = 0;  // bytes since the views parted; where the last of them ended
  std::uint64_t first_noise_ = 0;            // before gaps_
  std::vector<Gap> gaps_;
  std::array<char, limits::kEscapeBytes> escape_;  // may become a colour sequence
  std::size_t escape_size_ = 0;
};

}  // namespace waggle::redact
