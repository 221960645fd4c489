#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/journal/scan.h"
#include "proto/waggle_proto.h"
#include "queen/api/peer_check.h"
#include "queen/api/people.h"
#include "queen/api/unary.h"
#include "queen/api/watch_stream.h"
#include "queen/core/verdict.h"
#include "queen/logs/removal.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::queen {
namespace {

std::string Hex(const journal::Sha256& digest) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

class LogsService : public v1::Logs::CallbackService {
 public:
  explicit LogsService(const PeopleParts& parts) : parts_(parts) {}

  grpc::ServerWriteReactor<v1::WatchEvent>* Watch(grpc::CallbackServerContext* context,
                                                  const v1::WatchRequest* request) override {
    absl::Status admitted = parts_.check.Check(*context, PeerCheck::Who::kPeople);
    if (!admitted.ok()) return new Refusal<grpc::ServerWriteReactor<v1::WatchEvent>>(admitted);
    const Caller caller = parts_.check.CallerOf(*context);
    if (caller.local) return StartWatch(parts_.core, parts_.hub, *request, context, nullptr);
    return StartWatch(parts_.core, parts_.hub, *request, context, [&](std::function<void()> cut) {
      return parts_.access.book.OnRevoked(caller.key, std::move(cut));
    });
  }

  grpc::ServerUnaryReactor* Outline(grpc::CallbackServerContext* context, const v1::OutlineRequest* request,
                                    v1::OutlineResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    FinishOnWorker(parts_.workers, reactor, [this, request, response]() -> absl::Status {
      ASSIGN_OR_RETURN(AttemptRow attempt, FindAttempt(request->job(), request->attempt()));
      RETURN_IF_ERROR(CheckLogKept(attempt));
      RETURN_IF_ERROR(ReadOutline(attempt, response));
      return CheckStillKept(attempt);
    });
    return reactor;
  }

  grpc::ServerUnaryReactor* Verify(grpc::CallbackServerContext* context, const v1::VerifyRequest* request,
                                   v1::VerifyResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (Refused(parts_.check, *context, reactor)) return reactor;
    FinishOnWorker(parts_.workers, reactor, [this, request, response]() -> absl::Status {
      ASSIGN_OR_RETURN(AttemptRow attempt, FindAttempt(request->job(), request->attempt()));
      RETURN_IF_ERROR(CheckLogKept(attempt));
      const bool late = request->late();
      if (late && !attempt.late.known()) {
        return absl::NotFoundError(
            absl::StrCat("there is no late log of attempt ", attempt.number, " of job ", request->job()));
      }
      ASSIGN_OR_RETURN(journal::VerifyResult result,
                       late ? journal::VerifyBehind(parts_.logs.At(attempt.epoch), LastBeforeSeal(attempt),
                                                    parts_.logs.LateAt(attempt.epoch), attempt.epoch)
                            : journal::Verify(parts_.logs.At(attempt.epoch), attempt.epoch));
      // What the database remembers must agree too: a log cut off at a record border would look whole by
      // itself.
      const std::uint64_t stored = late ? attempt.late.last_seq : attempt.last_seq;
      if (result.complete && attempt.log_closed && result.records != stored) {
        result.complete = false;
        result.problem = absl::StrCat("the log has ", result.records, " records; ", stored, " were stored");
      }
      if (!result.complete) RETURN_IF_ERROR(CheckStillKept(attempt));
      response->set_has_late(attempt.late.known());
      response->set_complete(result.complete);
      response->set_problem(result.problem);
      response->set_records(result.records);
      response->set_stdout_bytes(result.out.bytes);
      response->set_stderr_bytes(result.err.bytes);
      response->set_stdout_digest(Hex(result.out.digest));
      response->set_stderr_digest(Hex(result.err.digest));
      response->set_attempt(attempt.number);
      return absl::OkStatus();
    });
    return reactor;
  }

 private:
  absl::StatusOr<AttemptRow> FindAttempt(std::uint64_t job, std::uint32_t number) {
    RETURN_IF_ERROR(parts_.store.GetJob(JobId(job)).status());
    ASSIGN_OR_RETURN(std::vector<AttemptRow> attempts, parts_.store.ListAttempts(JobId(job)));
    if (number == 0 && !attempts.empty()) return attempts.back();
    for (const AttemptRow& attempt : attempts) {
      if (attempt.number == number) return attempt;
    }
    if (attempts.empty())
      return absl::NotFoundError(absl::StrCat("job ", job, " has no attempt yet, so no log"));
    return absl::NotFoundError(
        absl::StrCat("job ", job, " has no attempt ", number, "; it has ", attempts.size()));
  }

  // It may have been removed while it was read.
  absl::Status CheckStillKept(const AttemptRow& attempt) {
    ASSIGN_OR_RETURN(AttemptRow now, parts_.store.GetAttempt(attempt.epoch));
    return CheckLogKept(now);
  }

  absl::Status ReadOutline(const AttemptRow& attempt, v1::OutlineResponse* response) {
    journal::LineCounter lines;
    std::map<std::uint32_t, v1::CommandRecord*> commands;
    auto visit = [&](const journal::RecordView& record, journal::Position) {
      std::uint64_t line = lines.Feed(record.header, record.payload);
      if (record.header.command == journal::kNoCommand) return;
      auto [at, fresh] = commands.try_emplace(record.header.command);
      if (fresh) at->second = response->add_commands();
      v1::CommandRecord* command = at->second;
      if (journal::IsOutput(record.header.kind)) {
        bool out = record.header.kind == journal::Kind::kStdout;
        if (out) command->set_stdout_bytes(command->stdout_bytes() + record.payload.size());
        if (!out) command->set_stderr_bytes(command->stderr_bytes() + record.payload.size());
        if (command->first_line() == 0) command->set_first_line(line);
        command->set_last_line(lines.lines());
        return;
      }
      v1::Fragment fragment;
      ToProto(record, 0, 0, &fragment);
      if (fragment.has_command_record()) MergeCommand(fragment.command_record(), command);
    };
    // A log that is still being written, or is damaged, shows what can be read; Verify tells the two apart.
    ASSIGN_OR_RETURN(journal::Tail tail, journal::Scan(parts_.logs.At(attempt.epoch), attempt.epoch, visit));
    static_cast<void>(tail);
    response->set_lines(lines.lines());
    return absl::OkStatus();
  }

  // The start says what it is, the end how it went.
  static void MergeCommand(const v1::CommandRecord& from, v1::CommandRecord* to) {
    bool start = from.started_at() != 0;
    if (start) {
      *to = from;
      return;
    }
    to->set_exit_code(from.exit_code());
    to->set_signal(from.signal());
    to->set_duration_ms(from.duration_ms());
    to->set_error(from.error());
  }

  const PeopleParts parts_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeLogsService(const PeopleParts& parts) {
  return std::make_unique<LogsService>(parts);
}

}  // namespace waggle::queen
