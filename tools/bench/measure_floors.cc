// F1 … F6 alone.
#include "common/base/status_macros.h"
#include "tools/bench/floors.h"

namespace waggle::bench {
namespace {

constexpr int kSpawns = 1000, kCommits = 500, kSyncs = 200, kPings = 500, kConnections = 50;
constexpr std::uint64_t kStream = std::uint64_t{512} << 20, kAppend = std::uint64_t{512} << 20;

Figure Floor(const char* id, const char* what, const char* unit, Figure::Better better) {
  Figure figure;
  figure.id = id;
  figure.what = what;
  figure.unit = unit;
  figure.better = better;
  return figure;
}

}  // namespace

absl::Status MeasureFloors(Bench& bench) {
  using Better = Figure::Better;
  Figure spawns = Floor("F1", "sh -c true, all cores", "/s", Better::kHigher);
  Figure spawn_cpu = Floor("F1", "CPU of one sh -c true", "ms", Better::kLower);
  Figure commits = Floor("F2", "one-row SQLite FULL commits", "/s", Better::kHigher);
  Figure syncs = Floor("F2", "4 KiB append and fdatasync, p50", "ms", Better::kLower);
  Figure stream = Floor("F3", "gRPC stream, 64 KiB messages", "MB/s", Better::kHigher);
  Figure ping = Floor("F3", "gRPC ping-pong, p50", "ms", Better::kLower);
  Figure pipe100 = Floor("F4", "pipe, 100-byte writes", "MB/s", Better::kHigher);
  Figure pipe10 = Floor("F4", "pipe, 10-byte writes", "MB/s", Better::kHigher);
  Figure pipe64k = Floor("F4", "pipe, 64 KiB writes", "MB/s", Better::kHigher);
  Figure append = Floor("F5", "append, fdatasync per MiB", "MB/s", Better::kHigher);
  Figure idle = Floor("F6", "idle gRPC connection and stream", "KiB", Better::kLower);
  for (int i = 0; i < bench.plan().repetitions; ++i) {
    ASSIGN_OR_RETURN(const SpawnFloor spawn, MeasureSpawn(kSpawns));
    spawns.values.push_back(spawn.per_second);
    spawn_cpu.values.push_back(spawn.cpu_seconds * 1e3);
    ASSIGN_OR_RETURN(commits.values.emplace_back(), MeasureCommits(bench.scratch(), kCommits));
    ASSIGN_OR_RETURN(const double sync, MeasureSyncs(bench.scratch(), kSyncs));
    syncs.values.push_back(sync * 1e3);
    ASSIGN_OR_RETURN(std::unique_ptr<RpcFloor> rpc, RpcFloor::Start(bench));
    ASSIGN_OR_RETURN(idle.values.emplace_back(), rpc->IdleConnection(kConnections));
    ASSIGN_OR_RETURN(stream.values.emplace_back(), rpc->Stream(kStream));
    ASSIGN_OR_RETURN(const double round, rpc->PingPong(kPings));
    ping.values.push_back(round * 1e3);
    ASSIGN_OR_RETURN(pipe100.values.emplace_back(), MeasurePipe(bench, 20'000'000, 100));
    ASSIGN_OR_RETURN(pipe10.values.emplace_back(), MeasurePipe(bench, 2'000'000, 10));
    ASSIGN_OR_RETURN(pipe64k.values.emplace_back(), MeasurePipe(bench, 500'000'000, 65'536));
    ASSIGN_OR_RETURN(append.values.emplace_back(), MeasureAppend(bench.scratch(), kAppend));
  }
  for (Figure* figure :
       {&spawns, &spawn_cpu, &commits, &syncs, &stream, &ping, &pipe100, &pipe10, &pipe64k, &append, &idle}) {
    bench.Add(std::move(*figure));
  }
  return absl::OkStatus();
}

}  // namespace waggle::bench
