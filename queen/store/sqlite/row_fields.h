#pragma once

#include "queen/core/rows.h"

// Which column holds which field: the one list per table that writing, reading and the SQL texts are made
// from. `Row` may be const; kNoun is what people call it. The first column is the key.
namespace waggle::queen::sqlite {

template <typename Visitor, typename Times>
void TimesFields(Visitor& v, Times& t) {
  v("created", t.created);
  v("queued", t.queued);
  v("received", t.received);
  v("started", t.started);
  v("finished", t.finished);
}

template <typename Visitor, typename R>
void ReceiptFields(Visitor& v, R& r) {
  v("processes_left", r.left);
  v("processes_killed", r.killed);
  v("kill_ms", r.took_ms);
}

template <typename Visitor, typename R>
void LateFields(Visitor& v, R& r) {
  v("late_state", r.state);
  v("late_reason", r.reason);
  v("late_detail", r.detail);
  v("late_test_code", r.test_code);
  v("late_deploy_code", r.deploy_code);
  v("late_failed_code", r.failed_code);
  v("late_failed_step", r.failed_step);
  v("late_finished", r.finished);
  v("late_arrived", r.arrived);
  v("late_last_seq", r.last_seq);
}

struct JobTable {
  using Row = JobRow;
  static constexpr const char* kName = "jobs";
  static constexpr const char* kNoun = "job";
  static constexpr const char* kKey = "id";
  template <typename Visitor, typename R>
  static void Fields(Visitor& v, R& r) {
    v("id", r.id);
    v("run", r.run);
    v("name", r.name);
    v("type", r.type);
    v("state", r.state);
    v("reason", r.reason);
    v("detail", r.detail);
    v("priority", r.priority);
    v("needs", r.needs);
    v("plugins", r.plugins);
    v("local_only", r.local_only);
    v("repo", r.repo);
    v("branch", r.branch);
    v("revision", r.commit);
    v("attempt", r.attempt);
    v("drone_name", r.drone_name);
    v("attempts", r.attempts);
    v("excused", r.excused);
    TimesFields(v, r.times);
    v("duration_ms", r.duration_ms);
    v("test_code", r.test_code);
    v("deploy_code", r.deploy_code);
    v("failed_code", r.failed_code);
    v("failed_step", r.failed_step);
    v("cancel_requested", r.cancel_requested);
    v("cancel_now", r.cancel_now);
    v("canceled_by", r.canceled_by);
    v("cancel_reason", r.cancel_reason);
    ReceiptFields(v, r.receipt);
    LateFields(v, r.late);
    v("waits_for", r.after);
    v("runs_after", r.runs_after);
    v("allow_failure", r.allow_failure);
    v("not_wanted", r.not_wanted);
    v("retry_infra", r.retry_infra);
    v("retry_failed", r.retry_failed);
    v("failed_before", r.failed_before);
    v("retried", r.retried);
  }
};

struct AttemptTable {
  using Row = AttemptRow;
  static constexpr const char* kName = "attempts";
  static constexpr const char* kNoun = "attempt of epoch";
  static constexpr const char* kKey = "epoch";
  // Inserted with the row and never changed by writing it again: a log that was deleted stays so.
  static constexpr const char* kKept = "log_removed";
  template <typename Visitor, typename R>
  static void Fields(Visitor& v, R& r) {
    v("epoch", r.epoch);
    v("job", r.job);
    v("number", r.number);
    v("drone", r.drone);
    v("drone_name", r.drone_name);
    v("state", r.state);
    v("reason", r.reason);
    v("detail", r.detail);
    v("granted", r.granted);
    v("log_closed", r.log_closed);
    v("counter", r.counter);
    TimesFields(v, r.times);
    v("test_code", r.test_code);
    v("deploy_code", r.deploy_code);
    v("failed_code", r.failed_code);
    v("failed_step", r.failed_step);
    v("last_seq", r.last_seq);
    ReceiptFields(v, r.receipt);
    LateFields(v, r.late);
    v("late_awaited", r.late_awaited);
    v("log_ended", r.log_ended);
    v(kKept, r.log_removed);
  }
};

struct DroneTable {
  using Row = DroneRow;
  static constexpr const char* kName = "drones";
  static constexpr const char* kNoun = "drone";
  static constexpr const char* kKey = "id";
  template <typename Visitor, typename R>
  static void Fields(Visitor& v, R& r) {
    v("id", r.id);
    v("identity", r.identity);
    v("name", r.name);
    v("host", r.host);
    v("version", r.version);
    v("speed", r.speed);
    v("capacity", r.capacity);
    v("labels", r.labels);
    v("plugins", r.plugins);
    v("last_seen", r.last_seen);
    v("session", r.session);
    v("drained", r.drained);
    v("drained_by", r.drained_by);
    v("drain_reason", r.drain_reason);
    v("drain_deadline", r.drain_deadline);
  }
};

struct RunTable {
  using Row = RunRow;
  static constexpr const char* kName = "runs";
  static constexpr const char* kNoun = "run";
  static constexpr const char* kKey = "id";
  template <typename Visitor, typename R>
  static void Fields(Visitor& v, R& r) {
    v("id", r.id);
    v("repo", r.repo);
    v("branch", r.branch);
    v("revision", r.commit);
    v("created", r.created);
    v("name", r.name);
    v("event", r.event);
    v("title", r.title);
    v("submitted_by", r.by);
    v("state", r.state);
    v("verdict", r.verdict);
    v("finished", r.finished);
    v("duration_ms", r.duration_ms);
    v("fast_finish", r.fast_finish);
  }
};

struct PeerTable {
  using Row = PeerRow;
  static constexpr const char* kName = "peers";
  static constexpr const char* kNoun = "peer";
  static constexpr const char* kKey = "id";
  template <typename Visitor, typename R>
  static void Fields(Visitor& v, R& r) {
    v("id", r.id);
    v("key", r.key);
    v("kind", r.kind);
    v("name", r.name);
    v("labels", r.labels);
    v("enrolled", r.enrolled);
    v("revoked", r.revoked);
  }
};

struct InvitationTable {
  using Row = InvitationRow;
  static constexpr const char* kName = "invitations";
  static constexpr const char* kNoun = "invitation";
  static constexpr const char* kKey = "id";
  template <typename Visitor, typename R>
  static void Fields(Visitor& v, R& r) {
    v("id", r.id);
    v("hash", r.hash);
    v("kind", r.kind);
    v("name", r.name);
    v("labels", r.labels);
    v("created", r.created);
    v("expires", r.expires);
    v("used", r.used);
    v("used_by", r.used_by);
  }
};

struct RestoreTable {
  using Row = RestoreRow;
  static constexpr const char* kName = "restores";
  static constexpr const char* kNoun = "restore";
  static constexpr const char* kKey = "first_epoch";
  template <typename Visitor, typename R>
  static void Fields(Visitor& v, R& r) {
    v("first_epoch", r.first);
    v("last_epoch", r.last);
    v("begun", r.begun);
  }
};

// A table of one row, so that a commit writes all counters with one statement.
struct CountersRow {
  JobId id{1};
  Counters counters;
};

struct CountersTable {
  using Row = CountersRow;
  static constexpr const char* kName = "counters";
  static constexpr const char* kNoun = "counters row";
  static constexpr const char* kKey = "id";
  template <typename Visitor, typename R>
  static void Fields(Visitor& v, R& r) {
    v("id", r.id);
    v("job", r.counters.job);
    v("run", r.counters.run);
    v("drone", r.counters.drone);
    v("epoch", r.counters.epoch);
    v("session", r.counters.session);
    v("peer", r.counters.peer);
  }
};

}  // namespace waggle::queen::sqlite
