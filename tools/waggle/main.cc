// waggle, the command line people use: flags only. Each verb lives in commands/.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/fd.h"
#include "common/config/command_line.h"
#include "common/config/settings.h"
#include "common/rpc/channel.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/keys.h"
#include "tools/waggle/logins.h"
#include "tools/waggle/session.h"

namespace waggle::cli {
namespace {

constexpr char kVersion[] = "waggle " WAGGLE_VERSION " (api v1, " WAGGLE_BUILD ")";

// Help with the examples first.
class ExamplesFirst : public CLI::Formatter {
 public:
  void Add(const CLI::App* app, std::string examples) { examples_[app] = std::move(examples); }
  std::string make_description(const CLI::App* app) const override {
    auto found = examples_.find(app);
    std::string text = app->get_description() + "\n";
    return found == examples_.end() ? text : text + "\nExamples:\n" + found->second + "\n";
  }

 private:
  std::map<const CLI::App*, std::string> examples_;
};

// Everything the flags fill in.
struct Arguments {
  GlobalOptions global;
  SubmitOptions submit;
  WatchOptions watch;
  LogsOptions logs;
  JobsOptions jobs;
  RunsOptions runs;
  RetryOptions retry;
  CancelOptions cancel;
  DrainOptions drain;
  std::vector<std::string> undrain;
  ForgetOptions forget;
  LoginOptions login;
  LintOptions lint;
  InitOptions init;
  std::string show_job, verify_job, logout_queen;
  config::Given given;
  bool origin = false;
};

// Where there is no queen on this host, a login says which one is meant.
std::vector<config::Sources::Found> FindQueen() {
  const config::Key& key = kProgram.keys.front();  // "queen"
  const std::vector<std::string> logins = Logins(LoginDirectory()).List();
  if (logins.size() != 1 || FileExists(std::string(key.fallback))) return {};
  return {{&key, logins.front(), "the only login in " + LoginDirectory()}};
}

// --NAME auto|always|never, into one of the enums that have these three values.
template <typename Enum>
void AddWhen(CLI::App* app, const char* name, Enum* value, const char* what) {
  auto set = [value](const std::string& word) {
    *value = word == "always" ? Enum::kAlways : word == "never" ? Enum::kNever : Enum::kAuto;
  };
  app->add_option_function<std::string>(name, set, what)
      ->check(CLI::IsMember(std::vector<std::string>{"auto", "always", "never"}))
      ->type_name("WHEN");
}

// The flag tree, bound to one Arguments. Lives as long as the parse and what it runs.
class Flags {
 public:
  Flags()
      : formatter_(std::make_shared<ExamplesFirst>()),
        app_("Sends jobs to the hive and shows what becomes of them.") {
    app_.name("waggle");
    app_.formatter(formatter_);
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.set_version_flag("--version", kVersion);
    app_.set_help_flag("-h,--help", "Print this help and exit");
    formatter_->Add(&app_,
                    "  waggle submit --watch        run .waggle.yml at the current commit and follow it\n"
                    "  waggle jobs                  the newest jobs and why they wait\n"
                    "  waggle logs 12               what job 12 printed\n");
    AddGlobal();
    AddSubmit();
    AddWatch();
    AddLogs();
    AddLists();
    AddCancel();
    AddRuns();
    AddDrain();
    AddForget();
    AddVerify();
    AddLint();
    AddLogin();
    AddConfig();
  }

  void Parse(int argc, char** argv) { app_.parse(argc, argv); }
  int Exit(const CLI::ParseError& error) { return app_.exit(error); }

  const CLI::App& app() const { return app_; }
  // Whether the command mirrors a job, as far as it was understood.
  bool Mirroring(bool watch_flag) const {
    return app_.got_subcommand("watch") ||
           ((app_.got_subcommand("submit") || app_.got_subcommand("retry")) && watch_flag);
  }

  int Run() {
    GlobalOptions& global = arguments_.global;
    global.mirroring = Mirroring(arguments_.submit.watch || arguments_.retry.watch);
    if (keys_->parsed()) {
      Session session(global);
      return RunConfigKeys(session);
    }
    config::Sources sources = config::SystemSources(kProgram);
    sources.flags = arguments_.given.flags;
    sources.file = arguments_.given.file;
    sources.user_file = UserFile();
    sources.found = FindQueen();
    absl::StatusOr<config::Settings> settings = config::Settings::Load(kProgram, sources);
    if (!settings.ok()) {
      Session session(global);
      return session.FailUsage(settings.status());
    }
    Take(*settings);
    Session session(global);
    return show_->parsed() ? RunConfigShow(session, *settings, arguments_.origin) : run_(session);
  }

