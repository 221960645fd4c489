#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tools/bench/figure.h"

namespace waggle::bench {

// Where and with what it was measured, as people and JSON are told.
struct Surroundings {
  std::string cpu, kernel, commit, grpc, sqlite, compiler, durability, load_before, load_after;
  long cores = 0, memory_mib = 0;
  bool quick = false;
};

// CPU model of /proc/cpuinfo's text; "" when it names none.
std::string CpuModel(std::string_view cpuinfo);
// MemTotal of /proc/meminfo's text in MiB; 0 when it has none.
long MemoryMiB(std::string_view meminfo);
std::string LoadAverage();

// Of this machine and this binary; the commit is the caller's.
Surroundings Here();

std::string TextReport(const Surroundings& here, const std::vector<Figure>& figures);
nlohmann::json JsonReport(const Surroundings& here, const std::vector<Figure>& figures);

}  // namespace waggle::bench
