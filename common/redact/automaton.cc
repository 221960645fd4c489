#include "common/redact/automaton.h"

#include <algorithm>

#include "common/base/limits.h"
#include "common/redact/wipe.h"

namespace waggle::redact {

static_assert(limits::kPatternBytes < (1u << 24), "depths have 24 bits");

Automaton::Automaton(std::span<const Pattern> patterns) {
  static_assert(sizeof(Node) == 16);
  Insert(patterns);
  Link();
  FillRows();
}

Automaton::~Automaton() {
  Wipe(&nodes_);
  Wipe(&rows_);
}

void Automaton::Insert(std::span<const Pattern> patterns) {
  std::size_t nodes = 2;  // the root, and the end
  std::string_view last;
  const auto shared = [&last](std::string_view bytes) {
    return static_cast<std::size_t>(std::ranges::mismatch(last, bytes).in1 - last.begin());
  };
  for (const Pattern& pattern : patterns) {
    nodes += pattern.bytes.size() - shared(pattern.bytes);
    last = pattern.bytes;
  }
  nodes_.reserve(nodes);  // a vector that grows would leave copies behind
  nodes_.emplace_back();
  std::vector<State> path = {kRoot};  // of the last pattern
  last = {};
  for (const Pattern& pattern : patterns) {
    const std::size_t common = shared(pattern.bytes);
    last = pattern.bytes;
    State brother = common + 1 < path.size() ? path[common + 1] : kRoot;
    path.resize(common + 1);
    for (std::size_t i = common; i < last.size(); ++i) {
      const auto state = static_cast<State>(nodes_.size());
      Node& node = nodes_.emplace_back();
      node.depth = static_cast<std::uint32_t>(i + 1) & 0xFF'FFFF;
      node.label = static_cast<unsigned char>(last[i]);
      if (brother != kRoot) nodes_[brother].sibling = state;
      brother = kRoot;
      path.push_back(state);
    }
    nodes_[path.back()].match = path.back();
    owners_.insert(owners_.end(), pattern.owners.begin(), pattern.owners.end());
    wholes_.push_back({path.back(), static_cast<std::uint32_t>(owners_.size())});
  }
  nodes_.emplace_back();
}

// Without rows, for building.
Automaton::State Automaton::SlowNext(State s, unsigned char c) const {
  for (;;) {
    if (const State child = Child(s, c); child != kRoot || s == kRoot) return child;
    s = nodes_[s].fail;
  }
}

// Level by level: what a node falls back to is one level higher at least.
void Automaton::Link() {
  std::vector<State> level = {kRoot}, next;
  while (!level.empty()) {
    next.clear();
    for (State parent : level) {
      if (!HasChild(parent)) continue;
      for (State child = parent + 1; child != kRoot; child = nodes_[child].sibling) {
        Node& node = nodes_[child];
        node.fail =
            parent == kRoot ? kRoot : SlowNext(nodes_[parent].fail, static_cast<unsigned char>(node.label));
        if (node.match == kRoot) node.match = nodes_[node.fail].match;
        next.push_back(child);
      }
    }
    level.swap(next);
  }
}

void Automaton::FillRows() {
  rows_.assign(256, kRoot);
  if (!HasChild(kRoot)) return;
  for (State s = kRoot + 1; s != kRoot; s = nodes_[s].sibling) rows_[nodes_[s].label] = s;
  for (State s = kRoot + 1; s != kRoot; s = nodes_[s].sibling) {
    row_of_[nodes_[s].label] = static_cast<std::uint16_t>(rows_.size() / 256);
    for (int c = 0; c < 256; ++c) rows_.push_back(SlowNext(s, static_cast<unsigned char>(c)));
  }
}

void Automaton::AddOwners(State s, std::vector<bool>* owners) const {
  for (s = nodes_[s].match; s != kRoot; s = nodes_[nodes_[s].fail].match) {
    const auto whole = std::ranges::lower_bound(wholes_, s, {}, &Whole::state);
    for (std::uint32_t i = whole == wholes_.begin() ? 0 : std::prev(whole)->owners_end; i < whole->owners_end;
         ++i) {
      (*owners)[owners_[i]] = true;
    }
  }
}

std::size_t Automaton::memory() const {
  return nodes_.capacity() * sizeof(Node) + rows_.capacity() * sizeof(State) +
         wholes_.capacity() * sizeof(Whole) + owners_.capacity() * sizeof(std::uint16_t);
}

}  // namespace waggle::redact
