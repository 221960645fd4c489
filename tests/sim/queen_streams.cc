// The queen's streams, log shard and effects: what the streams of queen/api and queen/app/queen.cc do.
#include <algorithm>

#include "tests/sim/drone.h"
#include "tests/sim/queen.h"
#include "tests/sim/wire.h"

namespace waggle::sim {

using Why = drone::event::ControlLost::Why;

std::shared_ptr<Connection> QueenHost::Connect(DroneHost& drone, bool bulk) {
  const std::uint64_t id = ++next_stream_;
  auto connection =
      std::make_shared<Connection>(world_, id, world_.plan.latency, Random(world_.plan.seed, "stream", id));
  if (drone.partitioned()) {
    // Nobody answers; the caller's own deadline ends it.
    connection->Stall(Side::kDrone, world_.now() + 20 * kSecond);
    world_.After(random_.Between(kSecond, 20 * kSecond), [connection] { connection->Die(Side::kQueen); });
    return connection;
  }
  if (hive_ == nullptr || dying_ || drone.expired()) {
    world_.After(world_.plan.latency, [connection] { connection->Die(Side::kQueen); });
    return connection;
  }
  streams_[id] = Stream{.drone = &drone, .peer = drone.peer(), .connection = connection, .bulk = bulk};
  connection->OnLost(Side::kQueen, [this, id] { Later(0, [this, id] { CloseStream(id); }); });
  return connection;
}

// The stream is over, whoever ended it: as Deregister() of the reactors.
void QueenHost::CloseStream(std::uint64_t id) {
  auto at = streams_.find(id);
  if (at == streams_.end()) return;
  Stream stream = at->second;
  streams_.erase(at);
  stream.connection->Close(Side::kQueen);
  if (stream.bulk) {
    auto bulk = bulk_.find(stream.session);
    if (bulk != bulk_.end() && bulk->second == id) bulk_.erase(bulk);
  } else {
    HandOver(stream, [this, id] { Post(queen::event::Disconnected{queen::ConnectionId(id)}); });
  }
}

// The thread that read a message may hand it over late: behind a newer session of the drone, or behind the
// end of its own. Of one stream each comes behind the one before.
void QueenHost::HandOver(Stream& stream, std::function<void()> what) {
  stream.handed_over = std::max(stream.handed_over, world_.now() + random_.Skewed(kMicro, 40 * kMilli));
  Later(stream.handed_over - world_.now(), std::move(what));
}

Why QueenHost::WhyClosed(std::uint64_t connection) const {
  auto found = why_closed_.find(connection);
  return found == why_closed_.end() ? Why::kCut : found->second;
}

void QueenHost::HearControl(std::uint64_t connection, const drone::ControlUp& message) {
  process_.Run([this, connection, message] {
    auto at = streams_.find(connection);
    if (at == streams_.end()) return;
    const Peer& peer = at->second.peer;
    if (!std::holds_alternative<drone::Hello>(message)) oracle_.Heard(peer);
    if (std::holds_alternative<drone::Reject>(message)) world_.Sometimes(Rare::assignment_rejected);
    HandOver(at->second,
             [this, event = ToQueen(message, queen::ConnectionId(connection), peer)] { Post(event); });
  });
}

void QueenHost::HearBulkHello(DroneHost& drone, std::uint64_t connection, SessionId session) {
  process_.Run([this, &drone, connection, session] {
    auto stream = streams_.find(connection);
    if (stream == streams_.end()) return;
    auto known = sessions_.find(session);
    if (known == sessions_.end() || known->second != &drone) {
      world_.Sometimes(Rare::bulk_of_old_session_refused);
      return CloseStream(connection);
    }
    stream->second.session = session;
    bulk_[session] = connection;
  });
}

void QueenHost::HearRecords(std::uint64_t connection, Epoch epoch, const std::string& packed) {
  process_.Run([this, connection, epoch, packed] {
    auto at = streams_.find(connection);
    if (at == streams_.end() || logs_ == nullptr) return;
    Stream& stream = at->second;
    const SessionId session = stream.session;
    oracle_.Heard(stream.peer);
    if (world_.now() - stream.alive_said >= kSecond) {
      stream.alive_said = world_.now();
      Post(queen::event::Alive{session});
    }
    HandOver(stream, [this, session, epoch, packed] {
      logs_->Post([this, session, epoch, packed] { TakeRecords(session, epoch, packed); });
      RunLogs();
    });
  });
}

void QueenHost::TakeRecords(SessionId session, Epoch epoch, const std::string& packed) {
  auto log = logs_->Find(epoch);
  const std::uint64_t before = log == nullptr ? 0 : log->last.load();
  const bool sealed = log != nullptr && log->final.has_value();
  logs_->Append(session, epoch, packed);
  log = logs_->Find(epoch);
  if (log == nullptr || dying_) return;
  if (log->last.load() > before && !(log->final && !sealed && !log->session))
    oracle_.LogTaken(session, epoch);
  if (log->last.load() == before && !packed.empty()) world_.Sometimes(Rare::repeat_dropped);
}

void QueenHost::OpenLogs(const std::vector<Epoch>& recover, const std::vector<std::pair<Epoch, Seq>>& late) {
  auto callbacks = std::make_shared<queen::LogStore::Callbacks>();
  callbacks->acked = [this](SessionId session, Epoch epoch, Seq seq) {
    if (dying_) return;
    oracle_.Acked(epoch, seq);
    SendBulk(session, drone::Ack{epoch, seq});
  };
  callbacks->resume_from = [this](SessionId session, Epoch epoch, Seq seq) {
    if (dying_) return;
    SendBulk(session, drone::ResumeFrom{epoch, seq});
  };
  callbacks->fenced = [this](SessionId session, Epoch epoch) {
    if (dying_) return;
    world_.Sometimes(Rare::stale_records_fenced);
    Post(queen::event::Trespass{session, epoch});
    SendBulk(session, drone::Fenced{epoch});
  };
  callbacks->complete = [this](queen::event::LogComplete complete) {
    if (!dying_) Post(std::move(complete));
  };
  callbacks->appended = [this](Epoch epoch) {
    if (!dying_) oracle_.LogGrew(epoch);
  };
  callbacks->starved = [this](const absl::Status&) {
    if (dying_) return;
    world_.Sometimes(Rare::log_waited_for_space);
    Starved();
  };
  callbacks->failed = [this](const absl::Status& status) { StorageFailed(status); };
  logs_ = std::make_unique<queen::LogShard>("/q/logs", callbacks, queen::LogShard::Threads::kNone);
  for (Epoch epoch : recover) {
    const Disk::File* file = world_.disk.Find(Oracle::LogPath(epoch));
    const std::size_t before = file == nullptr ? 0 : file->data.size();
    absl::Status recovered = logs_->RecoverLog(epoch);
    if (!recovered.ok()) return StorageFailed(recovered);
    file = world_.disk.Find(Oracle::LogPath(epoch));
    if (file != nullptr && file->data.size() < before) world_.Sometimes(Rare::queen_cut_torn_log);
    oracle_.LogGrew(epoch);
  }
  for (const auto& [epoch, after] : late) {
    absl::Status recovered = logs_->RecoverLate(epoch, after);
    if (!recovered.ok()) return StorageFailed(recovered);
  }
}

// The two threads of the shard, each when it gets round to it.
void QueenHost::RunLogs() {
  if (std::exchange(logs_planned_, true)) return;
  Later(random_.Skewed(5 * kMicro, 3 * kMilli), [this] {
    logs_planned_ = false;
    if (!logs_->RunRequests() || dying_ || std::exchange(sync_planned_, true)) return;
    Later(DiskTime(), [this] {
      sync_planned_ = false;
      logs_->RunSync();
      if (!dying_) RunLogs();
    });
  });
}

std::optional<Seq> QueenHost::LastAppended(Epoch epoch) const {
  if (logs_ == nullptr) return std::nullopt;
  auto log = logs_->Find(epoch);
  if (log == nullptr || log->late) return std::nullopt;
  return Seq(log->last.load());
}

void QueenHost::SendBulk(SessionId session, drone::BulkDown message) {
  auto bulk = bulk_.find(session);
  if (bulk == bulk_.end()) return;
  const Stream& stream = streams_.at(bulk->second);
  stream.connection->Send(
      Side::kQueen, [drone = stream.drone, id = bulk->second, message] { drone->HearBulk(id, message); });
}

void QueenHost::Send(const queen::effect::Send& e) {
  auto at = streams_.find(e.connection.value());
  if (at == streams_.end()) return;  // gone; the core hears of it by Disconnected
  const Stream& stream = at->second;
  std::string document;
  if (const auto* assign = std::get_if<queen::to_drone::Assign>(&e.message)) {
    document = absl::StrCat(assign->job.value(), ":", store_.documents.at(assign->job));
    world_.Note(14, "queen assigns job ", assign->job.value(), " as attempt ", assign->epoch.value(), " to ",
                stream.drone->name());
  }
  if (std::holds_alternative<queen::to_drone::Fenced>(e.message)) world_.Sometimes(Rare::stale_epoch_refused);
  if (const auto* cancel = std::get_if<queen::to_drone::Cancel>(&e.message)) {
    if (!canceled_.insert(cancel->epoch).second) world_.Sometimes(Rare::cancel_said_again);
  }
  if (const auto* grant = std::get_if<queen::to_drone::Grant>(&e.message)) {
    if (!granted_.insert(grant->epoch).second) world_.Sometimes(Rare::grant_said_again);
  }
  drone::ControlDown message = ToDrone(e.message, document);
  if (auto* welcome = std::get_if<drone::Welcome>(&message)) {
    oracle_.Heard(stream.peer);
    sessions_[welcome->session] = stream.drone;
    const auto& attempts = std::get<queen::to_drone::Welcome>(e.message).attempts;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      drone::Disposition& d = welcome->attempts[i];
      auto log = logs_->Find(d.epoch);
      const bool late = attempts[i].late.has_value();
      if (log != nullptr && log->late == late) d.acked = std::max(d.acked, Seq(log->durable.load()));
      oracle_.Acked(d.epoch, d.acked);
    }
  }
  stream.connection->Send(Side::kQueen, [drone = stream.drone, id = e.connection.value(), message] {
    drone->HearControl(id, message);
  });
}

