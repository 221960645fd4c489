#include <algorithm>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "common/pipeline/job_spec.h"

namespace waggle::pipeline {
namespace {

// Bounds of job.proto that belong to a document alone.
constexpr std::size_t kUrlBytes = 2 * limits::kKiB;
constexpr std::size_t kSshKeyBytes = 16 * limits::kKiB;
constexpr std::size_t kTextBytes = limits::kReasonBytes;
constexpr std::size_t kPlugins = 64;
constexpr std::size_t kSecrets = 64;
constexpr std::size_t kCommitDigits = 40;
// The kernel takes at most 128 KiB in one argument or one NAME=VALUE, its NUL included.
constexpr std::size_t kArgumentBytes = 128 * limits::kKiB - 1;

template <typename... Parts>
absl::Status Bad(std::string_view field, const Parts&... parts) {
  return absl::InvalidArgumentError(
      absl::StrCat(absl::string_view(field.data(), field.size()), ": ", parts...));
}

// Any text: valid UTF-8 without NUL, within `max` bytes.
absl::Status CheckText(std::string_view field, std::string_view value, std::size_t max) {
  if (value.size() > max) return Bad(field, value.size(), " bytes; at most ", max);
  if (auto bad = FindBadByte(value, false)) {
    return Bad(field, std::string(bad->why), " at byte ", bad->offset);
  }
  return absl::OkStatus();
}

// One line that is shown in tables and terminals: no control characters at all.
absl::Status CheckLine(std::string_view field, std::string_view value, std::size_t max = limits::kNameBytes) {
  RETURN_IF_ERROR(CheckText(field, value, max));
  auto bad = FindBadByte(value, true);
  std::size_t at = std::min(value.find_first_of("\t\n\r"), bad ? bad->offset : std::string_view::npos);
  if (at != std::string_view::npos) return Bad(field, "a control character at byte ", at);
  return absl::OkStatus();
}

bool HasScheme(std::string_view url) {
  for (std::string_view scheme : {"https://", "http://", "ssh://", "git://"}) {
    if (url.substr(0, scheme.size()) == scheme && url.size() > scheme.size()) return true;
  }
  return false;
}

// user@host:path, the short form of ssh.
bool IsScpLike(std::string_view url) {
  const std::size_t at = url.find('@');
  const std::size_t colon = url.find(':', at == std::string_view::npos ? 0 : at);
  return at != std::string_view::npos && at > 0 && colon != std::string_view::npos && colon > at + 1 &&
         colon + 1 < url.size() && url.substr(0, colon).find('/') == std::string_view::npos;
}

absl::Status CheckRepo(const Repo& repo) {
  RETURN_IF_ERROR(CheckLine("repo.url", repo.url, kUrlBytes));
  RETURN_IF_ERROR(CheckLine("repo.provider", repo.provider));
  const bool has_auth = !std::holds_alternative<std::monostate>(repo.auth);
  if (repo.url.empty()) {
    if (has_auth) return Bad("repo.url", "empty, but credentials are given");
    return absl::OkStatus();
  }
  if (repo.vcs != "git" && repo.vcs != "hg") {
    return Bad("repo.vcs", Quoted(repo.vcs), " is not known; write git or hg");
  }
  // The address itself stays out of messages: it may hold a password.
  if (repo.url.front() == '-' || repo.url.find(' ') != std::string::npos ||
      !(repo.IsLocal() || HasScheme(repo.url) || IsScpLike(repo.url))) {
    return Bad("repo.url", "write https://, http://, ssh://, git://, user@host:path or an absolute path");
  }
  if (const auto* https = std::get_if<HttpsAuth>(&repo.auth)) {
    RETURN_IF_ERROR(CheckLine("repo.https.user", https->username, kTextBytes));
    RETURN_IF_ERROR(CheckLine("repo.https.password", https->password, kTextBytes));
    if (repo.url.substr(0, 4) != "http") return Bad("repo.https", "needs an https:// or http:// url");
  }
  if (const auto* ssh = std::get_if<SshAuth>(&repo.auth)) {
    RETURN_IF_ERROR(CheckText("repo.ssh.key", ssh->private_key, kSshKeyBytes));
    if (repo.url.substr(0, 6) != "ssh://" && !IsScpLike(repo.url)) {
      return Bad("repo.ssh", "needs an ssh:// or user@host:path url");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRef(const Ref& ref, bool has_repo) {
  RETURN_IF_ERROR(CheckLine("ref.branch", ref.branch, limits::kLabelBytes));
  RETURN_IF_ERROR(CheckLine("ref.fetch", ref.fetch, 2 * limits::kLabelBytes));
  const bool any = !ref.branch.empty() || !ref.id.empty() || !ref.fetch.empty();
  if (!has_repo) return any ? Bad("ref", "given without repo.url") : absl::OkStatus();
  if (!any) return Bad("ref", "missing: write ref.branch, ref.id or ref.fetch");
  if (!ref.fetch.empty() && (!ref.branch.empty() || !ref.id.empty())) {
    return Bad("ref.fetch", "stands instead of ref.branch and ref.id; give one or the other");
  }
  // Never an option of some program, never two words.
  for (const auto& [field, value] : {std::pair{"ref.branch", &ref.branch}, {"ref.fetch", &ref.fetch}}) {
    if (!value->empty() && (value->front() == '-' || value->find(' ') != std::string::npos)) {
      return Bad(field, Quoted(*value), " starts with `-` or has a space in it");
    }
  }
  if (!ref.id.empty() &&
      (ref.id.size() != kCommitDigits || !std::all_of(ref.id.begin(), ref.id.end(), absl::ascii_isxdigit))) {
    return Bad("ref.id", Quoted(ref.id), " is not a commit of ", kCommitDigits, " hex digits");
  }
  return absl::OkStatus();
}

absl::Status CheckTrigger(const Trigger& trigger) {
  const Author& author = trigger.author;
  RETURN_IF_ERROR(CheckLine("trigger.type", trigger.type));
  RETURN_IF_ERROR(CheckLine("trigger.author.id", author.id));
  RETURN_IF_ERROR(CheckLine("trigger.author.url", author.url, kUrlBytes));
  RETURN_IF_ERROR(CheckLine("trigger.author.name", author.name));
  RETURN_IF_ERROR(CheckLine("trigger.author.email", author.email, limits::kLabelBytes));
  RETURN_IF_ERROR(CheckLine("trigger.author.image", author.image, kUrlBytes));
  RETURN_IF_ERROR(CheckLine("trigger.author.username", author.username));
  RETURN_IF_ERROR(CheckText("trigger.message", trigger.message, kTextBytes));
  RETURN_IF_ERROR(CheckLine("trigger.url", trigger.url, kUrlBytes));
  RETURN_IF_ERROR(CheckLine("trigger.source", trigger.source_name));
  if (trigger.type.empty()) return Bad("trigger.type", "empty; write manual, commit, pull-request, …");
  if (trigger.timestamp <= 0) {
    return Bad("trigger.timestamp", trigger.timestamp,
               " is no time; it is required: milliseconds since 1970-01-01 UTC");
  }
  const std::string& kind = trigger.source_kind;
  if (!kind.empty() && kind != "UI" && kind != "API" && kind != "plugin") {
    return Bad("trigger.source", Quoted(kind), " is not known; write UI, API or plugin");
  }
  return absl::OkStatus();
}

absl::Status BadVariable(std::string_view field, std::string_view name) {
  return Bad(field, Quoted(name), " is no variable name: letters, digits and _, at most ", limits::kNameBytes,
             ", no digit first");
}

absl::Status CheckSecrets(const std::string& field, const std::vector<std::string>& names) {
  if (names.size() > kSecrets) return Bad(field, names.size(), "; at most ", kSecrets);
  for (const std::string& name : names) {
    if (!IsVariableName(name)) return BadVariable(field, name);
  }
  return absl::OkStatus();
}

absl::Status CheckEnv(std::string_view field, const std::map<std::string, std::string>& env) {
  const std::string in(field);
  for (const auto& [name, value] : env) {
    if (!IsVariableName(name)) return BadVariable(field, name);
    RETURN_IF_ERROR(CheckText(absl::StrCat(in, ".", name), value, kArgumentBytes - name.size() - 1));
  }
  return absl::OkStatus();
}

absl::Status CheckNeeds(const std::map<std::string, std::string>& needs) {
  if (needs.size() > limits::kLabels) return Bad("needs", needs.size(), " labels; at most ", limits::kLabels);
  for (const auto& [label, value] : needs) {
    RETURN_IF_ERROR(CheckLine("needs", label));
    if (label.empty() || label.find_first_of(" =,") != std::string::npos) {
      return Bad("needs", Quoted(label), " is no label name: no space, comma or `=` in it");
    }
    RETURN_IF_ERROR(CheckLine(absl::StrCat("needs.", label), value, limits::kLabelBytes));
  }
  return absl::OkStatus();
}

// A cwd is lexically inside its phase's directory; what links point to is the sandbox's business.
bool Leaves(std::string_view cwd) {
  if (!cwd.empty() && cwd.front() == '/') return true;
  while (!cwd.empty()) {
    const std::size_t end = std::min(cwd.find('/'), cwd.size());
    if (cwd.substr(0, end) == "..") return true;
    cwd.remove_prefix(std::min(end + 1, cwd.size()));
  }
  return false;
}

absl::Status CheckLimit(std::string_view field, std::chrono::milliseconds value) {
  constexpr std::chrono::milliseconds kMost = limits::kOperatorCeiling;
  if (value.count() < 0 || value > kMost) {
    return Bad(field, value.count(), " ms; write 0 (the default) to ", kMost.count(), " ms (24 h)");
  }
  return absl::OkStatus();
}

absl::Status CheckCommand(const std::string& field, const Command& command) {
  RETURN_IF_ERROR(CheckLine(absl::StrCat(field, ".name"), command.name));
  RETURN_IF_ERROR(CheckText(absl::StrCat(field, ".command"), command.command, limits::kJobDocument));
  RETURN_IF_ERROR(CheckText(absl::StrCat(field, ".screen"), command.screen, kTextBytes));
  RETURN_IF_ERROR(CheckLine(absl::StrCat(field, ".cwd"), command.cwd, kTextBytes));
  RETURN_IF_ERROR(CheckEnv(absl::StrCat(field, ".env"), command.env));
  if (absl::StripAsciiWhitespace(command.command).empty()) {
    return Bad(absl::StrCat(field, ".command"), "empty; write what to run");
  }
  if (!command.args.empty() && command.command.size() > kArgumentBytes) {
    return Bad(absl::StrCat(field, ".command"), command.command.size(),
               " bytes; a program's path has at most ", kArgumentBytes);
  }
  for (std::size_t i = 0; i < command.args.size(); ++i) {
    RETURN_IF_ERROR(CheckText(absl::StrCat(field, ".args[", i, "]"), command.args[i], kArgumentBytes));
  }
  if (Leaves(command.cwd)) {
    return Bad(absl::StrCat(field, ".cwd"), Quoted(command.cwd),
               " leaves the directory; write a path below it");
  }
  RETURN_IF_ERROR(CheckLimit(absl::StrCat(field, ".wall_ms"), command.wall));
  RETURN_IF_ERROR(CheckLimit(absl::StrCat(field, ".silence_ms"), command.silence));
  if (!command.shell.empty() && command.shell != "bash" && command.shell != "sh") {
    return Bad(absl::StrCat(field, ".shell"), Quoted(command.shell), " is not known; write bash or sh");
  }
  RETURN_IF_ERROR(CheckSecrets(absl::StrCat(field, ".secrets"), command.secrets));
  return absl::OkStatus();
}

// Whether a job of this type runs the phase at all.
bool Runs(JobType type, Phase phase) {
  if (phase == Phase::kTest) return type != JobType::kDeploy;
  if (phase == Phase::kDeploy) return type != JobType::kTest;
  return true;
}

absl::Status CheckPhases(const JobSpec& spec) {
  std::size_t all = 0, runs = 0;
  for (Phase phase : kPhases) {
    const auto& commands = spec.phases[static_cast<int>(phase)];
    all += commands.size();
    if (Runs(spec.type, phase)) runs += commands.size();
  }
  const std::string type(Name(spec.type));
  if (all > limits::kCommandsPerJob) {
    return Bad("commands", all, " in all phases; at most ", limits::kCommandsPerJob);
  }
  // Plugins may bring their own; whether they do is known when they have run.
  if (std::any_of(spec.plugins.begin(), spec.plugins.end(), [](const Plugin& p) { return p.enabled(); }))
    runs = ++all;
  if (all == 0) return Bad("commands", "none in any phase; write at least one, such as a test");
  if (runs == 0)
    return Bad("commands", "none that a job of type ", type, " runs; set type to match the phases");
  for (Phase phase : kPhases) {
    const auto& commands = spec.phases[static_cast<int>(phase)];
    for (std::size_t i = 0; i < commands.size(); ++i) {
      RETURN_IF_ERROR(CheckCommand(absl::StrCat(std::string(Name(phase)), "[", i, "]"), commands[i]));
    }
  }
  return absl::OkStatus();
}

// The bytes of all strings: a lower bound of the encoded size, so that a document built in the house (and not
// read from the wire, where the exact size is known) is refused here and not at its first Assign.
std::size_t TextBytes(const JobSpec& spec) {
  std::size_t sum = spec.name.size() + spec.repo.url.size() + spec.trigger.message.size();
  auto add = [&sum](const std::map<std::string, std::string>& map) {
    for (const auto& [key, value] : map) sum += key.size() + value.size() + 6;  // tags and lengths
  };
  add(spec.env);
  add(spec.needs);
  add(spec.matrix);
  for (const auto& commands : spec.phases) {
    for (const Command& c : commands) {
      sum += c.name.size() + c.command.size() + c.screen.size() + c.cwd.size() + 4;
      for (const std::string& arg : c.args) sum += arg.size() + 2;
      add(c.env);
    }
  }
  for (const Plugin& plugin : spec.plugins) sum += plugin.name.size() + plugin.version.size();
  return sum;
}

}  // namespace

bool IsVariableName(std::string_view name) {
  const bool starts_well = !name.empty() && (absl::ascii_isalpha(name[0]) || name[0] == '_');
  return starts_well && name.size() <= limits::kNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

bool IsPluginVersion(std::string_view text) {
  for (int numbers = 1; numbers <= 3; ++numbers) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0 || digits > 9) return false;
    if (digits == text.size()) return true;
    if (text[digits] != '.') return false;
    text.remove_prefix(digits + 1);
  }
  return false;
}

absl::Status Check(const JobSpec& spec) {
  RETURN_IF_ERROR(CheckLine("name", spec.name));
  if (spec.name.empty()) return Bad("name", "empty");
  RETURN_IF_ERROR(CheckLine("user_id", spec.user_id));
  RETURN_IF_ERROR(CheckRepo(spec.repo));
  RETURN_IF_ERROR(CheckRef(spec.ref, !spec.repo.url.empty()));
  if (spec.type < JobType::kTest || spec.type > JobType::kTestAndDeploy) {
    return Bad("type", static_cast<int>(spec.type), " is no job type");
  }
  RETURN_IF_ERROR(CheckTrigger(spec.trigger));
  if (spec.plugins.size() > kPlugins) return Bad("plugins", spec.plugins.size(), "; at most ", kPlugins);
  for (std::size_t i = 0; i < spec.plugins.size(); ++i) {
    const Plugin& plugin = spec.plugins[i];
    const std::string field = absl::StrCat("plugins[", i, "]");
    RETURN_IF_ERROR(CheckLine(absl::StrCat(field, ".name"), plugin.name));
    if (plugin.name.empty()) return Bad(absl::StrCat(field, ".name"), "empty");
    if (!plugin.version.empty() && !IsPluginVersion(plugin.version)) {
      return Bad(absl::StrCat(field, ".version"), Quoted(plugin.version),
                 " is not known; write 2, 2.1 or 2.1.3");
    }
    RETURN_IF_ERROR(CheckText(absl::StrCat(field, ".config"), plugin.config_json, limits::kMiB));
    auto json = absl::StripAsciiWhitespace(plugin.config_json);
    if (json.size() < 2 || json.front() != '{' || json.back() != '}') {
      return Bad(absl::StrCat(field, ".config"), "is not a JSON object");
    }
  }
  RETURN_IF_ERROR(CheckPhases(spec));
  RETURN_IF_ERROR(CheckEnv("env", spec.env));
  RETURN_IF_ERROR(CheckNeeds(spec.needs));
  RETURN_IF_ERROR(CheckLimit("limits.wall_ms", spec.limits.wall));
  RETURN_IF_ERROR(CheckLimit("limits.silence_ms", spec.limits.silence));
  RETURN_IF_ERROR(CheckLimit("limits.cleanup_ms", spec.limits.cleanup));
  if (!spec.network && (spec.isolation == Isolation::kNone || spec.isolation == Isolation::kUser)) {
    return Bad("no_network", "isolation ", std::string(Name(spec.isolation)),
               " cannot keep a job from the network");
  }
  RETURN_IF_ERROR(CheckSecrets("secrets", spec.secrets));
  if (spec.matrix.size() > limits::kMatrixAxes)
    return Bad("matrix", spec.matrix.size(), " axes; at most ", limits::kMatrixAxes);
  RETURN_IF_ERROR(CheckEnv("matrix", spec.matrix));
  if (const std::size_t bytes = TextBytes(spec); bytes > limits::kJobDocument) {
    return Bad("job document", bytes, " bytes; at most ", limits::kJobDocument,
               ": keep long scripts in the repository and call them from a step");
  }
  return absl::OkStatus();
}

}  // namespace waggle::pipeline
