#include "tests/support/remote_queen.h"

namespace waggle::test {
namespace {

// The word behind `mark` in the ready line: "ready on unix:PATH, grpc 127.0.0.1:43210, https
// 127.0.0.1:43211".
std::string WordBehind(const std::string& log, const std::string& mark) {
  const std::size_t ready = log.find(" ready on ");
  if (ready == std::string::npos || log.find('\n', ready) == std::string::npos) return "";
  const std::size_t at = log.find(mark, ready);
  if (at == std::string::npos) return "";
  const std::size_t begin = at + mark.size();
  return log.substr(begin, log.find_first_of(", \n", begin) - begin);
}

}  // namespace

RemoteQueen ListensAt(const std::string& log) {
  return {WordBehind(log, ", grpc "), WordBehind(log, ", https ")};
}

RemoteQueen RemoteFixture::StartRemoteQueen(const RemoteQueen& where, const Words& flags) {
  Words argv = {"--listen", where.grpc, "--http", where.https};
  argv.insert(argv.end(), flags.begin(), flags.end());
  StartQueen(argv);
  RemoteQueen found;
  EXPECT_TRUE(Eventually([&] {
    found = ListensAt(Queen().Err());
    return !found.https.empty() || !Queen().Running();
  })) << Queen().Err();
  EXPECT_NE(found.grpc, "") << Queen().Err();
  return found;
}

std::string RemoteFixture::Invite(const std::string& kind, const std::string& name, const Words& flags) {
  Words argv = {Binary("queen"), "invite", kind, "--data", QueenData()};
  if (!name.empty()) argv.push_back(name);
  argv.insert(argv.end(), flags.begin(), flags.end());
  const Outcome outcome = Start(argv).Finish();
  EXPECT_EQ(outcome.code, 0) << outcome;
  const std::size_t at = outcome.out.find("wg1.");
  EXPECT_NE(at, std::string::npos) << outcome;
  if (at == std::string::npos) return "";
  return outcome.out.substr(at, outcome.out.find_first_of(" \n", at) - at);
}

Outcome RemoteFixture::Enrol(const std::string& https, const std::string& name, const std::string& token,
                             const std::string& data) {
  return Start({Binary("drone"), "enroll", "https://" + https, "--token", token, "--data",
                data.empty() ? DroneData(name) : data, "--name", name})
      .Finish();
}

void RemoteFixture::EnrolDrone(const std::string& https, const std::string& name, const Words& invite_flags) {
  const Outcome outcome = Enrol(https, name, Invite("drone", name, invite_flags));
  ASSERT_EQ(outcome.code, 0) << outcome;
}

}  // namespace waggle::test
