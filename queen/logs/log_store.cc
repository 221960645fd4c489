#include "queen/logs/log_store.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "queen/logs/log_shard.h"
#include "queen/logs/removal.h"

namespace waggle::queen {

journal::Location LogLocation(const std::string& logs, Epoch epoch) {
  return {absl::StrCat(logs, "/", epoch.value() / 4096), absl::StrCat(epoch.value())};
}

journal::Location LateLocation(const std::string& logs, Epoch epoch) {
  journal::Location location = LogLocation(logs, epoch);
  location.prefix += "-late";
  return location;
}

LogStore::LogStore(std::string directory, int shards, Callbacks callbacks)
    : directory_(std::move(directory)) {
  auto shared = std::make_shared<Callbacks>(std::move(callbacks));
  for (int i = 0; i < shards; ++i) shards_.push_back(std::make_unique<LogShard>(directory_, shared));
}

LogStore::~LogStore() = default;

absl::StatusOr<std::unique_ptr<LogStore>> LogStore::Create(std::string directory, int shards,
                                                           Callbacks callbacks) {
  RETURN_IF_ERROR(MakeDirectoriesDurably(directory));
  return std::unique_ptr<LogStore>(new LogStore(std::move(directory), shards, std::move(callbacks)));
}

LogShard& LogStore::ShardOf(Epoch epoch) const {
  return *shards_[epoch.value() % shards_.size()];
}

absl::Status LogStore::Recover(const std::vector<Epoch>& epochs) {
  for (Epoch epoch : epochs) RETURN_IF_ERROR(ShardOf(epoch).RecoverLog(epoch));
  return absl::OkStatus();
}

absl::Status LogStore::RecoverLate(Epoch epoch, Seq after) {
  return ShardOf(epoch).RecoverLate(epoch, after);
}

void LogStore::OpenLog(Epoch epoch, SessionId session, std::optional<Seq> late) {
  LogShard& shard = ShardOf(epoch);
  shard.Post([&shard, epoch, session, late] { shard.OpenLog(epoch, session, late); });
}

void LogStore::Append(SessionId session, Epoch epoch, std::string records, std::function<void()> taken) {
  LogShard& shard = ShardOf(epoch);
  shard.Post([&shard, session, epoch, records = std::move(records), taken = std::move(taken)] {
    shard.Append(session, epoch, records);
    taken();
  });
}

void LogStore::Seal(effect::SealLog seal) {
  LogShard& shard = ShardOf(seal.epoch);
  shard.Post([&shard, seal = std::move(seal)] { shard.Seal(seal); });
}

void LogStore::CloseLog(Epoch epoch) {
  LogShard& shard = ShardOf(epoch);
  shard.Post([&shard, epoch] { shard.CloseLog(epoch); });
}

absl::StatusOr<std::vector<Epoch>> LogStore::Delete(const std::vector<Epoch>& epochs) {
  std::set<Epoch> closed;
  for (Epoch epoch : epochs) {
    if (ShardOf(epoch).Find(epoch) == nullptr) closed.insert(epoch);
  }
  RETURN_IF_ERROR(DeleteLogFiles(directory_, closed));
  return std::vector<Epoch>(closed.begin(), closed.end());
}

void LogStore::Hold() {
  for (const auto& shard : shards_) shard->Post([&shard = *shard] { shard.Hold(); });
}

void LogStore::GoOn() {
  for (const auto& shard : shards_) shard->Post([&shard = *shard] { shard.GoOn(); });
}

namespace {

std::optional<Seq> Of(const std::shared_ptr<const OpenedLog>& log, bool late,
                      std::atomic<std::uint64_t> OpenedLog::*which) {
  if (log == nullptr || log->late != late) return std::nullopt;
  return Seq(((*log).*which).load(std::memory_order_acquire));
}

}  // namespace

std::optional<Seq> LogStore::Last(Epoch epoch) const {
  return Of(ShardOf(epoch).Find(epoch), false, &OpenedLog::last);
}
std::optional<Seq> LogStore::LateLast(Epoch epoch) const {
  return Of(ShardOf(epoch).Find(epoch), true, &OpenedLog::last);
}
std::optional<Seq> LogStore::Durable(Epoch epoch) const {
  return Of(ShardOf(epoch).Find(epoch), false, &OpenedLog::durable);
}
std::optional<Seq> LogStore::LateDurable(Epoch epoch) const {
  return Of(ShardOf(epoch).Find(epoch), true, &OpenedLog::durable);
}

journal::Location LogStore::LateAt(Epoch epoch) const {
  return ShardOf(epoch).LateAt(epoch);
}

journal::Location LogStore::At(Epoch epoch) const {
  return ShardOf(epoch).At(epoch);
}

}  // namespace waggle::queen