 private:
  CLI::App* Verb(const char* name, const char* what, const char* examples, std::function<int(Session&)> run) {
    CLI::App* verb = app_.add_subcommand(name, what);
    formatter_->Add(verb, examples);
    verb->callback([this, run = std::move(run)] { run_ = run; });
    return verb;
  }

  void Take(const config::Settings& settings) {
    GlobalOptions& g = arguments_.global;
    const std::string origin = settings.Origin("queen");
    g.queen = ReadAddress(settings.Get("queen"), origin == "built-in" ? "the built-in default" : origin);
    // A standing preference for JSON does not change what --raw promises; -o json on the same line does.
    const bool raw = arguments_.logs.raw && settings.Origin("format") != "--format";
    g.json = settings.Get("format") == "json" && !raw;
    const std::string& color = settings.Get("color");
    g.color = color == "always"  ? ColorMode::kAlways
              : color == "never" ? ColorMode::kNever
                                 : ColorMode::kAuto;
  }

  void AddGlobal() {
    GlobalOptions& g = arguments_.global;
    config::AddFlags(kProgram, app_, &arguments_.given);
    app_.add_flag("-q,--quiet", g.quiet, "Results and errors only");
    app_.add_flag("-v,--verbose", g.verbose, "Also phases and commands that passed");
  }

  void AddSubmit() {
    SubmitOptions& o = arguments_.submit;
    CLI::App* verb =
        Verb("submit", "Start a run of a repository, or one job from a document",
             "  waggle submit                        the commit that is checked out here\n"
             "  waggle submit v1.2 --watch           a tag; leaves with the exit code of the job\n"
             "  waggle submit main --repo https://git.example.com/team/shop\n"
             "  waggle submit --job job.json -w      one job, no pipeline file\n",
             [&o](Session& session) { return RunSubmit(session, o); });
    verb->add_option("REF", o.ref, "Branch, tag or commit (default: what is checked out)");
    verb->add_option("--repo", o.repo, "Repository (default: the one around the current directory)")
        ->type_name("PATH|URL");
    verb->add_flag("-w,--watch", o.watch, "Follow the output and leave with the result");
    verb->add_option("--key", o.key, "What was submitted with this key before is not started again");
    verb->add_option("--job", o.job_file, "Submit this job document (JSON; - = standard input)")
        ->type_name("FILE");
    verb->add_option("-m,--message", o.message, "Shown with the run")->type_name("TEXT");
    AddPrefix(verb, &o.prefix);
  }

  void AddWatch() {
    WatchOptions& o = arguments_.watch;
    CLI::App* verb = Verb("watch", "Follow a job or a run to its end; leaves with the result",
                          "  waggle watch 12              output on stdout, what happens on stderr\n"
                          "  waggle watch r5              all jobs of run 5\n"
                          "  waggle watch @last           the newest job\n",
                          [&o](Session& session) { return RunWatch(session, o); });
    verb->add_option("JOB", o.target, "12, 12@2 (second attempt), @last, or a run: r5")->required();
    AddPrefix(verb, &o.prefix);
  }

  void AddLogs() {
    LogsOptions& o = arguments_.logs;
    CLI::App* verb = Verb("logs", "Print what a job printed",
                          "  waggle logs 12               all of it, with the commands' names and codes\n"
                          "  waggle logs 12 --raw         its bytes and nothing else\n"
                          "  waggle logs 12 --lines 210-240\n"
                          "  waggle logs 12@1 -n 20       the end of the first attempt\n",
                          [&o](Session& session) { return RunLogs(session, o); });
    verb->add_option("JOB", o.job, "12, 12@2 (second attempt) or @last")->required();
    verb->add_flag("-f,--follow", o.follow, "Wait for more until the job ends");
    verb->add_flag("--raw", o.raw, "Exactly the bytes of the job, both streams in order");
    verb->add_option("--stream", o.stream, "Only this stream: stdout or stderr")
        ->check(CLI::IsMember({"stdout", "stderr"}))
        ->type_name("NAME");
    verb->add_option("--lines", o.lines, "Only these lines")->type_name("A-B");
    verb->add_option("--attempt", o.attempt, "Of this attempt")->check(CLI::PositiveNumber)->type_name("N");
    verb->add_option("-n", o.last, "Only the last N lines")->check(CLI::PositiveNumber)->type_name("N");
    verb->add_flag("--late", o.late,
                   "What a deploy printed after its drone was lost, told when that came back");
  }

