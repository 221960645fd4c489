#include "queen/app/queen.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/support/server_interceptor.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <climits>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/failpoint.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "common/base/vocabulary.h"
#include "common/wire/job_document.h"
#include "queen/api/call_guard.h"
#include "queen/api/hive_service.h"
#include "queen/api/peer_check.h"
#include "queen/api/people.h"
#include "queen/app/authority_files.h"
#include "queen/app/data_lock.h"
#include "queen/app/descriptors.h"
#include "queen/app/document_cache.h"
#include "queen/app/enrolment.h"
#include "queen/app/mailbox.h"
#include "queen/app/retention.h"
#include "queen/app/storage_guard.h"
#include "queen/core/said.h"
#include "queen/core/verdict.h"
#include "queen/http/door.h"
#include "queen/http/http_server.h"
#include "queen/logs/watch.h"
#include "queen/store/sqlite/sqlite_store.h"

namespace waggle::queen {
namespace {

constexpr int kLogShards = 1;
constexpr int kWatchThreads = 2;
constexpr int kWorkerThreads = 2;
constexpr std::size_t kWorkerQueue = 1024;
constexpr int kFetchThreads = 2;
constexpr std::size_t kFetchQueue = 256;
constexpr std::chrono::milliseconds kShutdownGrace(500);
constexpr std::chrono::seconds kHandshakeDeadline(10);  // of TLS; a stranger who takes longer is cut off

// Persist, then speak: when the disk fails nothing more may be said. Recovery is the normal start path.
void StorageFailed(const absl::Status& status) {
  spdlog::critical("storage failed: {}; the queen stops and recovers at the next start",
                   std::string(status.message()));
  spdlog::shutdown();
  ::_exit(exit_code::kStorageFailure);
}

// What is said to a drone for the first time has just been stored.
void PassBefore(const ToDrone& message) {
  if (std::holds_alternative<to_drone::Assign>(message)) failpoint::Pass("queen.assign.stored");
  if (std::holds_alternative<to_drone::Grant>(message)) failpoint::Pass("queen.grant.stored");
  if (std::holds_alternative<to_drone::Verdict>(message)) failpoint::Pass("queen.verdict.stored");
}

std::size_t GrpcMemory(const QueenConfig& config) {
  if (config.grpc_memory_mib != 0) return config.grpc_memory_mib * limits::kMiB;
  return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) / 4;
}

}  // namespace

struct Queen::Parts {
  explicit Parts(const QueenConfig& config)
      : config(config),
        runs(absl::StrCat(config.data, "/mirrors"), absl::StrCat(ExecutableDirectory(), "/waggle-git")) {}

  absl::Status Recover();
  absl::Status Serve();
  absl::Status PrepareAccess();
  std::shared_ptr<grpc::ServerCredentials> PeerCredentials() const;
  absl::Status ServePeers();
  absl::Status BindDoors();
  absl::Status OpenDoors();
  void Perform(const Effect& effect);
  LogStore::Callbacks LogCallbacks();
  void StorageChanged(const std::string& trouble);

  const QueenConfig config;
  std::string address;
  UniqueFd lock;
  std::unique_ptr<Store> store;
  std::unique_ptr<Mailbox> mailbox;
  std::shared_ptr<PeerBook> book = std::make_shared<PeerBook>();
  const std::unique_ptr<PeerCheck> check = std::make_unique<PeerCheck>(book);
  std::unique_ptr<HiveService> hive_service;
  std::unique_ptr<LogStore> logs;
  std::unique_ptr<WatchHub> hub;
  RunReader runs;
  std::unique_ptr<Workers> workers, fetch_workers;
  std::vector<std::unique_ptr<grpc::Service>> services;
  std::optional<Identity> identity;
  std::optional<AccessPart> access;
  DescriptorShares shares;
  std::unique_ptr<http::Door> local_door, remote_door;  // of the server, which their connections outlive
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> local_entry, remote_entry;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<http::HttpServer> http;  // its handlers use all of the above
  DocumentCache documents;                 // writer thread
  std::unique_ptr<StorageGuard> guard;     // while the queen serves
  std::unique_ptr<Retention> retention;    // likewise; none: logs are kept for ever
};

LogStore::Callbacks Queen::Parts::LogCallbacks() {
  LogStore::Callbacks callbacks;
  callbacks.acked = [this](SessionId s, Epoch e, Seq q) { hive_service->Acked(s, e, q); };
  callbacks.resume_from = [this](SessionId s, Epoch e, Seq q) { hive_service->ResumeFrom(s, e, q); };
  callbacks.fenced = [this](SessionId s, Epoch e) { hive_service->Fenced(s, e); };
  callbacks.complete = [this](event::LogComplete complete) { mailbox->Post(std::move(complete)); };
  callbacks.appended = [this](Epoch e) { hub->Appended(e); };
  callbacks.starved = [this](const absl::Status& why) { guard->Starved(why); };
  callbacks.failed = StorageFailed;
  return callbacks;
}

