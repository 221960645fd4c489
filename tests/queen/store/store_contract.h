#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "queen/store/store.h"
#include "tests/queen/store/sample_rows.h"

namespace waggle::queen {

// One kind of store: `open` opens what is stored in a directory, also a second time after the first one was
// closed, and in a forked child. To run the suite for another kind, link store_contract*.cc and instantiate
// it:
//   INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract, testing::Values(StoreBackend{"sqlite", &OpenIt}));
struct StoreBackend {
  std::string name;
  std::function<absl::StatusOr<std::unique_ptr<Store>>(const std::string& directory)> open;
};
inline void PrintTo(const StoreBackend& backend, std::ostream* out) {
  *out << backend.name;
}

// A directory that is removed with everything in it.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }
  void Clear();

 private:
  std::string path_;
};

// Every test starts with an empty store, open as store().
class StoreContract : public testing::TestWithParam<StoreBackend> {
 protected:
  void SetUp() override;
  Store& store() { return *store_; }
  const std::string& directory() const { return directory_.path(); }
  void Close() { store_.reset(); }
  void Open();
  void Reopen();
  void Commit(const WriteBatch& batch);
  void PutJob(const JobRow& row);
  Snapshot Load();
  std::vector<std::uint64_t> ListedIds(const JobQuery& query);

 private:
  ScratchDirectory directory_;
  std::unique_ptr<Store> store_;
};

// A job named by little: started, without a run.
JobRow PlainJob(std::uint64_t id, JobState state);
AttemptRow PlainAttempt(std::uint64_t epoch, std::uint64_t job, bool log_closed);

template <typename Row>
std::vector<std::uint64_t> JobIds(const std::vector<Row>& rows) {
  std::vector<std::uint64_t> ids;
  for (const Row& row : rows) ids.push_back(row.id.value());
  return ids;
}
std::vector<std::uint64_t> Epochs(const std::vector<AttemptRow>& rows);

}  // namespace waggle::queen
