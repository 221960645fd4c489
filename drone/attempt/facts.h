#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/vocabulary.h"

namespace waggle::attempt {

inline constexpr std::string_view kFactsName = "attempt.bin";

// What a restarted daemon must know about an attempt that neither its spool nor its shim says. Written once,
// before the shim is started: "WGAT", u32 version 1, the fields below in this order (common/base/bytes.h),
// u32 crc32c of all before.
struct Facts {
  Epoch epoch;
  JobId job;
  std::uint32_t attempt = 1;
  JobType type = JobType::kTest;
  WallMillis received = 0;
  std::string boot_id;         // of the host when the attempt was started
  std::string work_directory;  // absolute
};

std::string EncodeFacts(const Facts& facts);
// DataLoss says what is wrong.
absl::StatusOr<Facts> DecodeFacts(std::string_view bytes);

}  // namespace waggle::attempt
