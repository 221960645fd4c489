#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/vocabulary.h"
#include "common/journal/record.h"
#include "common/journal/stream_digest.h"

// Payloads of the records that are not plain output. Each starts with one version byte (1); a decoder ignores
// bytes after the fields it knows, so fields are only ever added at the end. Decode gives nullopt for a
// damaged payload.
namespace waggle::journal {

struct CommandStart {
  std::string name;     // step name; may be empty
  std::string display;  // what people may see: the screened text if given, else the command
  std::string plugin;   // empty for the job's own commands
  bool silent = false;  // output withheld
  WallMillis wall = 0;
};

struct CommandEnd {
  std::int32_t exit_code = -1;  // 0…255; 128 + signal when it died by one; 127 not found, 126 not executable
  std::int32_t signal = 0;      // 0 = exited
  std::uint64_t duration_nanos = 0;
  std::uint64_t user_micros = 0, system_micros = 0, max_rss_kib = 0;
  std::string error;  // why it could not start or was ended; empty otherwise
  WallMillis wall = 0;
};

struct PhaseEvent {
  bool end = false;          // false: the phase starts
  std::int32_t code = 0;     // at its end: exit code of the first failed command, 0 = ok
  std::string next;          // at its end: name of the next phase that will run, "" after cleanup
  bool ran_nothing = false;  // at its end: no command was in it
  WallMillis wall = 0;
};

struct Warning {
  std::string plugin, title, description;
  bool major = false;
};

// What a plugin told about the attempt: one call of `data` (drone/plugins/README.md).
struct PluginEvent {
  std::string plugin;
  std::string json;  // {"plugin":…,"method":…,"path":…,"value":…}
};

struct Gap {
  std::uint64_t missing_bytes = 0;
  std::string reason;
  Kind stream = Kind::kStdout;  // of which of the two
};

inline constexpr std::uint32_t kNobodyCounted = 0xFFFF'FFFF;

// What ended an attempt, its whole truth in one record.
struct Final {
  Seq last;              // its own sequence number
  StreamTotal out, err;  // bytes and digest of each stream
  std::int32_t test_code =
      -1;  // exit code of the environment, prepare and test phases together; -1 = never ran
  std::int32_t deploy_code = -1;
  std::int32_t failed_code = 0;   // code of the first failed command; 0 = none
  Reason reason = Reason::kNone;  // kNone: the commands decided
  std::string detail;             // one sentence for people when reason is set
  std::string failed_step;        // "test/unit" of the first failed command
  // Receipt of the process tree. Left: they outlived KILL; kNobodyCounted in a final that no shim wrote.
  std::uint32_t processes_left = 0, processes_killed = 0;
  std::uint64_t user_micros = 0, system_micros = 0, max_rss_kib = 0;
  std::uint64_t kill_nanos = 0;  // from the first signal of the end to the empty tree
  WallMillis started = 0, finished = 0;
};

std::string Encode(const CommandStart&);
std::string Encode(const CommandEnd&);
std::string Encode(const PhaseEvent&);
std::string Encode(const Warning&);
std::string Encode(const PluginEvent&);
std::string Encode(const Gap&);
std::string Encode(const Final&);
std::optional<CommandStart> DecodeCommandStart(std::string_view payload);
std::optional<CommandEnd> DecodeCommandEnd(std::string_view payload);
std::optional<PhaseEvent> DecodePhaseEvent(std::string_view payload);
std::optional<Warning> DecodeWarning(std::string_view payload);
std::optional<PluginEvent> DecodePluginEvent(std::string_view payload);
std::optional<Gap> DecodeGap(std::string_view payload);
std::optional<Final> DecodeFinal(std::string_view payload);

}  // namespace waggle::journal
