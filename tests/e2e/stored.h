#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/queen/store/raw_database.h"
#include "tests/support/temp_dir.h"

namespace waggle::test {

// Everything the queen of this data directory stored of jobs and attempts, by table, and every byte of their
// logs, by path.
inline std::map<std::string, std::string> StoredIn(const std::string& queen_data) {
  namespace fs = std::filesystem;
  std::map<std::string, std::string> stored;
  queen::RawDatabase database(queen_data + "/queen.db");
  for (const char* table : {"jobs", "attempts", "documents", "runs", "quarantine"}) {
    stored[table] = database.Ask(absl::StrCat("SELECT * FROM ", table, " ORDER BY 1"));
  }
  for (const auto& entry : fs::recursive_directory_iterator(queen_data + "/logs")) {
    if (entry.is_regular_file()) stored[entry.path()] = ReadText(entry.path());
  }
  return stored;
}

inline void ExpectSameStored(const std::map<std::string, std::string>& before,
                             const std::map<std::string, std::string>& after) {
  EXPECT_EQ(after.size(), before.size());
  for (const auto& [what, bytes] : before) {
    EXPECT_TRUE(after.contains(what) && after.at(what) == bytes) << what << " changed";
  }
}

}  // namespace waggle::test
