#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

// `waggle-shim --host`: a shim that waits to be many. Executing a program and starting its run time costs
// more than all a shim does for a short job, so a drone keeps one that is started and has it copied for each
// attempt. The copy is a child of the drone (CLONE_PARENT), as if the drone had started it, and shows its own
// directory and mark in /proc. The host ends when its socket does, with its drone; its copies go on.
namespace waggle::shim {

// The host's socket, SOCK_SEQPACKET. A request is one message: HostRequest() with the listening socket and
// the log of the attempt beside it (SCM_RIGHTS). Each is answered by one HostReply.
inline constexpr int kHostFd = 3;
inline constexpr std::size_t kHostRequestBytes = 8192;

struct HostReply {
  pid_t pid = -1;
  int error = 0;  // errno; then there is no process
};

// "directory\0key".
std::string HostRequest(std::string_view directory, std::string_view key);

// The arguments and environment of a host leave this much room for those of its copies.
std::string HostDirectory(std::string_view parent);  // to be its last argument
std::string HostKey(std::string_view identity);      // to be its mark

// Runs the host; in each copy it runs `lead` with the attempt's directory. Gives the exit code of either.
int RunHost(char** argv, const std::function<int(const std::string& directory)>& lead);

}  // namespace waggle::shim
