#pragma once

#include <string>

#include "tests/support/hive_fixture.h"

namespace waggle::test {

// Where a queen listens for other hosts: ADDRESS:PORT each; port 0: any.
struct RemoteQueen {
  std::string grpc = "127.0.0.1:0", https = "127.0.0.1:0";
};

// What a queen's log says in its ready line; empty until she is ready.
RemoteQueen ListensAt(const std::string& log);

// A hive whose queen also listens for other hosts.
class RemoteFixture : public HiveFixture {
 protected:
  // Returns when she listens on all of it; with the ports she got. With those she can be started there again.
  RemoteQueen StartRemoteQueen(const RemoteQueen& where = {}, const Words& flags = {});
  // `queen invite KIND NAME`: the token it prints. An empty name: whoever enrols chooses.
  std::string Invite(const std::string& kind, const std::string& name, const Words& flags = {});
  // `drone enroll` with that token, into the data directory of this drone or into `data`.
  Outcome Enrol(const std::string& https, const std::string& name, const std::string& token,
                const std::string& data = "");
  // The same with a new invitation; it has to work.
  void EnrolDrone(const std::string& https, const std::string& name, const Words& invite_flags = {});
};

}  // namespace waggle::test
