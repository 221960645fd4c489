#pragma once

#include <gmock/gmock.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/e2e/raw_drone.h"
#include "tests/support/hive_fixture.h"

namespace waggle::test {

// A hive with one healthy drone, which must still be one after whatever a test did beside it: the same queen,
// and the healthy drone runs jobs.
class HostileFixture : public HiveFixture {
 protected:
  void SetUp() override {
    StartQueen();
    StartDrone("healthy", 2, {"--label", "who=healthy"});
  }
  void TearDown() override {
    raw_.reset();
    EXPECT_TRUE(Queen().Running()) << "the queen died";
    if (Queen().Running()) {
      WaitForState(Submit(For("healthy")), "passed");
      EXPECT_TRUE(Drone("healthy").Running());
    }
    HiveFixture::TearDown();
  }

  static Json For(const std::string& who, const std::string& script = "echo ran") {
    Json job = TestJob({script});
    job["needs"] = {{"who", who}};
    return job;
  }
  std::string Output(std::uint64_t job) { return HiveFixture::Raw(job); }
  RawDrone& Raw() {
    if (raw_ == nullptr) raw_ = std::make_unique<RawDrone>(QueenData(), "raw", 'a');
    return *raw_;
  }
  // A job on the raw drone: its epoch, not yet accepted.
  std::uint64_t GiveRawAJob() {
    job_ = Submit(For("raw"));
    return Raw().NextAssigned();
  }

  std::uint64_t job_ = 0;

 private:
  std::unique_ptr<RawDrone> raw_;
};

}  // namespace waggle::test
