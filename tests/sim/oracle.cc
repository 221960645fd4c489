#include "tests/sim/oracle.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "common/journal/reader.h"
#include "common/journal/scan.h"
#include "common/journal/writer.h"

namespace waggle::sim {

using journal::Kind;

char OutputByte(Epoch epoch, Kind stream, std::uint64_t offset) {
  const std::uint64_t word = MixBits(epoch.value() * 2 + (stream == Kind::kStdout ? 0 : 1)) ^ (offset / 8);
  return static_cast<char>(MixBits(word) >> (8 * (offset % 8)));
}

std::string Oracle::LogPath(Epoch epoch) {
  return absl::StrCat("/q/logs/", epoch.value() / 4096, "/", epoch.value(), ".000");
}

std::string Oracle::LateLogPath(Epoch epoch) {
  return absl::StrCat("/q/logs/", epoch.value() / 4096, "/", epoch.value(), "-late.000");
}

// ---- shims ----

void Oracle::ShimStarted(Epoch epoch, JobId job, std::size_t drone) {
  auto [at, fresh] = truths_.try_emplace(epoch);
  if (!fresh) world_.Fail("I4", absl::StrCat("attempt ", epoch.value(), " was started twice"));
  at->second.job = job;
  at->second.drone = drone;
}

void Oracle::CommandStarted(Epoch epoch, JobId job, Phase phase) {
  if (truths_.at(epoch).cancel_taken && phase != Phase::kCleanup) {
    world_.Fail("I12",
                absl::StrCat("attempt ", epoch.value(), " started a command after its cancel was taken"));
  }
  if (phase != Phase::kDeploy) return;
  auto [at, first] = deployed_.try_emplace(job, epoch);
  if (!first && at->second != epoch) {
    world_.Fail("I7", absl::StrCat("job ", job.value(), " deployed in attempt ", at->second.value(),
                                   " and again in ", epoch.value()));
  }
  if (!granted_.contains(epoch)) {
    world_.Fail("I7", absl::StrCat("attempt ", epoch.value(), " deploys without a stored grant"));
  }
}

void Oracle::CancelTaken(Epoch epoch) {
  truths_.at(epoch).cancel_taken = true;
}

void Oracle::RecordsSpooled(Epoch epoch, std::string_view records) {
  Truth& truth = truths_.at(epoch);
  journal::ForEachRecord(records, [&](const journal::RecordView& record) {
    truth.records.push_back(record.header.crc);
    if (record.header.kind == Kind::kFinal) truth.final = journal::DecodeFinal(record.payload);
  });
}

void Oracle::AttemptDeleted(Epoch epoch, bool wanted) {
  auto row = store_.attempts.find(epoch);
  const bool awaited =
      row != store_.attempts.end() && row->second.late_awaited && !told_late_.contains(epoch);
  const bool over = given_up_.contains(epoch) || ended_.contains(epoch);
  if (wanted && awaited) {
    world_.Fail("I16", absl::StrCat("attempt ", epoch.value(), " was deleted while its truth is waited for"));
  }
  if (wanted && !over) {
    world_.Fail(
        "I6", absl::StrCat("attempt ", epoch.value(), " was deleted on its drone before its end was stored"));
  }
}

// ---- queen: logs ----

void Oracle::LogTaken(SessionId by, Epoch epoch) {
  auto writer = writers_.find(epoch);
  if (writer != writers_.end() && writer->second == by) return;
  world_.Fail("I4", absl::StrCat("records of session ", by.value(), " were taken into the log of attempt ",
                                 epoch.value(), ", which is not its own"));
}

// True when the record is what it must be; otherwise the violation is noted.
bool Oracle::CheckStoredRecord(Epoch epoch, Checked& checked, const journal::RecordView& record) {
  auto wrong = [&](std::string_view how) {
    world_.Fail("I5", absl::StrCat("log of attempt ", epoch.value(), ", record ", record.header.seq.value(),
                                   ": ", absl::string_view(how.data(), how.size())));
    return false;
  };
  if (checked.over) return wrong("stands behind the final record");
  if (record.header.epoch != epoch) return wrong("belongs to another attempt");
  if (record.header.seq.value() != checked.records.size() + 1) return wrong("is out of order");
  const Kind kind = record.header.kind;
  checked.over = kind == Kind::kFinal;
  auto truth = truths_.find(epoch);
  const std::uint64_t seq = record.header.seq.value();
  const bool produced = !checked.sealed && truth != truths_.end() && seq <= truth->second.records.size() &&
                        truth->second.records[seq - 1] == record.header.crc;
  if (!produced) {
    // Only the queen's own two last records may stand here: what became of it, and the end.
    const bool half = power_lost_ || Flipped(epoch);  // of a seal before may be there
    const bool status = kind == Kind::kStatus && (!checked.sealed || half);
    if (!status && (kind != Kind::kFinal || !checked.sealed)) return wrong("is not what the job wrote");
    checked.sealed = true;
  }
  if (journal::IsOutput(kind)) {
    std::uint64_t& at = checked.offsets[kind == Kind::kStdout ? 0 : 1];
    if (record.header.offset != at) return wrong("has a wrong stream offset");
    for (char c : record.payload) {
      if (c != OutputByte(epoch, kind, at++)) return wrong("holds bytes that the job did not write there");
    }
  }
  return true;
}

void Oracle::LogGrew(Epoch epoch) {
  const Disk::File* file = world_.disk.Find(LogPath(epoch));
  if (file == nullptr) return;
  Checked& checked = checked_[epoch];
  if (checked.position == 0) checked.position = journal::kSegmentHeaderBytes;
  if (file->data.size() < checked.position && Flipped(epoch)) {
    checked = {.position = journal::kSegmentHeaderBytes};  // it was cut where a bit had flipped
  } else if (file->data.size() < checked.position) {
    return world_.Fail("I5", absl::StrCat("the log of attempt ", epoch.value(), " became shorter"));
  }
  std::string_view rest = std::string_view(file->data).substr(checked.position);
  journal::RecordView record;
  while (journal::DecodeRecord(rest, &record) == journal::DecodeResult::kOk) {
    if (!CheckStoredRecord(epoch, checked, record)) return;
    checked.records.push_back(record.header.crc);
    checked.position += record.raw.size();
    rest.remove_prefix(record.raw.size());
  }
}

const Oracle::Durable& Oracle::DurableOf(Epoch epoch) {
  Durable& durable = durable_[epoch];
  if (Flipped(epoch)) durable = {};
  const Disk::File* file = world_.disk.Find(LogPath(epoch));
  if (file == nullptr || !file->linked) return durable;
  if (durable.position == 0) durable.position = journal::kSegmentHeaderBytes;
  if (file->durable.size() < durable.position) return durable;
  std::string_view rest = std::string_view(file->durable).substr(durable.position);
  journal::RecordView record;
  while (journal::DecodeRecord(rest, &record) == journal::DecodeResult::kOk) {
    durable.last = record.header.seq;
    durable.final = record.header.kind == Kind::kFinal;
    durable.position += record.raw.size();
    rest.remove_prefix(record.raw.size());
  }
  return durable;
}

Seq Oracle::CheckLateLog(Epoch epoch, std::string_view data) {
  Seq last;
  if (data.size() < journal::kSegmentHeaderBytes) return last;
  data.remove_prefix(journal::kSegmentHeaderBytes);
  const std::vector<std::uint32_t>& wrote = truths_.at(epoch).records;
  journal::RecordView record;
  while (journal::DecodeRecord(data, &record) == journal::DecodeResult::kOk) {
    const std::uint64_t seq = record.header.seq.value();
    const bool produced = seq <= wrote.size() && wrote[seq - 1] == record.header.crc;
    const bool sealed = record.header.kind == Kind::kStatus || record.header.kind == Kind::kFinal;
    if (!produced && !sealed) {
      world_.Fail("I5", absl::StrCat("the late log of attempt ", epoch.value(), " has a record ", seq,
                                     " that its job did not write there"));
      return last;
    }
    last = record.header.seq;
    data.remove_prefix(record.raw.size());
  }
  return last;
}

void Oracle::Acked(Epoch epoch, Seq seq) {
  Seq last = DurableOf(epoch).last;
  const Disk::File* late = world_.disk.Find(LateLogPath(epoch));
  if (late != nullptr) last = std::max(last, CheckLateLog(epoch, late->durable));
  if (seq <= last || Flipped(epoch)) return;
  world_.Fail("I6", absl::StrCat("record ", seq.value(), " of attempt ", epoch.value(),
                                 " was acknowledged; durable are ", last.value()));
}

void Oracle::LogFlipped(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  std::uint64_t epoch = 0;
  if (name.ends_with(".idx") || !absl::SimpleAtoi(name.substr(0, name.find_first_of("-.")), &epoch)) return;
  world_.Sometimes(Rare::log_bit_flipped);
  flipped_.insert(Epoch(epoch));
}

bool Oracle::IsRevoked(const Peer& peer) const {
  return std::any_of(store_.peers.begin(), store_.peers.end(), [&](const auto& row) {
    return row.second.key == peer.identity && row.second.revoked != 0;
  });
}

void Oracle::Heard(const Peer& peer) {
  if (!revoked_.contains(peer.identity)) return;
  world_.Fail("I17", absl::StrCat(peer.name, " is revoked, and is heard or welcome"));
}

bool Oracle::IsKnown(const Peer& peer) const {
  return std::any_of(store_.peers.begin(), store_.peers.end(), [&](const auto& row) {
    return row.second.key == peer.identity && row.second.revoked == 0;
  });
}

void Oracle::BackupRestored() {
  std::erase_if(accepted_, [this](JobId job) { return !store_.jobs.contains(job); });
  std::erase_if(revoked_, [this](const std::string& key) { return !IsRevoked({.identity = key}); });
  std::erase_if(drained_, [this](const std::string& name) {
    return std::none_of(store_.drones.begin(), store_.drones.end(),
                        [&](const auto& row) { return row.second.name == name && row.second.drained != 0; });
  });
}

void Oracle::QueenLostPower() {
  checked_.clear();
  durable_.clear();
  power_lost_ = true;
}

const std::vector<std::uint32_t>* Oracle::Stored(Epoch epoch) const {
  auto found = checked_.find(epoch);
  return found == checked_.end() ? nullptr : &found->second.records;
}

void Oracle::LeaseOver(std::size_t drone, Duration silence, Duration late, bool drone_thinks_connected) {
  if (late > 2 * std::chrono::seconds(1)) {
    world_.Fail("L2", absl::StrCat("the queen was away for ", late.count() / kMilli, " ms and drone d", drone,
                                   " lost its lease"));
  }
  if (silence < limits::kLease) {
    world_.Fail("L1", absl::StrCat("drone d", drone, " was lost ", silence.count() / kMilli,
                                   " ms after it was heard of"));
  }
  if (drone_thinks_connected) {
    world_.Fail("L1", absl::StrCat("drone d", drone, " was lost and does not know it yet"));
  }
  world_.Sometimes(Rare::drone_knew_first);
}

void Oracle::CheckFlipped(Epoch epoch) {
  if (!store_.attempts.at(epoch).log_closed) {
    return world_.Fail("I2", absl::StrCat("the log of attempt ", epoch.value(), " was never closed"));
  }
  Checked& checked = checked_[epoch] = {};
  LogGrew(epoch);
  const std::string path = LogPath(epoch);
  const Disk::File* file = world_.disk.Find(path);
  const bool whole = file != nullptr && checked.over && checked.position == file->data.size();
  const auto verified =
      journal::Verify({path.substr(0, path.rfind('/')), absl::StrCat(epoch.value())}, epoch);
  if (verified.ok() && verified->complete && !whole) {
    world_.Fail("I5", absl::StrCat("a bit of the log of attempt ", epoch.value(),
                                   " flipped, and it counts as whole"));
  }
}

void Oracle::CheckEnd() {
  for (const auto& [epoch, row] : store_.attempts) {
    if (Flipped(epoch)) {
      CheckFlipped(epoch);
      continue;
    }
    LogGrew(epoch);
    if (world_.failed()) return;
    if (!row.log_closed)
      world_.Fail("I2", absl::StrCat("the log of attempt ", epoch.value(), " was never closed"));
    auto truth = truths_.find(epoch);
    const Checked& checked = checked_[epoch];
    const queen::JobRow& job = store_.jobs.at(row.job);
    const bool by_shim =
        job.attempt == epoch && (job.state == JobState::kPassed || job.state == JobState::kFailed);
    if (by_shim && (truth == truths_.end() || checked.sealed || checked.records != truth->second.records)) {
      world_.Fail("I5", absl::StrCat("the log of attempt ", epoch.value(), " has ", checked.records.size(),
                                     " records; its job wrote ", truth->second.records.size()));
    }
  }
  for (JobId job : accepted_) {
    if (!store_.jobs.contains(job))
      world_.Fail("I6", absl::StrCat("job ", job.value(), " was accepted and is gone"));
  }
}

}  // namespace waggle::sim
