#pragma once

#include <memory>
#include <vector>

#include "queen/api/core_port.h"
#include "queen/api/workers.h"
#include "queen/logs/watch.h"
#include "queen/store/store.h"
#include "queen/triggers/submit.h"

namespace grpc {
class Service;
}

namespace waggle::queen {

// What the services for people and tools work with. All outlive the services.
struct PeopleParts {
  CorePort& core;
  Store& store;
  LogStore& logs;
  WatchHub& hub;
  const RunReader& runs;
  Workers& workers;        // SQL and log reading
  Workers& fetch_workers;  // repositories
};

// One per gRPC service of queen.proto. Each handler converts, calls, converts.
std::unique_ptr<grpc::Service> MakeRunsService(const PeopleParts& parts);
std::unique_ptr<grpc::Service> MakeJobsService(const PeopleParts& parts);
std::unique_ptr<grpc::Service> MakeLogsService(const PeopleParts& parts);
std::unique_ptr<grpc::Service> MakeFleetService(const PeopleParts& parts);

}  // namespace waggle::queen