// The guard's thread.
void Queen::Parts::StorageChanged(const std::string& trouble) {
  if (trouble.empty()) {
    spdlog::info("there is space on the disk again: the queen goes on");
    logs->GoOn();
  } else {
    spdlog::error("{}; nothing new is taken, logs wait on the drones until there is space", trouble);
    logs->Hold();
  }
  mailbox->Post(event::Storage{trouble});
}

void Queen::Parts::Perform(const Effect& effect) {
  struct Visitor {
    Parts& parts;
    void operator()(const effect::Send& e) const {
      PassBefore(e.message);
      std::string document;
      if (const auto* assign = std::get_if<to_drone::Assign>(&e.message)) {
        document = parts.documents.Take(assign->job);
        if (document.empty()) {
          absl::StatusOr<std::string> stored = parts.store->GetDocument(assign->job);
          if (!stored.ok())
            spdlog::error("document of job {}: {}", assign->job.value(),
                          std::string(stored.status().message()));
          document = std::move(stored).value_or("");  // the drone refuses it, and the job ends with a reason
        }
        wire::AppendJobId(assign->job, &document);
      }
      parts.hive_service->Send(e.connection, e.message, std::move(document));
    }
    void operator()(const effect::Close& e) const {
      // Deposed, or cut off for what it said: somebody should look.
      const bool odd = absl::IsAborted(e.status) || absl::IsPermissionDenied(e.status);
      spdlog::log(odd ? spdlog::level::warn : spdlog::level::info, "drone stream {} closed: {}",
                  e.connection.value(), std::string(e.status.message()));
      parts.hive_service->Close(e.connection, e.status);
    }
    void operator()(const effect::Answer&) const {}  // the mailbox's own
    void operator()(const effect::Publish& e) const { parts.hub->Published(e.job); }
    void operator()(const effect::OpenLog& e) const { parts.logs->OpenLog(e.epoch, e.session, e.late); }
    void operator()(const effect::SealLog& e) const { parts.logs->Seal(e); }
    void operator()(const effect::CloseLog& e) const { parts.logs->CloseLog(e.epoch); }
    void operator()(const effect::EndSession& e) const { parts.hive_service->EndSession(e.session); }
  };
  std::visit(Visitor{*this}, effect);
}

absl::Status Queen::Parts::Recover() {
  RETURN_IF_ERROR(MakeDirectoriesDurably(config.data));
  ASSIGN_OR_RETURN(lock, LockDirectory(config.data));
  StorageGuard::Lighten(config.data);
  RETURN_IF_ERROR(MakeDirectories(absl::StrCat(config.data, "/mirrors")));
  ASSIGN_OR_RETURN(store, OpenSqliteStore(absl::StrCat(config.data, "/queen.db")));
  Breadcrumb crumb(absl::StrCat(config.data, "/breadcrumb"));
  ASSIGN_OR_RETURN(Snapshot snapshot, store->Load(crumb));
  failpoint::Pass("queen.recovery.loaded");
  std::vector<Epoch> open_logs;
  for (const AttemptRow& attempt : snapshot.attempts) {
    if (!attempt.log_closed) open_logs.push_back(attempt.epoch);
  }
  std::vector<std::pair<Epoch, Seq>> late_logs;
  for (const auto& [job, attempt] : snapshot.awaited) {
    late_logs.emplace_back(attempt.epoch, LastBeforeSeal(attempt));
  }
  if (!snapshot.jobs.empty()) {
    spdlog::info("recovered {} unfinished jobs, {} open logs", snapshot.jobs.size(), open_logs.size());
  }
  book->Take(snapshot.peers);
  HiveConfig hive_config;
  hive_config.lease = config.lease;
  hive_config.serial_branches = config.serial_branches;
  Mailbox::Outside outside;
  outside.committed = [this](const WriteBatch& rows) {
    for (const WriteBatch::Document& document : rows.documents) documents.Put(document.job, document.bytes);
    if (!rows.peers.empty()) book->Take(rows.peers);
  };
  outside.perform = [this](const Effect& effect) { Perform(effect); };
  outside.starved = [this](const absl::Status& why) { guard->Starved(why); };
  outside.failed = StorageFailed;
  mailbox = std::make_unique<Mailbox>(Hive(hive_config, std::move(snapshot), BootClock::now()), *store,
                                      std::move(outside));
  HiveService::Timing timing;
  timing.lease = config.lease;
  timing.heartbeat_busy = std::min<Duration>(timing.heartbeat_busy, config.lease / 6);
  timing.heartbeat_idle = std::min<Duration>(timing.heartbeat_idle, config.lease / 2);
  hive_service = std::make_unique<HiveService>(*mailbox, *check, timing);
  ASSIGN_OR_RETURN(logs, LogStore::Create(absl::StrCat(config.data, "/logs"), kLogShards, LogCallbacks()));
  hive_service->UseLogs(logs.get());
  hub = std::make_unique<WatchHub>(*store, *logs, kWatchThreads);
  for (const auto& [epoch, after] : late_logs) {
    crumb.Hold(kAttempts, static_cast<std::int64_t>(epoch.value()));
    absl::Status recovered = logs->RecoverLate(epoch, after);
    if (recovered.ok()) continue;
    spdlog::error("late log of epoch {}: {}", epoch.value(), std::string(recovered.message()));
  }
  for (Epoch epoch : open_logs) {
    crumb.Hold(kAttempts, static_cast<std::int64_t>(epoch.value()));
    RETURN_IF_ERROR(logs->Recover({epoch}));
  }
  return absl::OkStatus();
}

