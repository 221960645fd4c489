#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/tls/authority.h"
#include "queen/api/core_port.h"
#include "queen/api/peer_book.h"
#include "queen/api/peer_check.h"
#include "queen/api/workers.h"
#include "queen/logs/watch.h"
#include "queen/store/store.h"
#include "queen/triggers/submit.h"

namespace grpc {
class Service;
}

namespace waggle::queen {

// How peers on other hosts are made.
struct AccessPart {
  AccessPart(const tls::Authority* authority, std::chrono::seconds validity, PeerBook& book,
             std::string enrol_host)
      : authority(authority), validity(validity), book(book), enrol_host(std::move(enrol_host)) {}

  const tls::Authority* const authority;  // null: only her socket serves, and nobody enrols
  const std::chrono::seconds validity;    // of a peer's certificate
  PeerBook& book;
  const std::string enrol_host;
  std::atomic<std::uint16_t> enrol_port{0};  // 0: nobody can enrol; set when it listens
};

// What the services for people and tools work with. All outlive the services.
struct PeopleParts {
  CorePort& core;
  Store& store;
  LogStore& logs;
  WatchHub& hub;
  const RunReader& runs;
  Workers& workers;        // SQL, log reading, signing
  Workers& fetch_workers;  // repositories
  const AccessPart& access;
  const PeerCheck& check;
};

// One per gRPC service of queen.proto. Each handler converts, calls, converts.
std::unique_ptr<grpc::Service> MakeRunsService(const PeopleParts& parts);
std::unique_ptr<grpc::Service> MakeJobsService(const PeopleParts& parts);
std::unique_ptr<grpc::Service> MakeLogsService(const PeopleParts& parts);
std::unique_ptr<grpc::Service> MakeFleetService(const PeopleParts& parts);
std::unique_ptr<grpc::Service> MakeAccessService(const PeopleParts& parts);

}  // namespace waggle::queen
