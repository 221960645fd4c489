#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/redact/masker.h"

// Masking in the simplest way there is, to compare with, and short words for tests.
namespace waggle::redact {

// What masking is, said without an automaton, without streams and without states.
std::string NaiveMask(const std::vector<std::string>& patterns, std::string_view text);

// Bytes of `text` that NaiveMask would cover.
std::vector<bool> NaiveCover(const std::vector<std::string>& patterns, std::string_view text);

// All patterns of these secrets.
std::vector<std::string> PatternsOf(const std::vector<Secret>& secrets);

// REQUIRES: none is refused.
std::unique_ptr<const Patterns> Compile(const std::vector<Secret>& secrets);
// The values alone; they are called S0, S1, …
std::vector<Secret> Secrets(const std::vector<std::string>& values);

std::string MaskWhole(const Patterns& patterns, std::string_view text);
// In pieces of these sizes, again from the first when there are too few.
std::string MaskInPieces(const Patterns& patterns, std::string_view text,
                         const std::vector<std::size_t>& sizes);

}  // namespace waggle::redact
