#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/fd.h"

namespace waggle::queen {

// What Breadcrumb::Hold() calls the table of attempts: their logs are in hand under the same name.
inline constexpr std::string_view kAttempts = "attempts";

// Which stored row the queen has in hand while she starts, in a small file: when she dies of it, the next
// start knows which it was, and after kDeaths on the same row it is left out instead of being read once more.
//
// The file holds "TABLE KEY DEATHS\n", DEATHS being how often she died of that row before, padded with spaces
// to kBytes. It is written with one pwrite per row and never synced: it is there for crashes of the process,
// not for a loss of power. Without it (a full disk, a directory nobody can write) a start works as well, and
// what it says is never more than a hint. One thread.
class Breadcrumb {
 public:
  static constexpr int kDeaths = 3;
  static constexpr std::size_t kBytes = 64;

  Breadcrumb() = default;  // keeps nothing
  // Reads what an earlier start left at `path`.
  explicit Breadcrumb(std::string path);
  ~Breadcrumb();  // removes the file: whoever gets here did not crash
  Breadcrumb(const Breadcrumb&) = delete;
  Breadcrumb& operator=(const Breadcrumb&) = delete;

  // From now on this row is in hand.
  void Hold(std::string_view table, std::int64_t key);
  void Drop();  // none is
  // This row is not to be read any more.
  bool IsDeadly(std::string_view table, std::int64_t key) const;

 private:
  bool IsSuspect(std::string_view table, std::int64_t key) const;

  std::string path_;
  UniqueFd file_;
  std::string suspect_table_;  // "": nobody died
  std::int64_t suspect_key_ = 0;
  int deaths_ = 0;  // of the suspect
};

}  // namespace waggle::queen
