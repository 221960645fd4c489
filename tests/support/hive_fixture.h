#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/git_repo.h"
#include "tests/support/temp_dir.h"

namespace waggle::test {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

// One step of a job document: a script.
Json Step(const std::string& script, const std::string& name = "");
// A TEST job document whose test phase is these scripts.
Json TestJob(const Words& scripts);
// A script that waits until the file is there.
std::string AwaitFile(const std::string& path);

// A hive of real processes over a real socket, all below one temporary directory:
//   q/ data of the queen   d/NAME/ data of a drone   w/ where waggle runs   home/ HOME of everything   log/
//   outputs
// The verbs assert what they do. TearDown kills whatever the test left, also the shims and jobs of killed
// drones, and shows the daemons' logs of a failed test.
class HiveFixture : public ::testing::Test {
 protected:
  HiveFixture();
  void TearDown() override;

  // The limit of open files of queens started from now on; 0: that of the test.
  int queen_files_ = 0;
  // Queen. StartQueen returns when she answers; StopQueen asks her to end and expects that she does so
  // cleanly.
  void StartQueen(const Words& flags = {});
  void StopQueen();
  void KillQueen();
  Child& Queen() { return queens_.back(); }
  std::string QueenData() const { return temp_ / "q"; }

  // Drones, by name. StartDrone returns when the queen lists it as connected.
  Child& StartDrone(const std::string& name, int slots = 1, const Words& flags = {});
  Child& Drone(const std::string& name) { return drones_.at(name); }
  void KillDrone(const std::string& name);  // KILL: its shims go on
  std::string DroneData(const std::string& name) const { return temp_ / "d/" + name; }
  Json Drones();  // `waggle drones -o json`, by name
  // Processes of the shims of a drone and of everything they started.
  std::vector<pid_t> JobProcesses(const std::string& drone) const;

  // Any program, with the environment of the test.
  Child Start(Words argv, const std::string& cwd = "", bool nobody = false);
  static std::string Binary(const std::string& name);

  // waggle, to its end or in the background.
  Outcome Waggle(Words args, const std::string& cwd = "", Millis patience = kPatience);
  Child StartWaggle(Words args, const std::string& cwd = "");

  // Jobs.
  std::string WriteJob(const Json& document);  // the file's path
  std::uint64_t Submit(const Json& document);  // its id; expects that it is taken
  Json Show(std::uint64_t job);                // `waggle show -o json`
  std::vector<Json> Jobs();                    // `waggle jobs -o json`, oldest first
  std::string StateOf(std::uint64_t job);
  // Waits until the job is in this state; a job that ends in another is a failure at once. Its facts, as
  // Show().
  Json WaitForState(std::uint64_t job, const std::string& state, Millis patience = kPatience);
  std::string Raw(std::uint64_t job, const Words& flags = {});  // `waggle logs --raw`
  void ExpectVerified(std::uint64_t job);

  GitRepo MakeRepo(const std::string& name) const;
  std::string Gate(const std::string& name) const { return temp_ / "gate/" + name; }
  void Open(const std::string& gate) { WriteText(Gate(gate), ""); }

  TempDir temp_;
  // Of everything that is started. Drones isolate no job that does not ask for it: most tests let their jobs
  // meet in files outside.
  std::map<std::string, std::string> env_;

 private:
  std::string NextLog(const std::string& program);

  int logs_ = 0, documents_ = 0;
  std::vector<Child> queens_;  // old ones are kept for their logs
  std::vector<Child> gone_;
  std::map<std::string, Child> drones_;
};

}  // namespace waggle::test
