#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "common/redact/forms.h"

namespace waggle::redact {

// Aho–Corasick over a set of patterns: fed one byte after the other it knows the longest end of what was read
// that is the beginning of a pattern, and the longest pattern that ends here. Immutable; any thread may read.
//
// Memory: 16 bytes for each byte of pattern that is not shared with the front of another one, at most 257 KiB
// of tables for the first two bytes, 8 bytes for each pattern and its owners.
//
// Nodes are numbered in the order of the sorted patterns, so the first child of n, if it has one, is n + 1.
// The root and its children have a table of 256 next states each, because output that matches nothing is
// there nearly always; deeper nodes have a list of children, which is short in practice.
class Automaton {
 public:
  using State = std::uint32_t;
  static constexpr State kRoot = 0;

  // REQUIRES: ascending and distinct, none empty.
  explicit Automaton(std::span<const Pattern> patterns);
  ~Automaton();
  Automaton(const Automaton&) = delete;
  Automaton& operator=(const Automaton&) = delete;

  State Next(State s, unsigned char c) const {
    for (;;) {
      if (nodes_[s].depth <= 1) return rows_[RowOf(s) * 256 + c];
      if (const State child = Child(s, c); child != kRoot) return child;
      s = nodes_[s].fail;
    }
  }
  // Bytes that were read and are the beginning of a pattern, at most the whole of it.
  std::uint32_t Depth(State s) const { return nodes_[s].depth; }
  // The state of the longest shorter end.
  State Shorter(State s) const { return nodes_[s].fail; }
  // Length of the longest pattern that ends here; 0: none does.
  std::uint32_t Match(State s) const { return nodes_[nodes_[s].match].depth; }
  // What is still the beginning of a longer pattern.
  State Live(State s) const {
    while (s != kRoot && !HasChild(s)) s = nodes_[s].fail;
    return s;
  }
  // Owners of the patterns that end here.
  void AddOwners(State s, std::vector<bool>* owners) const;

  std::size_t memory() const;  // bytes

 private:
  struct Node {
    State fail = kRoot;
    State sibling = kRoot;         // the next child of the same parent
    State match = kRoot;           // the longest end of this node that is a whole pattern
    std::uint32_t depth : 24 = 0;  // kPatternBytes fits
    std::uint32_t label : 8 = 0;   // the byte that leads here
  };
  struct Whole {
    State state;
    std::uint32_t owners_end;  // in owners_; they begin where those of the one before end
  };

  std::size_t RowOf(State s) const { return s == kRoot ? 0 : row_of_[nodes_[s].label]; }
  bool HasChild(State s) const { return nodes_[s + 1].depth == nodes_[s].depth + 1; }
  State Child(State s, unsigned char c) const {
    if (!HasChild(s)) return kRoot;
    for (State child = s + 1; child != kRoot; child = nodes_[child].sibling) {
      if (nodes_[child].label == c) return child;
    }
    return kRoot;
  }
  void Insert(std::span<const Pattern> patterns);
  void Link();
  void FillRows();
  State SlowNext(State s, unsigned char c) const;

  std::vector<Node> nodes_;  // and one of depth 0 behind the last
  std::vector<State> rows_;  // 256 for the root, then for each of its children
  std::uint16_t row_of_[256] = {};
  std::vector<Whole> wholes_;  // ascending by state
  std::vector<std::uint16_t> owners_;
};

}  // namespace waggle::redact
