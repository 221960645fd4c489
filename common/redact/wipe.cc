#include "common/redact/wipe.h"

#include <string.h>

namespace waggle::redact {

void WipeBytes(void* data, std::size_t size) {
  if (size > 0) explicit_bzero(data, size);
}

void Wipe(std::string* text) {
  text->resize(text->capacity());  // what a longer value left behind its end, too
  WipeBytes(text->data(), text->size());
  text->clear();
}

}  // namespace waggle::redact
