#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/queen/store/raw_database.h"
#include "tests/support/hive_fixture.h"

namespace waggle::test {

// For tests that look at what the queen stored, or damage it.
class StoredFixture : public HiveFixture {
 protected:
  using RawDatabase = queen::RawDatabase;

  std::string Database() const { return QueenData() + "/queen.db"; }
  // Of a log.
  std::string Segment(std::uint64_t epoch, int number = 0) const {
    return absl::StrCat(QueenData(), "/logs/0/", epoch, ".00", number);
  }
};

}  // namespace waggle::test
