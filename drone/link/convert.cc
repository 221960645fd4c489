#include "drone/link/convert.h"

#include <stdlib.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/wire/enums.h"
#include "waggle/v1/hive.pb.h"

namespace waggle::drone {

std::string ValidText(std::string text) {
  while (auto bad = FindBadByte(text, false)) text[bad->offset] = '?';
  return text;
}

void ToProto(const Held& held, v1::HeldAttempt* out) {
  out->set_epoch(held.epoch.value());
  out->set_state(static_cast<v1::HeldAttempt::State>(held.state));
  out->set_last_seq(held.last.value());
  out->set_phase(wire::ToProto(held.phase));
  out->set_wants_grant(held.wants_grant);
  out->set_counter(held.counter);
  out->set_received_at(held.received);
  out->set_started_at(held.started);
  out->set_finished_at(held.finished);
  out->set_test_code(held.test_code);
  out->set_deploy_code(held.deploy_code);
  if (held.state != HeldState::kLost) return;
  out->mutable_lost()->set_detail(ValidText(held.detail));
  out->mutable_lost()->set_trimmed(held.trimmed);
  out->mutable_lost()->set_handed_back(held.handed_back);
}

namespace {

void Fill(const Info& info, v1::Info* out) {
  out->set_speed(info.speed);
  out->set_capacity(info.capacity);
  out->set_intake(static_cast<v1::Info::Intake>(info.intake));
  out->set_intake_reason(ValidText(info.intake_reason));
  out->set_intake_until(info.intake_until);
  for (const auto& [name, value] : info.labels) (*out->mutable_labels())[ValidText(name)] = ValidText(value);
  for (const auto& [name, version] : info.plugins) {
    v1::PluginVersion* plugin = out->add_plugins();
    plugin->set_name(ValidText(name));
    plugin->set_version(ValidText(version));
  }
}

Duration Millis(std::int64_t ms) {
  // A queen's mistake must not overflow a duration; the core bounds it further.
  constexpr std::int64_t kMost = std::int64_t{1000} * 60 * 60 * 24 * 365;
  return std::chrono::milliseconds(ms < 0 ? 0 : ms > kMost ? kMost : ms);
}

// Shown to the people of this host as it is.
std::string Shown(std::string text) {
  text.resize(std::min(text.size(), limits::kReasonBytes));
  while (auto bad = FindBadByte(text, true)) text[bad->offset] = '?';
  return text;
}

Drain ToDrain(const v1::Drain& in) {
  return {in.on(), Shown(in.by()), Shown(in.reason()), std::max<std::int64_t>(0, in.deadline()),
          in.hand_back()};
}

Welcome ToWelcome(const v1::Welcome& in) {
  Welcome out;
  out.protocol = in.protocol();
  out.session = SessionId(in.session());
  out.lease = Millis(in.lease_ms());
  out.heartbeat_busy = Millis(in.heartbeat_busy_ms());
  out.heartbeat_idle = Millis(in.heartbeat_idle_ms());
  for (const v1::Disposition& d : in.attempts()) {
    Disposition disposition;
    disposition.epoch = Epoch(d.epoch());
    const int action = d.action();
    // What a newer queen says and we do not understand must never cost an attempt: keep it.
    disposition.action = action >= v1::Disposition::CONTINUE && action <= v1::Disposition::UNKNOWN
                             ? static_cast<Disposition::Action>(action)
                             : Disposition::Action::kUnknown;
    disposition.acked = Seq(d.acked_seq());
    disposition.cancel = d.cancel();
    disposition.granted = d.granted();
    out.attempts.push_back(disposition);
  }
  if (in.has_drain()) out.drain = ToDrain(in.drain());
  return out;
}

struct Filler {
  const Vitals& vitals;
  v1::FromDrone* out;