  void AddLists() {
    JobsOptions& o = arguments_.jobs;
    CLI::App* jobs = Verb("jobs", "List jobs, newest first",
                          "  waggle jobs --state failed --state errored\n"
                          "  waggle jobs --run r5\n"
                          "  waggle jobs -o json -L 1\n",
                          [&o](Session& session) { return RunJobs(session, o); });
    jobs->add_option("--state", o.states, "Only jobs in this state; may be repeated")
        ->type_name("S")
        ->take_all();
    jobs->add_option("-L,--limit", o.limit, "At most so many (default 50, at most 1000)")->type_name("N");
    jobs->add_option("--run", o.run, "Only jobs of this run")->type_name("rN");
    CLI::App* show = Verb("show", "Everything about a job or a run: why it waits, attempts, commands",
                          "  waggle show 12\n  waggle show r5\n  waggle show @last -o json\n",
                          [this](Session& session) { return RunShow(session, arguments_.show_job); });
    show->add_option("JOB", arguments_.show_job,
                     "12, 12@2 (commands of its second attempt), @last, or a run: r5")
        ->required();
    Verb("drones", "List the drones, their slots and what they run", "  waggle drones\n", RunDrones);
  }

  void AddCancel() {
    CancelOptions& o = arguments_.cancel;
    CLI::App* verb = Verb("cancel", "Stop a job or all jobs of a run",
                          "  waggle cancel 12 --reason \"wrong branch\"\n"
                          "  waggle cancel r5 --now       without the chance to finish\n",
                          [&o](Session& session) { return RunCancel(session, o); });
    verb->add_option("JOB", o.target, "12, @last, or a run: r5")->required();
    verb->add_option("--reason", o.reason, "Shown with the job")->type_name("TEXT");
    verb->add_flag("--now", o.now, "Kill at once instead of interrupt, terminate, kill");
    verb->add_flag("--no-wait", o.no_wait, "Ask for it and leave, without waiting for the end");
  }

  void AddRuns() {
    RunsOptions& o = arguments_.runs;
    CLI::App* runs = Verb("runs", "List runs, newest first",
                          "  waggle runs --branch main\n  waggle runs --state failed -L 5\n",
                          [&o](Session& session) { return RunRuns(session, o); });
    runs->add_option("--state", o.states, "Only runs in this state; may be repeated")
        ->type_name("S")
        ->take_all();
    runs->add_option("--branch", o.branch, "Only runs of this branch")->type_name("NAME");
    runs->add_option("-L,--limit", o.limit, "At most so many (default 50, at most 1000)")->type_name("N");
    RetryOptions& r = arguments_.retry;
    CLI::App* retry = Verb("retry", "Run a job or a run once more, as it was; its old attempts stay",
                           "  waggle retry 12              and what was skipped because of it\n"
                           "  waggle retry r5 --failed     only what did not pass\n",
                           [&r](Session& session) { return RunRetry(session, r); });
    retry->add_option("JOB", r.target, "12, @last, or a run: r5")->required();
    retry->add_flag("--failed", r.failed, "Of a run: only jobs that failed, errored or were canceled");
    retry->add_flag("-w,--watch", r.watch, "Follow the output and leave with the result");
  }

  void AddDrain() {
    DrainOptions& o = arguments_.drain;
    CLI::App* drain = Verb("drain", "Give drones no new work, and wait until they are empty",
                           "  waggle drain bee-04 --reason \"kernel update\"\n"
                           "  waggle drain bee-04 --deadline 1h    what runs then goes to another drone\n",
                           [&o](Session& session) { return RunDrain(session, o); });
    drain->add_option("NAME", o.names, "Drones, as `waggle drones` names them")->required();
    drain->add_option("--reason", o.reason, "Shown with the drones and with jobs that wait for them")
        ->type_name("TEXT");
    drain->add_option("--deadline", o.deadline, "What runs so much later is ended and queued again")
        ->type_name("TIME");
    drain->add_flag("--no-wait", o.no_wait, "Do not wait for what runs");
    CLI::App* undrain = Verb("undrain", "Give drones work again", "  waggle undrain bee-04\n",
                             [this](Session& session) { return RunUndrain(session, arguments_.undrain); });
    undrain->add_option("NAME", arguments_.undrain, "Drones, as `waggle drones` names them")->required();
  }

  void AddForget() {
    ForgetOptions& o = arguments_.forget;
    CLI::App* verb = Verb("forget", "End attempts that a restored queen does not remember",
                          "  waggle forget bee-04 51 52    as `waggle drones` lists them\n",
                          [&o](Session& session) { return RunForget(session, o); });
    verb->add_option("DRONE", o.drone, "As `waggle drones` names it")->required();
    verb->add_option("ATTEMPT", o.epochs, "What it holds, and the queen does not remember")->required();
  }

  void AddVerify() {
    CLI::App* verb = Verb("verify", "Check every byte of a stored log; leaves with 1 if it is damaged",
                          "  waggle verify 12\n  waggle verify 12@1\n",
                          [this](Session& session) { return RunVerify(session, arguments_.verify_job); });
    verb->add_option("JOB", arguments_.verify_job, "12, 12@2 (second attempt) or @last")->required();
  }

