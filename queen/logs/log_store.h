#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/journal/writer.h"
#include "queen/core/events.h"

namespace waggle::queen {

class LogShard;

// Where the log of an attempt lies below the folder of all logs.
journal::Location LogLocation(const std::string& logs, Epoch epoch);
journal::Location LateLocation(const std::string& logs, Epoch epoch);  // of its late log

// The logs of all attempts: DATA/logs/<epoch div 4096>/<epoch>.NNN. Appends what drones send, acknowledges
// what is synced, checks and closes complete logs. Thread-safe; the work is done by shard threads, an epoch
// always by the same.
//
// A log is *open* from OpenLog (or Recover) to CloseLog: only then anything is appended, and only by the
// session that was named last. All callbacks come from shard threads and must not block.
class LogStore {
 public:
  struct Callbacks {
    std::function<void(SessionId, Epoch, Seq)> acked;        // records up to Seq are durable
    std::function<void(SessionId, Epoch, Seq)> resume_from;  // a gap or damage: send again from Seq
    std::function<void(SessionId, Epoch)> fenced;            // this session may not write this log
    std::function<void(event::LogComplete)> complete;        // a durable final record, checked
    std::function<void(Epoch)> appended;                     // there is more to read
    std::function<void(absl::Status)> starved;               // no space: the log waits for GoOn()
    std::function<void(absl::Status)> failed;                // a write or sync failed: end the process
  };

  static absl::StatusOr<std::unique_ptr<LogStore>> Create(std::string directory, int shards,
                                                          Callbacks callbacks);
  ~LogStore();  // stops the threads after what is queued

  // At start, before anybody is served: opens the logs of attempts without a verdict, cuts torn tails, and
  // posts LogComplete again for those that have their final record.
  absl::Status Recover(const std::vector<Epoch>& epochs);
  // The late log of an attempt that ended as unknown, whose sealed one has `after` records of its drone.
  absl::Status RecoverLate(Epoch epoch, Seq after);

  // `late`: the late log instead, which goes on behind this record of the sealed one.
  void OpenLog(Epoch epoch, SessionId session, std::optional<Seq> late = std::nullopt);
  // Whole records as they came from `session`, any of them possibly damaged, repeated or out of order.
  // `taken` is called when the bytes are dealt with (not yet durable): the stream may read on.
  void Append(SessionId session, Epoch epoch, std::string records, std::function<void()> taken);
  void Seal(effect::SealLog seal);
  void CloseLog(Epoch epoch);
  // Between the two what drones send is turned away, without an answer: they keep it. GoOn() asks them for
  // what the logs miss, those that found no space by themselves too. Seals are written all the time.
  void Hold();
  void GoOn();

  // Deletes the files of logs that are marked as removed in the store; gives those that are gone. One that is
  // open stays. On the caller's thread. Internal: a file could not be deleted; try again later.
  absl::StatusOr<std::vector<Epoch>> Delete(const std::vector<Epoch>& epochs);

  // Of an open log; nullopt when it is not open.
  std::optional<Seq> Last(Epoch epoch) const;      // appended: may be read
  std::optional<Seq> LateLast(Epoch epoch) const;  // likewise, of the late log
  std::optional<Seq> Durable(Epoch epoch) const;   // synced: was or will be acknowledged
  std::optional<Seq> LateDurable(Epoch epoch) const;

  journal::Location At(Epoch epoch) const;
  // DATA/logs/<epoch div 4096>/<epoch>-late.NNN
  journal::Location LateAt(Epoch epoch) const;

 private:
  LogStore(std::string directory, int shards, Callbacks callbacks);
  LogShard& ShardOf(Epoch epoch) const;

  const std::string directory_;
  std::vector<std::unique_ptr<LogShard>> shards_;
};

}  // namespace waggle::queen
