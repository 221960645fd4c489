#pragma once

#include <functional>
#include <memory>
#include <string>

namespace grpc {
class Channel;
class Status;
}  // namespace grpc

namespace waggle::drone {

// One call that asks the queen for a new certificate. `done` is called once, on a thread of gRPC.
class Renewal {
 public:
  using Done = std::function<void(const grpc::Status&, std::string certificate)>;

  Renewal(std::shared_ptr<grpc::Channel> channel, std::string request, Done done);
  ~Renewal();  // cancels it and waits until `done` was called
  Renewal(const Renewal&) = delete;
  Renewal& operator=(const Renewal&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::drone
