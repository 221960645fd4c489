#include "drone/link/renewal.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/synchronization/notification.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::drone {
namespace {

constexpr std::chrono::seconds kDeadline(30);

}  // namespace

struct Renewal::Impl {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Access::Stub> stub;
  grpc::ClientContext context;
  v1::RenewRequest request;
  v1::RenewResponse response;
  absl::Notification called;
};

Renewal::Renewal(std::shared_ptr<grpc::Channel> channel, std::string request, Done done)
    : impl_(std::make_unique<Impl>()) {
  impl_->channel = std::move(channel);
  impl_->stub = v1::Access::NewStub(impl_->channel);
  impl_->request.set_request(std::move(request));
  impl_->context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  impl_->stub->async()->Renew(&impl_->context, &impl_->request, &impl_->response,
                              [impl = impl_.get(), done = std::move(done)](grpc::Status status) {
                                done(status, std::move(*impl->response.mutable_certificate()));
                                impl->called.Notify();
                              });
}

Renewal::~Renewal() {
  impl_->context.TryCancel();
  impl_->called.WaitForNotification();
}

}  // namespace waggle::drone
