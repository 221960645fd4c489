#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <string>

namespace waggle::queen {

// The file as another program sees it: to look behind the store, and to damage what it holds.
class RawDatabase {
 public:
  explicit RawDatabase(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &db_), SQLITE_OK);
    sqlite3_busy_timeout(db_, 5000);
  }
  ~RawDatabase() { sqlite3_close(db_); }
  RawDatabase(const RawDatabase&) = delete;
  RawDatabase& operator=(const RawDatabase&) = delete;

  void Run(const std::string& sql) {
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error << ": " << sql;
    sqlite3_free(error);
  }
  // All cells of all rows, each followed by '|'.
  std::string Ask(const std::string& sql) {
    std::string text;
    auto collect = [](void* out, int columns, char** values, char**) {
      for (int i = 0; i < columns; ++i) {
        static_cast<std::string*>(out)->append(values[i] == nullptr ? "NULL" : values[i]).append("|");
      }
      return 0;
    };
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), collect, &text, &error), SQLITE_OK) << error << ": " << sql;
    sqlite3_free(error);
    return text;
  }

 private:
  sqlite3* db_ = nullptr;
};

}  // namespace waggle::queen
