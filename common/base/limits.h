#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

// Every bound of the system, with unit and reason. architecture.md section 8 is the same table for people.
namespace waggle::limits {

using namespace std::chrono_literals;

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;
inline constexpr std::size_t kGiB = 1024 * kMiB;

// Liveness. The queen adds its margin so that the drone always knows first.
inline constexpr auto kHeartbeatBusy = 5s;
inline constexpr auto kHeartbeatIdle = 15s;
inline constexpr auto kLease = 30s;
inline constexpr auto kLeaseMargin = 3s;  // and 5 % of the lease, on the queen's side
inline constexpr auto kHelloDeadline = 10s;
inline constexpr auto kAcceptDeadline = 10s;  // an assignment no drone answered goes back to the queue
inline constexpr auto kSealDeadline =
    10min;  // how long a drone may take to bring the records of a shim that died

// Reconnect back-off of a drone: full jitter, doubling.
inline constexpr auto kBackoffMin = 50ms;
inline constexpr auto kBackoffMax = 1s;

// gRPC keepalive of the drone; the queen permits pings at half that time.
inline constexpr auto kKeepaliveTime = 10s;
inline constexpr auto kKeepaliveTimeout = 5s;

// Messages.
inline constexpr std::size_t kControlMessage = 256 * kKiB;
inline constexpr std::size_t kJobDocument = 192 * kKiB;  // leaves room for limits and secrets in an Assign
inline constexpr std::size_t kLogBatch = 1 * kMiB;
inline constexpr std::size_t kRecordPayload = 64 * kKiB;
inline constexpr std::size_t kAttemptsInHello = 1024;

// Unacknowledged bytes on the bulk stream.
inline constexpr std::size_t kWindowPerAttempt = 4 * kMiB;
inline constexpr std::size_t kWindowPerDrone = 32 * kMiB;

// Journals.
inline constexpr std::size_t kSegment = 8 * kMiB;
inline constexpr std::size_t kSpoolSegment =
    1 * kMiB;  // on the drone: space comes back in pieces of this size
inline constexpr std::size_t kSpoolReserve =
    512 * kKiB;  // kept free for the end of each attempt: a batch that was
                 // read before the disk was full, and the last records
inline constexpr std::size_t kIndexEvery = 64 * kKiB;    // one checkpoint of the line index per so many bytes
inline constexpr std::uint64_t kSpoolBudget = 4 * kGiB;  // or 10 % of free space, whichever is less
inline constexpr std::uint64_t kLogPerJob = 1 * kGiB;    // byte 1 GiB + 1 crosses it

// The queen's disk. With less space or fewer inodes than this she takes nothing new; the ballast is given up
// first.
inline constexpr std::uint64_t kStorageLow = 512 * kMiB;  // or 5 % of the file system, whichever is less
inline constexpr std::uint64_t kBallast = 64 * kMiB;      // or 2 % of it
inline constexpr std::uint64_t kInodesLow = 1'000;        // or 5 %

// Time limits of a job, enforced by the shim.
inline constexpr auto kWallLimit = 60min;
inline constexpr auto kSilenceLimit = 10min;
inline constexpr auto kCleanupLimit = 2min;
inline constexpr auto kPluginLimit = 10s;  // of one run of a plugin; the commands it asks for come after it
inline constexpr auto kOperatorCeiling = 24h;
inline constexpr auto kCancelInterrupt = 10s;  // INT, wait, then
inline constexpr auto kCancelTerminate = 10s;  // TERM, wait, then KILL

inline constexpr int kInfrastructureRetries = 2;  // three attempts in all
// So many attempts of a job are not counted among them, because somebody stopped or closed their drone:
// enough for a rolling restart of a large hive, and still a bound.
inline constexpr std::uint32_t kExcusedAttempts = 20;

// Names, labels and texts a peer may send. Longer is refused with the field's name.
inline constexpr std::size_t kNameBytes = 128;
inline constexpr std::size_t kLabelBytes = 256;
inline constexpr std::size_t kLabels = 64;
inline constexpr std::size_t kReasonBytes = 4 * kKiB;
inline constexpr std::size_t kCommandsPerJob = 1000;
inline constexpr std::uint32_t kMaxCapacity = 1024;  // slots of one drone

// Watching.
inline constexpr auto kWatchHeartbeat = 10s;
inline constexpr std::size_t kWatchBatch = 256 * kKiB;  // bytes of output in one message to a watcher
inline constexpr std::size_t kWatchers = 16'384;
inline constexpr std::size_t kDrones = 16'384;

// Pipeline files; size, depth and nodes are those of configuration files too.
inline constexpr std::size_t kPipelineBytes = 1 * kMiB;
inline constexpr std::size_t kPipelineUntold =
    256 * kKiB;  // one text or one pair of brackets; above kJobDocument
inline constexpr int kPipelineDepth = 64;
inline constexpr int kPipelineNodes = 10'000;
inline constexpr int kPipelineJobs = 1'000;  // after expansion
// What a matrix may make of its job's text and values in all; a run's jobs are in memory at once.
inline constexpr std::uint64_t kPipelineExpanded = 64 * kMiB;
inline constexpr std::size_t kMatrixAxes = 16;
inline constexpr std::size_t kMatrixValues = 256;  // of one axis; and entries of include and exclude
inline constexpr std::size_t kConfigFiles = 256;   // drop-ins of one program

// Keys, certificates and requests, as PEM text; ours have less than 1 KiB, a queen of many names the most.
inline constexpr std::size_t kPemBytes = 8 * kKiB;
inline constexpr std::size_t kQueenNames = 16;  // of 253 bytes each they still fit in kPemBytes

// Secrets and their masking.
inline constexpr std::size_t kSecretMin = 6;  // bytes without white space at the ends; less would wreck logs
inline constexpr std::size_t kSecretBytes = 64 * kKiB;  // of one secret, and of all of a job
inline constexpr std::size_t kPatternBytes =
    2 * kMiB;                                    // all forms of a job's secrets; 16 bytes of memory for each
inline constexpr std::size_t kEscapeBytes = 64;  // a colour sequence; longer ones are text
inline constexpr std::size_t kNoiseBytes =
    64 * kKiB;  // colours and CRs inside one secret: a key of 2,500 bytes, each in its own true colour

}  // namespace waggle::limits
