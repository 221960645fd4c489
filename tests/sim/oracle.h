#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/journal/events.h"
#include "common/journal/record.h"
#include "queen/core/rows.h"
#include "tests/sim/wire.h"
#include "tests/sim/world.h"
#include "tests/support/shadow_store.h"

namespace waggle::sim {

// Byte `offset` of an output stream: what a job writes is known without anybody keeping it.
char OutputByte(Epoch epoch, journal::Kind stream, std::uint64_t offset);

// Knows everything: what shims really did, what was really on the disk, who said what when. Checks the
// promises of the product against it while a seed runs. The letters are those of the invariants in README.md.
class Oracle {
 public:
  Oracle(World& world, const queen::ShadowStore& store) : world_(world), store_(store) {}

  // ---- what shims do ----
  void ShimStarted(Epoch epoch, JobId job, std::size_t drone);
  void CommandStarted(Epoch epoch, JobId job, Phase phase);
  void CancelTaken(Epoch epoch);
  void RecordsSpooled(Epoch epoch, std::string_view records);  // and readable by the daemon

  // ---- what the queen does ----
  void BeforeCommit(const queen::WriteBatch& rows);  // the store is still as it was
  void AfterCommit(const queen::WriteBatch& rows);
  void LogOpened(Epoch epoch, SessionId session) { writers_[epoch] = session; }
  void LogGrew(Epoch epoch);
  void Acked(Epoch epoch, Seq seq);
  void LogTaken(SessionId by, Epoch epoch);  // records of this session were taken
  void SealAsked(Epoch epoch) { given_up_.insert(epoch); }
  void QueenLostPower();
  void BackupRestored();                     // the rows are those of an earlier time
  void LogFlipped(const std::string& path);  // a bit of this file on the queen's disk
  // The lease of a drone is over, says the queen. `silence`: on her clock, since she heard of it; `late`: she
  // was stepped so much later than she asked for.
  void LeaseOver(std::size_t drone, Duration silence, Duration late, bool drone_thinks_connected);

  // ---- what drones and people do ----
  void RevokeAnswered(const std::string& key) { revoked_.insert(key); }
  bool IsRevoked(const Peer& peer) const;  // as it is stored
  bool IsKnown(const Peer& peer) const;    // and may come
  void Heard(const Peer& peer);            // something it says counts, or it is welcome
  void AttemptDeleted(Epoch epoch, bool wanted);
  void DrainAnswered(const std::string& drone) { drained_.insert(drone); }
  void UndrainAsked(const std::string& drone) { drained_.erase(drone); }
  void EndAsked(Epoch epoch) {
    given_up_.insert(epoch);
  }  // of an attempt that a restored queen does not remember
  void Answered(JobId job) { accepted_.insert(job); }
  const std::set<JobId>& accepted() const { return accepted_; }

  void CheckRuns();  // everything is over
  // Likewise: the stored logs, byte by byte.
  void CheckEnd();

  // The log of an attempt on the queen's disk.
  static std::string LogPath(Epoch epoch);
  static std::string LateLogPath(Epoch epoch);
  // A bit of it has flipped: records that were durable may be unreadable.
  bool Flipped(Epoch epoch) const { return flipped_.contains(epoch); }
  const std::vector<std::uint32_t>* Stored(Epoch epoch) const;

 private:
  struct Truth {  // of an attempt, from its shim
    JobId job;
    std::size_t drone = 0;
    std::vector<std::uint32_t> records;  // checksum of each, from 1
    std::optional<journal::Final> final;
    bool cancel_taken = false;
  };
  struct Checked {  // of a stored log
    std::uint64_t position = 0;
    std::vector<std::uint32_t> records;
    bool sealed = false, over = false;
    std::uint64_t offsets[2] = {0, 0};
  };
  struct Durable {
    std::uint64_t position = 0;
    Seq last;
    bool final = false;
  };

  void CheckNewAttempt(const queen::AttemptRow& row);
  void CheckBranch(JobId job);
  void CheckGraph(const queen::JobRow& row);
  void CheckVerdict(const queen::JobRow& row);
  void CheckLateTruth(const queen::AttemptRow& row);
  // Of the late log: every record as the shim wrote it, from where the sealed log's end was; gives the last.
  Seq CheckLateLog(Epoch epoch, std::string_view data);
  bool CheckStoredRecord(Epoch epoch, Checked& checked, const journal::RecordView& record);
  const Durable& DurableOf(Epoch epoch);
  // A log with a flipped bit: what is left of it is as it was, and nobody calls it complete.
  void CheckFlipped(Epoch epoch);

  World& world_;
  const queen::ShadowStore& store_;
  std::map<Epoch, Truth> truths_;
  std::map<Epoch, Checked> checked_;
  std::map<Epoch, Durable> durable_;
  std::map<Epoch, SessionId> writers_;
  std::map<JobId, Epoch> deployed_;  // by which attempt
  std::set<Epoch> given_up_;
  bool power_lost_ = false;  // the queen's: the first half of a seal may stand in a log
  std::set<JobId> accepted_;
  std::set<Epoch> flipped_;
  std::set<std::string> revoked_;  // keys
  std::set<std::string> drained_;  // by a person who was told so
  std::vector<JobId> assigned_;    // by the batch that is committed
  std::set<JobId> again_;          // likewise: ended before it and runs once more by it
  std::set<JobId> retried_;        // likewise at any time
  // What was stored once, also when a restored queen does not remember it.
  Epoch highest_;
  std::set<Epoch> granted_, ended_, told_late_;
  std::set<JobId> canceled_;
};

}  // namespace waggle::sim
