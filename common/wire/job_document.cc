#include "common/wire/job_document.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/wire/enums.h"
#include "common/wire/json.h"
#include "waggle/v1/job.pb.h"

namespace waggle::wire {
namespace {

using Commands = google::protobuf::RepeatedPtrField<v1::Command>;
using WireMap = google::protobuf::Map<std::string, std::string>;
using StringMap = std::map<std::string, std::string>;
using std::chrono::milliseconds;

std::string OrDefault(const std::string& value, const char* otherwise) {
  return value.empty() ? std::string(otherwise) : value;
}

StringMap MapFrom(const WireMap& from) {
  return StringMap(from.begin(), from.end());
}
void MapTo(const StringMap& from, WireMap* to) {
  to->insert(from.begin(), from.end());
}

// The phase fields of a document, in the order of Phase.
std::array<const Commands*, kPhaseCount> PhasesOf(const v1::JobDocument& d) {
  return {&d.environment(), &d.prepare(), &d.test(), &d.deploy(), &d.cleanup()};
}
std::array<Commands*, kPhaseCount> MutablePhasesOf(v1::JobDocument* d) {
  return {d->mutable_environment(), d->mutable_prepare(), d->mutable_test(), d->mutable_deploy(),
          d->mutable_cleanup()};
}

pipeline::Repo RepoFrom(const v1::Repo& from) {
  pipeline::Repo to;
  to.url = from.url();
  if (from.has_https()) to.auth = pipeline::HttpsAuth{from.https().user(), from.https().password()};
  if (from.has_ssh()) to.auth = pipeline::SshAuth{from.ssh().key()};
  to.provider = from.provider();
  to.vcs = OrDefault(from.vcs(), "git");
  return to;
}

void RepoTo(const pipeline::Repo& from, v1::Repo* to) {
  to->set_url(from.url);
  if (const auto* https = std::get_if<pipeline::HttpsAuth>(&from.auth)) {
    to->mutable_https()->set_user(https->username);
    to->mutable_https()->set_password(https->password);
  } else if (const auto* ssh = std::get_if<pipeline::SshAuth>(&from.auth)) {
    to->mutable_ssh()->set_key(ssh->private_key);
  }
  to->set_provider(from.provider);
  to->set_vcs(from.vcs);
}

pipeline::Trigger TriggerFrom(const v1::Trigger& from) {
  pipeline::Trigger to;
  const auto& author = from.author();
  to.type = OrDefault(from.type(), "manual");
  to.author = {author.id(), author.url(), author.name(), author.email(), author.image(), author.username()};
  to.message = from.message();
  to.timestamp = from.timestamp();
  to.url = from.url();
  switch (from.source_case()) {
    case v1::Trigger::kUi:
      to.source_kind = "UI";
      to.source_name = from.ui().page();
      break;
    case v1::Trigger::kApi:
      to.source_kind = "API";
      to.source_name = from.api().app();
      break;
    case v1::Trigger::kPlugin:
      to.source_kind = "plugin";
      to.source_name = from.plugin().plugin();
      break;
    case v1::Trigger::SOURCE_NOT_SET:
      break;
  }
  return to;
}

void TriggerTo(const pipeline::Trigger& from, v1::Trigger* to) {
  to->set_type(from.type);
  auto* author = to->mutable_author();
  author->set_id(from.author.id);
  author->set_url(from.author.url);
  author->set_name(from.author.name);
  author->set_email(from.author.email);
  author->set_image(from.author.image);
  author->set_username(from.author.username);
  to->set_message(from.message);
  to->set_timestamp(from.timestamp);
  to->set_url(from.url);
  if (from.source_kind == "UI") to->mutable_ui()->set_page(from.source_name);
  if (from.source_kind == "API") to->mutable_api()->set_app(from.source_name);
  if (from.source_kind == "plugin") to->mutable_plugin()->set_plugin(from.source_name);
}

pipeline::Command CommandFrom(const v1::Command& from) {
  pipeline::Command to;
  to.name = from.name();
  to.command = from.command();
  to.args.assign(from.args().begin(), from.args().end());
  to.screen = from.screen();
  to.silent = from.silent();
  to.env = MapFrom(from.env());
  to.cwd = from.cwd();
  to.allow_failure = from.allow_failure();
  to.wall = milliseconds(from.wall_ms());
  to.silence = milliseconds(from.silence_ms());
  to.shell = from.shell();
  to.secrets.assign(from.secrets().begin(), from.secrets().end());
  return to;
}

void CommandTo(const pipeline::Command& from, v1::Command* to) {
  to->set_name(from.name);
  to->set_command(from.command);
  for (const std::string& arg : from.args) to->add_args(arg);
  to->set_screen(from.screen);
  to->set_silent(from.silent);
  MapTo(from.env, to->mutable_env());
  to->set_cwd(from.cwd);
  to->set_allow_failure(from.allow_failure);
  to->set_wall_ms(from.wall.count());
  to->set_silence_ms(from.silence.count());
  to->set_shell(from.shell);
  for (const std::string& name : from.secrets) to->add_secrets(name);
}

pipeline::Limits LimitsFrom(const v1::Limits& from) {
  return {milliseconds(from.wall_ms()), milliseconds(from.silence_ms()), milliseconds(from.cleanup_ms()),
          from.log_bytes(), from.spool_full() == v1::TRUNCATE};
}

void LimitsTo(const pipeline::Limits& from, v1::Limits* to) {
  to->set_wall_ms(from.wall.count());
  to->set_silence_ms(from.silence.count());
  to->set_cleanup_ms(from.cleanup.count());
  to->set_log_bytes(from.log_bytes);
  if (from.truncates) to->set_spool_full(v1::TRUNCATE);
}

absl::Status CheckSize(std::size_t bytes) {
  if (bytes <= limits::kJobDocument) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("job document: ", bytes, " bytes encoded; at most ", limits::kJobDocument,
                   ": keep long scripts in the repository and call them from a step"));
}

}  // namespace