  void operator()(const Hello& m) const { ToProto(m, out->mutable_hello()); }
  void operator()(const Info& m) const { Fill(m, out->mutable_info()); }
  void operator()(const Heartbeat& m) const {
    v1::Heartbeat* beat = out->mutable_heartbeat();
    beat->set_nonce(m.nonce);
    beat->set_running(m.running);
    beat->set_load1(vitals.load1);
    beat->set_memory_free_kib(vitals.memory_free_kib);
    beat->set_disk_free_kib(vitals.disk_free_kib);
  }
  void operator()(const Accept& m) const {
    out->mutable_accept()->set_epoch(m.epoch.value());
    out->mutable_accept()->set_received_at(m.received);
  }
  void operator()(const Reject& m) const {
    out->mutable_reject()->set_epoch(m.epoch.value());
    out->mutable_reject()->set_reason(ValidText(m.reason));
    out->mutable_reject()->set_withdrawn(m.withdrawn);
  }
  void operator()(const Held& m) const { ToProto(m, out->mutable_status()->mutable_attempt()); }
  void operator()(const ShimLost& m) const {
    out->mutable_shim_lost()->set_epoch(m.epoch.value());
    out->mutable_shim_lost()->set_last_seq(m.last.value());
    out->mutable_shim_lost()->set_detail(ValidText(m.detail));
    out->mutable_shim_lost()->set_trimmed(m.trimmed);
    out->mutable_shim_lost()->set_handed_back(m.handed_back);
  }
};

}  // namespace

Vitals ReadVitals(const std::string& data) {
  Vitals vitals;
  double load = 0;
  if (::getloadavg(&load, 1) == 1) vitals.load1 = load;
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %llu kB", &kib) == 1) vitals.memory_free_kib = kib;
  }
  struct statvfs disk;
  if (::statvfs(data.c_str(), &disk) == 0) {
    vitals.disk_free_kib = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize / 1024;
  }
  return vitals;
}

void ToProto(const Hello& hello, v1::Hello* out) {
  out->set_highest_epoch(hello.highest_epoch.value());
  out->set_said_at(static_cast<std::uint64_t>(hello.said_at.time_since_epoch().count()));
  Fill(hello.info, out->mutable_info());
  for (const Held& held : hello.attempts) ToProto(held, out->add_attempts());
}

void ToProto(const ControlUp& message, const Vitals& vitals, v1::FromDrone* out) {
  std::visit(Filler{vitals, out}, message);
}

std::optional<ControlDown> FromProto(v1::FromQueen& message, WallMillis received) {
  switch (message.message_case()) {
    case v1::FromQueen::kWelcome:
      return ToWelcome(message.welcome());
    case v1::FromQueen::kAssign: {
      v1::Assign& assign = *message.mutable_assign();
      // No queen gives these numbers, and none would take a Hello with them again.
      constexpr std::uint64_t kHighestEpoch = std::uint64_t{1} << 62;
      if (assign.epoch() == 0 || assign.epoch() > kHighestEpoch) return std::nullopt;
      return Assign{Epoch(assign.epoch()), assign.attempt(), std::move(*assign.mutable_document()), received};
    }
    case v1::FromQueen::kCancel: {
      const v1::Cancel& cancel = message.cancel();
      return Cancel{Epoch(cancel.epoch()), cancel.by(), cancel.reason(), cancel.now()};
    }
    case v1::FromQueen::kGrant:
      return Grant{Epoch(message.grant().epoch())};
    case v1::FromQueen::kHeartbeatAck:
      return HeartbeatAck{message.heartbeat_ack().nonce()};
    case v1::FromQueen::kVerdict:
      return Verdict{Epoch(message.verdict().epoch()),
                     wire::FromProto(message.verdict().state()).value_or(JobState::kErrored)};
    case v1::FromQueen::kQueryInfo:
      return QueryInfo{};
    case v1::FromQueen::kForget:
      return Forget{Epoch(message.forget().epoch())};
    case v1::FromQueen::kFenced:
      return Fenced{Epoch(message.fenced().epoch())};
    case v1::FromQueen::kDrain:
      return ToDrain(message.drain());
    case v1::FromQueen::MESSAGE_NOT_SET:
      break;
  }
  return std::nullopt;
}

std::optional<BulkDown> FromProto(const v1::BulkDown& message) {
  switch (message.message_case()) {
    case v1::BulkDown::kAck:
      return Ack{Epoch(message.ack().epoch()), Seq(message.ack().seq())};
    case v1::BulkDown::kResumeFrom:
      return ResumeFrom{Epoch(message.resume_from().epoch()), Seq(message.resume_from().seq())};
    case v1::BulkDown::kFenced:
      return Fenced{Epoch(message.fenced().epoch())};
    case v1::BulkDown::MESSAGE_NOT_SET:
      break;
  }
  return std::nullopt;
}

}  // namespace waggle::drone
