#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <string>

namespace waggle::test {

inline constexpr std::chrono::milliseconds kAgain(50);  // before a question is repeated
inline constexpr std::chrono::seconds kAnswers(5);      // of a queen that is frozen no longer

// "passed", "started", … of v1::JobState.
std::string StateName(int state);
bool IsVerdict(int state);
// What a cut, a dead or a frozen queen looks like to who asks: repeating helps.
bool IsPassing(const grpc::Status& status);

}  // namespace waggle::test