absl::StatusOr<pipeline::JobSpec> FromProto(const v1::JobDocument& document) {
  RETURN_IF_ERROR(CheckSize(document.ByteSizeLong()));
  pipeline::JobSpec spec;
  spec.name = OrDefault(document.name(), "job");
  spec.user_id = document.user_id();
  spec.repo = RepoFrom(document.repo());
  spec.ref = {document.ref().branch(), document.ref().id(), document.ref().fetch()};
  if (document.type() != v1::JOB_TYPE_UNSPECIFIED) {
    auto type = FromProto(document.type());
    if (!type) {
      return absl::InvalidArgumentError(
          absl::StrCat("type: ", static_cast<int>(document.type()),
                       " is no job type; write TEST, DEPLOY or TEST_AND_DEPLOY"));
    }
    spec.type = *type;
  }
  spec.trigger = TriggerFrom(document.trigger());
  for (const auto& plugin : document.plugins()) {
    auto config = StructToJson(plugin.config());
    if (!config.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("plugins[", spec.plugins.size(), "].config: ", config.status().message()));
    }
    spec.plugins.push_back({plugin.name(), *std::move(config), plugin.version()});
  }
  const auto phases = PhasesOf(document);
  for (int i = 0; i < kPhaseCount; ++i) {
    for (const v1::Command& command : *phases[i]) spec.phases[i].push_back(CommandFrom(command));
  }
  spec.env = MapFrom(document.env());
  spec.needs = MapFrom(document.needs());
  spec.priority = document.priority();
  if (!v1::SpoolFull_IsValid(document.limits().spool_full())) {
    return absl::InvalidArgumentError(
        absl::StrCat("limits.spool_full: ", static_cast<int>(document.limits().spool_full()),
                     " is no policy; write BLOCK or TRUNCATE"));
  }
  spec.limits = LimitsFrom(document.limits());
  auto isolation = FromProto(document.isolation());
  if (!isolation) {
    return absl::InvalidArgumentError(
        absl::StrCat("isolation: ", static_cast<int>(document.isolation()),
                     " is not known; write ISOLATION_AUTO, _NONE, _USER or _BUBBLEWRAP"));
  }
  spec.isolation = *isolation;
  spec.network = !document.no_network();
  spec.secrets.assign(document.secrets().begin(), document.secrets().end());
  spec.submodules = document.submodules();
  spec.matrix = MapFrom(document.matrix());
  RETURN_IF_ERROR(pipeline::Check(spec));
  return spec;
}