absl::Status Queen::Parts::Serve() {
  RETURN_IF_ERROR(BindDoors());
  workers = std::make_unique<Workers>(kWorkerThreads, kWorkerQueue);
  fetch_workers = std::make_unique<Workers>(kFetchThreads, kFetchQueue);
  RETURN_IF_ERROR(PrepareAccess());
  PeopleParts people{*mailbox, *store, *logs, *hub, runs, *workers, *fetch_workers, *access, *check};
  services.push_back(MakeRunsService(people));
  services.push_back(MakeJobsService(people));
  services.push_back(MakeLogsService(people));
  services.push_back(MakeFleetService(people));
  services.push_back(MakeAccessService(people));
  guard = std::make_unique<StorageGuard>(config.data,
                                         [this](const std::string& trouble) { StorageChanged(trouble); });
  mailbox->Start();

  grpc::ServerBuilder builder;
  const auto from_fd = grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD;
  local_entry =
      builder.experimental().AddExternalConnectionAcceptor(from_fd, grpc::InsecureServerCredentials());
  if (remote_door != nullptr) {
    remote_entry = builder.experimental().AddExternalConnectionAcceptor(from_fd, PeerCredentials());
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> guards;
    guards.push_back(MakeCallGuard(*check, [this](const std::string& peer) { remote_door->Cut(peer); }));
    builder.experimental().SetInterceptorCreators(std::move(guards));
  }
  builder.SetMaxReceiveMessageSize(static_cast<int>(limits::kLogBatch + limits::kMiB));
  auto millis = [](auto d) { return static_cast<int>(std::chrono::milliseconds(d).count()); };
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, millis(limits::kKeepaliveTime));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, millis(limits::kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             millis(limits::kKeepaliveTime) / 2);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, millis(kHandshakeDeadline));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, static_cast<int>(kMetadataOfACall));
  // What one peer sends within one message or one block of fields is bounded by nothing else in this gRPC.
  grpc::ResourceQuota memory("queen");
  builder.SetResourceQuota(memory.Resize(GrpcMemory(config)));
  // A message says how large it is only when it is not compressed.
  for (grpc_compression_algorithm method : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP})
    builder.SetCompressionAlgorithmSupportStatus(method, false);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  builder.RegisterService(hive_service->service());
  for (const auto& service : services) builder.RegisterService(service.get());
  server = builder.BuildAndStart();
  if (server == nullptr) return absl::InternalError("gRPC does not start\nnext: look at its lines above");
  if (config.keep_logs.count() > 0) {
    retention = std::make_unique<Retention>(*store, *logs, config.keep_logs, StorageFailed);
    retention->Start();
  }
  RETURN_IF_ERROR(OpenDoors());
  return remote_door == nullptr ? absl::OkStatus() : ServePeers();
}

