#include "queen/store/breadcrumb.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace waggle::queen {

Breadcrumb::Breadcrumb(std::string path) : path_(std::move(path)) {
  absl::StatusOr<std::string> left = ReadFile(path_, kBytes);
  if (left.ok()) {
    const std::vector<std::string> words =
        absl::StrSplit(absl::StripAsciiWhitespace(*left), absl::MaxSplits(' ', 2));
    int before = 0;
    if (words.size() == 3 && absl::SimpleAtoi(words[1], &suspect_key_) &&
        absl::SimpleAtoi(words[2], &before) && before >= 0) {
      suspect_table_ = words[0];
      deaths_ = std::min(before, kDeaths) + 1;
      spdlog::warn("the queen died {} times at row {} of table {} while she started{}", deaths_, suspect_key_,
                   suspect_table_, deaths_ < kDeaths ? "" : ": it is set aside");
    }
  }
  absl::StatusOr<UniqueFd> file = Open(path_, O_WRONLY | O_CREAT);
  if (file.ok()) file_ = *std::move(file);
}

Breadcrumb::~Breadcrumb() {
  if (!path_.empty()) RemoveFile(path_).IgnoreError();
}

bool Breadcrumb::IsSuspect(std::string_view table, std::int64_t key) const {
  return deaths_ > 0 && key == suspect_key_ && table == suspect_table_;
}

bool Breadcrumb::IsDeadly(std::string_view table, std::int64_t key) const {
  return deaths_ >= kDeaths && IsSuspect(table, key);
}

void Breadcrumb::Hold(std::string_view table, std::int64_t key) {
  if (!file_.valid()) return;
  std::string text = absl::StrCat(absl::string_view(table.data(), table.size()), " ", key, " ",
                                  IsSuspect(table, key) ? deaths_ : 0);
  text.resize(kBytes - 1, ' ');
  text.push_back('\n');
  // One that fails leaves the row before, of which she did not die: at worst three wrong hints in a row.
  [[maybe_unused]] const ssize_t written = ::pwrite(file_.get(), text.data(), text.size(), 0);
}

void Breadcrumb::Drop() {
  if (!file_.valid()) return;
  [[maybe_unused]] const int dropped = ::ftruncate(file_.get(), 0);
}

}  // namespace waggle::queen
