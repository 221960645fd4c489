#include "drone/app/pause_file.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/limits.h"

namespace waggle::drone {
namespace {

constexpr std::size_t kMostBytes = limits::kReasonBytes + 64;  // the reason and a number

}  // namespace

std::optional<PauseFile::Pause> PauseFile::Load(WallMillis now) const {
  if (!FileExists(path_)) return std::nullopt;
  absl::StatusOr<std::string> text = ReadFile(path_, kMostBytes);
  const std::size_t line = text.ok() ? text->find('\n') : std::string::npos;
  Pause pause;
  if (line == std::string::npos || !absl::SimpleAtoi(text->substr(0, line), &pause.until) ||
      pause.until < 0) {
    return Pause{0, absl::StrCat(path_, " cannot be read, so nobody knows for how long")};
  }
  if (pause.until != 0 && pause.until <= now) return std::nullopt;
  pause.reason = text->substr(line + 1);
  return pause;
}

absl::Status PauseFile::Save(const Pause& pause) const {
  return WriteFileDurably(path_, absl::StrCat(pause.until, "\n", pause.reason));
}

absl::Status PauseFile::Remove() const {
  return RemoveFile(path_);
}

}  // namespace waggle::drone