  void AddLint() {
    LintOptions& o = arguments_.lint;
    CLI::App* lint =
        Verb("lint", "Check a pipeline file and show the jobs it makes",
             "  waggle lint                          .waggle.yml here or at the repository's top\n"
             "  waggle lint --tag v1.2               what a tag would run\n"
             "  waggle lint --explain WG101          the long form of an error\n"
             "  waggle lint --schema                 every key, as JSON Schema for an editor\n",
             [&o](Session& session) { return RunLint(session, o); });
    lint->add_option("FILE", o.file, "Pipeline file (default: .waggle.yml)");
    lint->add_option("--explain", o.explain, "Print what the code at the end of an error means")
        ->type_name("CODE");
    lint->add_flag("--schema", o.schema, "Print the JSON Schema of pipeline files");
    lint->add_option("--event", o.event, "As a run that this event starts (default: manual)")
        ->check(CLI::IsMember({"manual", "push", "pull_request", "tag", "cron", "deploy"}))
        ->type_name("NAME");
    lint->add_option("--branch", o.branch, "As a run of this branch")->type_name("NAME");
    lint->add_option("--tag", o.tag, "As a run of this tag")->type_name("NAME");
    InitOptions& i = arguments_.init;
    CLI::App* init = Verb("init", "Write a .waggle.yml for what builds this project",
                          "  waggle init                  CMake, npm, cargo, go, pytest, make\n"
                          "  waggle init --force          over the one that is there\n",
                          [&i](Session& session) { return RunInit(session, i); });
    init->add_flag("--force", i.force, "Write over a .waggle.yml that is there");
  }

  void AddLogin() {
    LoginOptions& o = arguments_.login;
    CLI::App* login = Verb("login", "Get a certificate from a queen on another host, with a token of hers",
                           "  waggle login https://ci.example.com:7875 --token-stdin\n"
                           "  waggle login https://ci.example.com:7875 --token wg1.TOKEN.PIN\n",
                           [&o](Session& session) { return RunLogin(session, o); });
    login->add_option("URL", o.url, "https://HOST:PORT, as `queen invite user NAME` prints it")->required();
    login->add_option("--token", o.token, "What she printed; other users of this host can see it here")
        ->type_name("TOKEN");
    login->add_flag("--token-stdin", o.token_stdin, "Read the token from standard input");
    CLI::App* logout = Verb("logout", "Delete what login stored", "  waggle logout ci.example.com:7874\n",
                            [this](Session& session) { return RunLogout(session, arguments_.logout_queen); });
    logout->add_option("ADDRESS", arguments_.logout_queen, "HOST:PORT (default: the only one)");
  }

  void AddConfig() {
    CLI::App* config = app_.add_subcommand("config", "What may be set, and what is set");
    formatter_->Add(config,
                    "  waggle config show --origin  every value and where it comes from\n"
                    "  waggle config keys           every key, flag and variable\n");
    config->require_subcommand(1);
    config->fallthrough();
    show_ = config->add_subcommand("show", "The settings as commands with the same flags use them");
    show_->add_flag("--origin", arguments_.origin, "Also where each value comes from");
    keys_ = config->add_subcommand("keys", "Every setting: its key, flag, variable, kind and default");
    show_->fallthrough();
    keys_->fallthrough();
  }

  static void AddPrefix(CLI::App* verb, Prefix* prefix) {
    AddWhen(verb, "--prefix", prefix,
            "Begin each line with the job's name; auto: when there are several jobs");
  }

  std::shared_ptr<ExamplesFirst> formatter_;
  CLI::App app_;
  Arguments arguments_;
  std::function<int(Session&)> run_;
  CLI::App* show_ = nullptr;  // config show
  CLI::App* keys_ = nullptr;
};

int UsageError(const Flags& flags, const CLI::ParseError& error, int argc, char** argv) {
  bool watch_flag = false;
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    watch_flag = watch_flag || word == "-w" || word == "--watch";
  }
  GlobalOptions options;
  options.mirroring = flags.Mirroring(watch_flag);
  Session session(options);
  return session.FailUsage(absl::InvalidArgumentError(config::UsageMessage(flags.app(), error)));
}

int Main(int argc, char** argv) {
  rpc::OnlyTls13();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is seen by write(2); Output leaves quietly
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);  // its warnings are ours to tell
  Flags flags;
  try {
    flags.Parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    return flags.Exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    return UsageError(flags, error, argc, argv);
  }
  return flags.Run();
}

}  // namespace
}  // namespace waggle::cli

int main(int argc, char** argv) {
  return waggle::cli::Main(argc, argv);
}
