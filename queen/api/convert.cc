#include "queen/api/convert.h"

#include <grpcpp/support/status.h>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/journal/events.h"
#include "proto/waggle_proto.h"
#include "queen/core/said.h"

namespace waggle::queen {

grpc::Status ToGrpc(const absl::Status& status) {
  // Canonical codes are the same numbers in both.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

namespace {

// Protobuf refuses text that is not UTF-8, and with it the whole message: rows and records may hold anything.
std::string Line(std::string_view said) {
  return Presentable(said, limits::kReasonBytes);
}
std::string Text(std::string_view said) {
  return Presentable(said, limits::kRecordPayload, Shape::kText);
}

}  // namespace

namespace {

void ToProto(const Receipt& row, v1::Receipt* receipt) {
  receipt->set_processes_left(static_cast<std::uint32_t>(row.left));
  receipt->set_processes_killed(row.killed);
  receipt->set_kill_ms(row.took_ms);
}

void ToProto(const LateTruth& row, v1::LateTruth* late) {
  late->set_state(static_cast<v1::JobState>(row.state));
  late->set_reason(std::string(Name(row.reason)));
  late->set_detail(Text(row.detail));
  late->set_test_code(row.test_code);
  late->set_deploy_code(row.deploy_code);
  late->set_failed_code(row.failed_code);
  late->set_failed_step(Line(row.failed_step));
  late->set_finished_at(row.finished);
  late->set_arrived_at(row.arrived);
  late->set_last_seq(row.last_seq);
}

}  // namespace

void ToProto(const JobRow& row, v1::Job* job) {
  job->set_id(row.id.value());
  job->set_run(row.run.value());
  job->set_name(Line(row.name));
  job->set_type(static_cast<v1::JobType>(row.type));
  job->set_state(static_cast<v1::JobState>(row.state));
  job->set_reason(std::string(Name(row.reason)));
  job->set_detail(Text(row.detail));
  job->set_priority(row.priority);
  job->set_repo(Line(row.repo));
  job->set_branch(Line(row.branch));
  job->set_commit(Line(row.commit));
  job->set_attempt(row.attempts);
  job->set_created_at(row.times.created);
  job->set_queued_at(row.times.queued);
  job->set_received_at(row.times.received);
  job->set_started_at(row.times.started);
  job->set_finished_at(row.times.finished);
  job->set_duration_ms(row.duration_ms);
  job->set_test_code(row.test_code);
  job->set_deploy_code(row.deploy_code);
  job->set_failed_code(row.failed_code);
  job->set_failed_step(Line(row.failed_step));
  job->set_cancel_requested(row.cancel_requested);
  job->set_canceled_by(Line(row.canceled_by));
  job->set_drone(Line(row.drone_name));
  if (row.receipt.left >= 0) ToProto(row.receipt, job->mutable_receipt());
  if (row.late.known()) ToProto(row.late, job->mutable_late());
  for (JobId before : row.after) job->add_after(before.value());
  job->set_allow_failure(row.allow_failure);
  job->set_flaky(row.state == JobState::kPassed && row.failed_before > 0);
}

void ToProto(const RunRow& row, v1::Run* run) {
  run->set_id(row.id.value());
  run->set_name(Line(row.name));
  run->set_repo(Line(row.repo));
  run->set_branch(Line(row.branch));
  run->set_commit(Line(row.commit));
  run->set_event(Line(row.event));
  run->set_title(Line(row.title));
  run->set_by(Line(row.by));
  run->set_state(static_cast<v1::JobState>(row.state));
  run->set_verdict(static_cast<v1::JobState>(row.verdict));
  run->set_created_at(row.created);
  run->set_finished_at(row.finished);
  run->set_duration_ms(row.duration_ms);
}

void ToProto(const AttemptRow& row, v1::Attempt* attempt) {
  attempt->set_number(row.number);
  attempt->set_epoch(row.epoch.value());
  attempt->set_drone(Line(row.drone_name));
  attempt->set_state(static_cast<v1::JobState>(row.state));
  attempt->set_reason(std::string(Name(row.reason)));
  attempt->set_detail(Text(row.detail));
  attempt->set_assigned_at(row.times.created);
  attempt->set_received_at(row.times.received);
  attempt->set_started_at(row.times.started);
  attempt->set_finished_at(row.times.finished);
  attempt->set_test_code(row.test_code);
  attempt->set_deploy_code(row.deploy_code);
  attempt->set_last_seq(row.last_seq);
  attempt->set_failed_code(row.failed_code);
  attempt->set_failed_step(Line(row.failed_step));
  if (row.receipt.left >= 0) ToProto(row.receipt, attempt->mutable_receipt());
  if (row.late.known()) ToProto(row.late, attempt->mutable_late());
  attempt->set_late_awaited(row.late_awaited);
  attempt->set_log_removed_at(row.log_removed);
}

void ToProto(const DroneView& view, v1::Drone* drone) {
  drone->set_name(Line(view.row.name));
  const bool full = view.row.capacity > 0 && view.used >= view.row.capacity;
  const bool drained = view.row.drained != 0;
  const bool draining = drained || view.intake == Intake::kDraining;
  const bool paused = view.intake == Intake::kPaused;
  drone->set_state(!view.connected ? "lost"
                   : draining      ? "draining"
                   : paused        ? "paused"
                   : full          ? "busy"
                                   : "ready");
  drone->set_note(Line(drained ? view.row.drain_reason : view.intake_reason));
  drone->set_closed_until(drained ? view.row.drain_deadline : view.intake_until);
  drone->set_drained_at(view.row.drained);
  drone->set_drained_by(Line(view.row.drained_by));
  drone->set_host(Line(view.row.host));
  drone->set_version(Line(view.row.version));
  drone->set_speed(view.row.speed);
  drone->set_capacity(view.row.capacity);
  drone->set_used(view.used);
  for (const auto& [label, value] : view.row.labels) (*drone->mutable_labels())[Line(label)] = Line(value);
  for (const auto& [name, version] : view.row.plugins)
    drone->add_plugins(Line(absl::StrCat(name, "@", version)));
  for (JobId job : view.jobs) drone->add_jobs(job.value());
  for (Epoch epoch : view.forgotten) drone->add_forgotten(epoch.value());
  drone->set_connected_at(view.connected_at);
  drone->set_last_seen_at(view.row.last_seen);
  drone->set_load1(view.vitals.load1);
  drone->set_memory_free_kib(view.vitals.memory_free_kib);
  drone->set_disk_free_kib(view.vitals.disk_free_kib);
}

namespace {

std::int64_t Millis(std::uint64_t nanos) {
  return static_cast<std::int64_t>(nanos / 1'000'000);
}

void FillCommand(const journal::RecordView& record, v1::CommandRecord* command) {
  command->set_number(record.header.command);
  command->set_phase(static_cast<v1::Phase>(record.header.phase));
  if (record.header.kind == journal::Kind::kCommandStart) {
    if (auto start = journal::DecodeCommandStart(record.payload)) {
      command->set_name(Line(start->name));
      command->set_display(Text(start->display));
      command->set_plugin(Line(start->plugin));
      command->set_started_at(start->wall);
    }
    command->set_exit_code(-1);
  } else if (auto end = journal::DecodeCommandEnd(record.payload)) {
    command->set_exit_code(end->exit_code);
    command->set_signal(end->signal);
    command->set_duration_ms(Millis(end->duration_nanos));
    command->set_error(Text(end->error));
  }
}

void FillEvent(const journal::RecordView& record, v1::Fragment* fragment) {
  switch (record.header.kind) {
    case journal::Kind::kCommandStart:
    case journal::Kind::kCommandEnd:
      FillCommand(record, fragment->mutable_command_record());
      break;
    case journal::Kind::kPhase:
      if (auto event = journal::DecodePhaseEvent(record.payload)) {
        v1::PhaseRecord* phase = fragment->mutable_phase_record();
        phase->set_phase(static_cast<v1::Phase>(record.header.phase));
        phase->set_end(event->end);
        phase->set_code(event->code);
        phase->set_next(Line(event->next));
        phase->set_ran_nothing(event->ran_nothing);
      }
      break;
    case journal::Kind::kWarning:
      if (auto event = journal::DecodeWarning(record.payload)) {
        v1::WarningRecord* warning = fragment->mutable_warning();
        warning->set_plugin(Line(event->plugin));
        warning->set_title(Line(event->title));
        warning->set_description(Text(event->description));
        warning->set_major(event->major);
      }
      break;
    case journal::Kind::kPlugin:
      if (auto event = journal::DecodePluginEvent(record.payload)) fragment->set_data(Text(event->json));
      break;
    case journal::Kind::kMarker:
      if (auto event = journal::DecodeGap(record.payload)) {
        fragment->mutable_gap()->set_missing_bytes(event->missing_bytes);
        fragment->mutable_gap()->set_reason(Text(event->reason));
        fragment->mutable_gap()->set_stream(static_cast<v1::Fragment::Kind>(event->stream));
      }
      break;
    case journal::Kind::kFinal:
      break;  // what it says comes with the job
    default:
      fragment->set_data(record.payload.data(), record.payload.size());
  }
}

}  // namespace

void ToProto(const journal::RecordView& record, std::uint64_t line, std::int64_t first_boot_nanos,
             v1::Fragment* fragment) {
  const journal::RecordHeader& header = record.header;
  fragment->set_seq(header.seq.value());
  fragment->set_kind(static_cast<v1::Fragment::Kind>(header.kind));
  fragment->set_phase(static_cast<v1::Phase>(header.phase));
  fragment->set_command(header.command == journal::kNoCommand ? -1
                                                              : static_cast<std::int64_t>(header.command));
  fragment->set_line(line);
  fragment->set_offset(header.offset);
  fragment->set_elapsed_ms(journal::NanosBetween(first_boot_nanos, header.boot_nanos) / 1'000'000);
  FillEvent(record, fragment);
}

}  // namespace waggle::queen
