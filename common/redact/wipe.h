#pragma once

#include <cstddef>
#include <string>
#include <vector>

// Memory that held a secret is zeroed before it is given back. Copies that a library or a growing string left
// behind are out of reach: reserve first, and keep core dumps off.
namespace waggle::redact {

// Zeros in a way that the compiler keeps.
void WipeBytes(void* data, std::size_t size);

// Zeros the whole capacity and leaves it empty.
void Wipe(std::string* text);

template <typename T>
void Wipe(std::vector<T>* values) {
  WipeBytes(values->data(), values->size() * sizeof(T));
  values->clear();
}

}  // namespace waggle::redact