absl::Status Queen::Parts::BindDoors() {
  shares = ShareDescriptors();
  address = absl::StrCat("unix:", config.data, "/queen.sock");
  auto local = http::Door::Bind({"socket", address, shares.local, shares.local});
  if (!local.ok()) {
    return absl::Status(local.status().code(),
                        absl::StrCat(local.status().message(), "\nnext: check the permissions of ",
                                     config.data, ", or choose a shorter --data"));
  }
  local_door = *std::move(local);
  if (config.listen.empty()) return absl::OkStatus();
  auto remote = http::Door::Bind({"grpc", config.listen, shares.remote, config.connections_per_address});
  if (!remote.ok()) {
    return absl::IsInvalidArgument(remote.status())
               ? remote.status()
               : absl::Status(remote.status().code(),
                              absl::StrCat(remote.status().message(), "\nnext: see who has the port"));
  }
  remote_door = *std::move(remote);
  return absl::OkStatus();
}

absl::Status Queen::Parts::OpenDoors() {
  auto into = [](grpc::experimental::ExternalConnectionAcceptor& entry) {
    return [&entry](UniqueFd socket) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
      connection.fd = socket.Release();
      entry.HandleNewConnection(&connection);
    };
  };
  RETURN_IF_ERROR(local_door->Open(into(*local_entry)));
  return remote_door == nullptr ? absl::OkStatus() : remote_door->Open(into(*remote_entry));
}

absl::Status Queen::Parts::PrepareAccess() {
  if (remote_door == nullptr) {  // a queen of one host needs no keys: nothing of OpenSSL is touched
    access.emplace(nullptr, config.peer_certificate, *book, "");
    return absl::OkStatus();
  }
  std::vector<std::string> names = {"localhost", "127.0.0.1", "::1"};
  if (!config.public_name.empty()) names.push_back(config.public_name);
  char host[HOST_NAME_MAX + 1] = {};
  if (::gethostname(host, sizeof host - 1) == 0 && IsName(host)) names.emplace_back(host);
  ASSIGN_OR_RETURN(Identity opened, OpenIdentity(config.data, names, WallNow()));
  identity = std::move(opened);
  access.emplace(&identity->authority, config.peer_certificate, *book,
                 config.public_name.empty() ? host : config.public_name);
  return absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> Queen::Parts::PeerCredentials() const {
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = identity->authority.certificate().pem();
  options.pem_key_cert_pairs.push_back({identity->key, identity->certificate});
  return grpc::SslServerCredentials(options);
}

absl::Status Queen::Parts::ServePeers() {
  const std::uint16_t port = remote_door->port();
  absl::StrAppend(&address, ", grpc ", config.listen.substr(0, config.listen.rfind(':')), ":", port);
  if (config.http.empty()) return absl::OkStatus();
  http::Router router;
  AddEnrolment(router, *mailbox, *workers, *access, port);
  http::HttpServer::Config server_config;
  server_config.listen = config.http;
  server_config.certificate = identity->certificate;
  server_config.key = identity->key;
  server_config.connections = shares.http;
  ASSIGN_OR_RETURN(http, http::HttpServer::Create(std::move(server_config), std::move(router)));
  const std::string bound = http->bound();
  absl::StrAppend(&address, ", https ", bound);
  int enrol_port = 0;
  if (!absl::SimpleAtoi(bound.substr(bound.rfind(':') + 1), &enrol_port)) {
    return absl::InternalError(absl::StrCat("there is no port in ", bound));
  }
  access->enrol_port = static_cast<std::uint16_t>(enrol_port);
  return absl::OkStatus();
}

Queen::Queen(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

absl::StatusOr<std::unique_ptr<Queen>> Queen::Start(const QueenConfig& config) {
  auto queen = std::unique_ptr<Queen>(new Queen(std::make_unique<Parts>(config)));
  RETURN_IF_ERROR(queen->parts_->Recover());
  RETURN_IF_ERROR(queen->parts_->Serve());
  return queen;
}

const std::string& Queen::address() const {
  return parts_->address;
}

Queen::~Queen() {
  Parts& parts = *parts_;
  absl::Status stops = absl::UnavailableError("the queen stops");
  parts.http.reset();
  if (parts.local_door != nullptr) parts.local_door->Close();
  if (parts.remote_door != nullptr) parts.remote_door->Close();
  if (parts.server != nullptr) {
    parts.hub->FailAll(stops);
    parts.hive_service->CloseAll(stops);
    parts.server->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  }
  // Users before what they use: calls, then tasks, then the core, then what the core drives.
  parts.workers.reset();
  parts.fetch_workers.reset();
  if (parts.mailbox != nullptr) parts.mailbox->Stop();
  if (parts.guard != nullptr) parts.guard->Stop();
  if (parts.retention != nullptr) parts.retention->Stop();
  if (parts.server != nullptr) parts.server->Wait();
  parts.server.reset();
  parts.logs.reset();
  parts.hub.reset();
}

}  // namespace waggle::queen