void ToProto(const pipeline::JobSpec& spec, JobId id, v1::JobDocument* document) {
  document->Clear();
  document->set_name(spec.name);
  document->set_user_id(spec.user_id);
  document->set_job_id(id.value());
  if (!spec.repo.url.empty()) RepoTo(spec.repo, document->mutable_repo());
  if (!spec.ref.branch.empty() || !spec.ref.id.empty() || !spec.ref.fetch.empty()) {
    document->mutable_ref()->set_branch(spec.ref.branch);
    document->mutable_ref()->set_id(spec.ref.id);
    document->mutable_ref()->set_fetch(spec.ref.fetch);
  }
  document->set_type(ToProto(spec.type));
  TriggerTo(spec.trigger, document->mutable_trigger());
  for (const pipeline::Plugin& plugin : spec.plugins) {
    auto* to = document->add_plugins();
    to->set_name(plugin.name);
    to->set_version(plugin.version);
    if (!FromJson(plugin.config_json, "plugin config", to->mutable_config()).ok()) to->clear_config();
  }
  const auto phases = MutablePhasesOf(document);
  for (int i = 0; i < kPhaseCount; ++i) {
    for (const pipeline::Command& command : spec.phases[i]) CommandTo(command, phases[i]->Add());
  }
  MapTo(spec.env, document->mutable_env());
  MapTo(spec.needs, document->mutable_needs());
  document->set_priority(spec.priority);
  LimitsTo(spec.limits, document->mutable_limits());
  document->set_isolation(ToProto(spec.isolation));
  document->set_no_network(!spec.network);
  for (const std::string& name : spec.secrets) document->add_secrets(name);
  document->set_submodules(spec.submodules);
  MapTo(spec.matrix, document->mutable_matrix());
}

absl::StatusOr<pipeline::JobSpec> ParseDocument(std::string_view serialized, JobId* id) {
  // AppendJobId adds this much at most to a document that was checked without it.
  constexpr std::size_t kJobIdBytes = 11;
  RETURN_IF_ERROR(
      CheckSize(serialized.size() - std::min(serialized.size(), id != nullptr ? kJobIdBytes : 0)));
  v1::JobDocument document;
  if (!document.ParseFromArray(serialized.data(), static_cast<int>(serialized.size()))) {
    return absl::InvalidArgumentError(
        absl::StrCat("job document: these ", serialized.size(), " bytes are no waggle.v1.JobDocument"));
  }
  if (id != nullptr) *id = JobId(document.job_id());
  document.clear_job_id();
  return FromProto(document);
}

std::string SerializeDocument(const pipeline::JobSpec& spec, JobId id) {
  v1::JobDocument document;
  ToProto(spec, id, &document);
  return SerializeDeterministically(document);
}

void AppendJobId(JobId id, std::string* serialized) {
  v1::JobDocument only_id;
  only_id.set_job_id(id.value());
  only_id.AppendToString(serialized);
}

absl::Status DocumentFromJson(std::string_view json, v1::JobDocument* document) {
  return FromJson(json, "job document", document);
}

void StripCredentials(v1::JobDocument* document) {
  for (auto* phase : {document->mutable_environment(), document->mutable_prepare(), document->mutable_test(),
                      document->mutable_deploy(), document->mutable_cleanup()}) {
    for (v1::Command& command : *phase) {
      if (command.screen().empty()) continue;
      command.set_command(command.screen());
      command.clear_args();
    }
  }
  if (!document->has_repo()) return;
  document->mutable_repo()->clear_auth();
  document->mutable_repo()->set_url(PublicUrl(document->repo().url()));
}

std::string PublicUrl(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) {
    // user@host:path keeps its user; a colon before the @ can only be somebody's password.
    const std::size_t at = url.find('@');
    bool path = !url.empty() && url.front() == '/';
    if (path || at == std::string_view::npos || url.substr(0, at).find(':') == std::string_view::npos) {
      return std::string(url);
    }
    return std::string(url.substr(at + 1));
  }
  // Cut at the last @ before the first slash: a password with an unescaped @, ? or # in it goes as a whole.
  const std::size_t authority = scheme + 3;
  const std::size_t at = url.substr(0, url.find('/', authority)).rfind('@');
  if (at == std::string_view::npos || at < authority) return std::string(url);
  return std::string(url.substr(0, authority)).append(url.substr(at + 1));
}

}  // namespace waggle::wire
