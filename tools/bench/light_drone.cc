#include "tools/bench/light_drone.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "waggle/v1/hive.grpc.pb.h"

namespace waggle::bench {
namespace {

using namespace std::chrono_literals;

constexpr Duration kWelcome = 10s;

}  // namespace

struct LightDrone::Impl {
  explicit Impl(const std::string& socket)
      : control_stub(v1::Hive::NewStub(rpc::OpenChannel("unix:" + socket))),
        bulk_stub(v1::Hive::NewStub(rpc::OpenChannel("unix:" + socket))) {}

  void ReadControl() {
    for (v1::FromQueen message; control->Read(&message);) {
      absl::MutexLock lock(&mutex);
      if (message.has_welcome()) session = message.welcome().session();
      if (message.has_assign()) assigned.push_back(message.assign().epoch());
    }
    absl::MutexLock lock(&mutex);
    over = true;
  }
  void ReadBulk() {
    for (v1::BulkDown message; bulk->Read(&message);) {
      if (message.has_ack() && on_ack) on_ack(message.ack().epoch(), message.ack().seq());
    }
  }

  const std::unique_ptr<v1::Hive::Stub> control_stub, bulk_stub;  // a connection each, as real ones
  grpc::ClientContext control_context, bulk_context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::FromDrone, v1::FromQueen>> control;
  std::unique_ptr<grpc::ClientReaderWriter<v1::BulkUp, v1::BulkDown>> bulk;
  OnAck on_ack;
  std::thread control_thread, bulk_thread;

  absl::Mutex mutex;
  std::uint64_t session ABSL_GUARDED_BY(mutex) = 0;
  std::deque<std::uint64_t> assigned ABSL_GUARDED_BY(mutex);
  bool over ABSL_GUARDED_BY(mutex) = false;
};

LightDrone::LightDrone(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

LightDrone::~LightDrone() {
  impl_->control_context.TryCancel();
  impl_->bulk_context.TryCancel();
  if (impl_->control_thread.joinable()) impl_->control_thread.join();
  if (impl_->bulk_thread.joinable()) impl_->bulk_thread.join();
  if (impl_->control) impl_->control->Finish();
  if (impl_->bulk) impl_->bulk->Finish();
}

absl::StatusOr<std::unique_ptr<LightDrone>> LightDrone::Connect(const std::string& socket, int number,
                                                                std::uint32_t capacity, OnAck on_ack) {
  std::unique_ptr<LightDrone> drone(new LightDrone(std::make_unique<Impl>(socket)));
  Impl& impl = *drone->impl_;
  impl.on_ack = std::move(on_ack);
  impl.control = impl.control_stub->Control(&impl.control_context);
  v1::FromDrone up;
  v1::Hello* hello = up.mutable_hello();
  hello->set_protocol_min(1);
  hello->set_protocol_max(1);
  hello->set_identity(absl::StrFormat("%032x", number + 1));
  hello->set_name(absl::StrCat("light-", number));
  hello->set_boot_id("11111111-2222-3333-4444-555555555555");
  hello->set_version("0.1.0");
  hello->set_host("bench");
  hello->mutable_info()->set_speed(1);
  hello->mutable_info()->set_capacity(capacity);
  impl.control->Write(up);
  impl.control_thread = std::thread([&impl] { impl.ReadControl(); });
  v1::BulkUp bulk;
  {
    absl::MutexLock lock(&impl.mutex);
    auto welcomed = [&impl]()
                        ABSL_EXCLUSIVE_LOCKS_REQUIRED(impl.mutex) { return impl.session != 0 || impl.over; };
    impl.mutex.AwaitWithTimeout(absl::Condition(&welcomed), absl::FromChrono(kWelcome));
    if (impl.session == 0) return absl::UnavailableError("the queen does not welcome a light drone");
    bulk.mutable_hello()->set_session(impl.session);
  }
  impl.bulk = impl.bulk_stub->Bulk(&impl.bulk_context);
  bulk.mutable_hello()->set_identity(hello->identity());
  if (!impl.bulk->Write(bulk))
    return absl::UnavailableError("the queen refuses the bulk stream of a light drone");
  impl.bulk_thread = std::thread([&impl] { impl.ReadBulk(); });
  return drone;
}

absl::StatusOr<std::vector<std::uint64_t>> LightDrone::Take(int count, Duration patience) {
  std::vector<std::uint64_t> epochs;
  const Time deadline = BootClock::now() + patience;
  while (epochs.size() < static_cast<std::size_t>(count)) {
    std::deque<std::uint64_t> fresh;
    {
      absl::MutexLock lock(&impl_->mutex);
      auto some = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(impl_->mutex) {
        return !impl_->assigned.empty() || impl_->over;
      };
      impl_->mutex.AwaitWithTimeout(absl::Condition(&some), absl::FromChrono(deadline - BootClock::now()));
      fresh.swap(impl_->assigned);
    }
    if (fresh.empty()) {
      return absl::DeadlineExceededError(
          absl::StrCat("a light drone got ", epochs.size(), " of ", count, " assignments"));
    }
    for (std::uint64_t epoch : fresh) {
      v1::FromDrone accept, running;
      accept.mutable_accept()->set_epoch(epoch);
      accept.mutable_accept()->set_received_at(WallNow());
      v1::HeldAttempt* held = running.mutable_status()->mutable_attempt();
      held->set_epoch(epoch);
      held->set_state(v1::HeldAttempt::RUNNING);
      held->set_counter(1);
      held->set_received_at(WallNow());
      held->set_started_at(WallNow());
      held->set_test_code(-1);
      held->set_deploy_code(-1);
      if (!impl_->control->Write(accept) || !impl_->control->Write(running)) {
        return absl::UnavailableError("the queen ended the stream of a light drone");
      }
      epochs.push_back(epoch);
    }
  }
  return epochs;
}

absl::Status LightDrone::Send(std::uint64_t epoch, const std::string& packed) {
  v1::BulkUp up;
  up.mutable_records()->set_epoch(epoch);
  up.mutable_records()->set_packed(packed);
  if (impl_->bulk->Write(up)) return absl::OkStatus();
  return absl::UnavailableError("the queen ended the bulk stream of a light drone");
}

}  // namespace waggle::bench
