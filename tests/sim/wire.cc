#include "tests/sim/wire.h"

namespace waggle::sim {
namespace {

queen::HeldAttempt ToQueen(const drone::Held& held) {
  queen::HeldAttempt out;
  out.epoch = held.epoch;
  out.state = static_cast<queen::HeldState>(held.state);
  out.last_seq = held.last.value();
  out.wants_grant = held.wants_grant;
  out.counter = held.counter;
  out.received = held.received;
  out.started = held.started;
  out.finished = held.finished;
  out.test_code = held.test_code;
  out.deploy_code = held.deploy_code;
  out.detail = held.detail;
  out.trimmed = held.trimmed;
  out.handed_back = held.handed_back;
  return out;
}

queen::DroneInfo ToQueen(const drone::Info& info) {
  return {.speed = info.speed,
          .capacity = info.capacity,
          .labels = info.labels,
          .intake = static_cast<queen::Intake>(info.intake),
          .intake_reason = info.intake_reason,
          .intake_until = info.intake_until};
}

struct Up {
  queen::ConnectionId connection;
  const Peer& peer;

  queen::Event operator()(const drone::Hello& m) const {
    queen::event::Hello hello{connection, peer.identity, peer.name, "host of " + peer.name, "1", peer.local};
    hello.highest_epoch = m.highest_epoch;
    hello.place = peer.place;
    hello.said_at = static_cast<std::uint64_t>(m.said_at.time_since_epoch().count());
    hello.info = ToQueen(m.info);
    for (const drone::Held& held : m.attempts) hello.attempts.push_back(ToQueen(held));
    return hello;
  }
  queen::Event operator()(const drone::Info& m) const { return queen::event::Info{connection, ToQueen(m)}; }
  queen::Event operator()(const drone::Heartbeat& m) const {
    return queen::event::Heartbeat{connection, m.nonce, {}, m.running};
  }
  queen::Event operator()(const drone::Accept& m) const {
    return queen::event::Accept{connection, m.epoch, m.received};
  }
  queen::Event operator()(const drone::Reject& m) const {
    return queen::event::Reject{connection, m.epoch, m.reason, m.withdrawn};
  }
  queen::Event operator()(const drone::Held& m) const { return queen::event::Status{connection, ToQueen(m)}; }
  queen::Event operator()(const drone::ShimLost& m) const {
    return queen::event::ShimLost{connection, m.epoch, m.last.value(), m.detail, m.trimmed, m.handed_back};
  }
};

drone::Drain ToDrone(const queen::to_drone::Drain& m) {
  return {m.on, m.by, m.reason, m.deadline, m.hand_back};
}

struct Down {
  const std::string& document;

  drone::ControlDown operator()(const queen::to_drone::Welcome& m) const {
    drone::Welcome welcome{1, m.session, {}, {}, {}, {}, {}};
    if (m.drain) welcome.drain = ToDrone(*m.drain);
    for (const queen::Disposition& d : m.attempts) {
      welcome.attempts.push_back({d.epoch, static_cast<drone::Disposition::Action>(d.action),
                                  d.late.value_or(Seq()), d.cancel, d.granted});
    }
    return welcome;
  }
  drone::ControlDown operator()(const queen::to_drone::Assign& m) const {
    return drone::Assign{m.epoch, m.attempt, document, 0};
  }
  drone::ControlDown operator()(const queen::to_drone::Cancel& m) const {
    return drone::Cancel{m.epoch, m.by, m.reason, m.now};
  }
  drone::ControlDown operator()(const queen::to_drone::Grant& m) const { return drone::Grant{m.epoch}; }
  drone::ControlDown operator()(const queen::to_drone::HeartbeatAck& m) const {
    return drone::HeartbeatAck{m.nonce};
  }
  drone::ControlDown operator()(const queen::to_drone::Verdict& m) const {
    return drone::Verdict{m.epoch, m.state};
  }
  drone::ControlDown operator()(const queen::to_drone::Forget& m) const { return drone::Forget{m.epoch}; }
  drone::ControlDown operator()(const queen::to_drone::Fenced& m) const { return drone::Fenced{m.epoch}; }
  drone::ControlDown operator()(const queen::to_drone::Drain& m) const { return ToDrone(m); }
};

}  // namespace

queen::Event ToQueen(const drone::ControlUp& message, queen::ConnectionId connection, const Peer& peer) {
  return std::visit(Up{connection, peer}, message);
}

drone::ControlDown ToDrone(const queen::ToDrone& message, const std::string& document) {
  return std::visit(Down{document}, message);
}

}  // namespace waggle::sim
