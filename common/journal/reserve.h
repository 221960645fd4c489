#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"

namespace waggle::journal {

// Makes a file with `bytes` of allocated, unused space: Writer::RollInto() can write into it when the disk is
// full. ResourceExhausted: there is not so much space now (disk or quota); no file is left. Where the file
// system cannot allocate ahead the bytes are written, and freed just before they are used: another process
// may be quicker then.
absl::Status MakeReserve(const std::string& path, std::size_t bytes);

}  // namespace waggle::journal
