#include "tests/torture/rpc.h"

#include "absl/strings/ascii.h"
#include "waggle/v1/job.pb.h"

namespace waggle::test {

std::string StateName(int state) {
  return absl::AsciiStrToLower(v1::JobState_Name(static_cast<v1::JobState>(state)));
}

bool IsVerdict(int state) {
  return state >= v1::PASSED;
}

bool IsPassing(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::UNKNOWN:   // a connection cut in the middle of a frame
    case grpc::StatusCode::INTERNAL:  // likewise
      return true;
    default:
      return false;
  }
}

}  // namespace waggle::test