void QueenHost::Perform(const queen::Effect& effect) {
  world_.NoteValue(1100, "queen", effect);
  if (const auto* send = std::get_if<queen::effect::Send>(&effect)) return Send(*send);
  if (const auto* e = std::get_if<queen::effect::Close>(&effect)) {
    const std::uint64_t id = e->connection.value();
    if (absl::IsAborted(e->status)) {
      world_.Sometimes(Rare::session_deposed);
      why_closed_[id] = Why::kDeposed;
    } else if (absl::IsFailedPrecondition(e->status) || absl::IsPermissionDenied(e->status)) {
      why_closed_[id] = Why::kRefused;
    }
    return CloseStream(id);
  }
  if (const auto* e = std::get_if<queen::effect::Answer>(&effect)) {
    auto asked = waiting_.find(e->request);
    if (asked == waiting_.end()) return;
    Done done = std::move(asked->second);
    waiting_.erase(asked);
    return done(&e->value);
  }
  if (const auto* e = std::get_if<queen::effect::OpenLog>(&effect)) {
    logs_->Post([this, e = *e] {
      logs_->OpenLog(e.epoch, e.session, e.late);
      oracle_.LogOpened(e.epoch, e.session);
    });
    return RunLogs();
  }
  if (const auto* e = std::get_if<queen::effect::SealLog>(&effect)) {
    if (e->at_least > 0) {
      awaited_.insert(e->epoch);
      world_.Sometimes(Rare::seal_awaited_records);
    } else if (awaited_.contains(e->epoch)) {
      world_.Sometimes(Rare::seal_gave_up_waiting);
    }
    oracle_.SealAsked(e->epoch);
    logs_->Post([this, e = *e] { logs_->Seal(e); });
    return RunLogs();
  }
  if (const auto* e = std::get_if<queen::effect::CloseLog>(&effect)) {
    logs_->Post([this, epoch = e->epoch] { logs_->CloseLog(epoch); });
    return RunLogs();
  }
  if (const auto* e = std::get_if<queen::effect::EndSession>(&effect)) {
    sessions_.erase(e->session);
    auto bulk = bulk_.find(e->session);
    if (bulk != bulk_.end()) CloseStream(bulk->second);
  }
}

}  // namespace waggle::sim
