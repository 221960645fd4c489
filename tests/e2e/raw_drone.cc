#include "tests/e2e/raw_drone.h"

#include <gtest/gtest.h>

namespace waggle::test {

RawDrone::RawDrone(const std::string& queen_data, std::string name, char digit)
    : name_(std::move(name)), identity_(32, digit) {
  grpc::ChannelArguments args;
  args.SetInt("grpc.use_local_subchannel_pool", 1);
  stub_ = v1::Hive::NewStub(grpc::CreateCustomChannel("unix:" + queen_data + "/queen.sock",
                                                      grpc::InsecureChannelCredentials(), args));
}

v1::FromDrone RawDrone::Hello() const {
  v1::FromDrone message;
  v1::Hello* hello = message.mutable_hello();
  hello->set_protocol_min(1);
  hello->set_protocol_max(1);
  hello->set_identity(identity_);
  hello->set_name(name_);
  hello->set_host("raw-host");
  hello->set_version("0");
  hello->mutable_info()->set_speed(5);
  hello->mutable_info()->set_capacity(1);
  (*hello->mutable_info()->mutable_labels())["who"] = name_;
  return message;
}

RawControl& RawDrone::Connect() {
  control_ = std::make_unique<RawControl>([this](grpc::ClientContext* c) { return stub_->Control(c); });
  return *control_;
}

RawControl& RawDrone::Join(const v1::FromDrone& hello) {
  Connect().Say(hello);
  std::optional<v1::FromQueen> welcome = control_->Hears([](const auto& m) { return m.has_welcome(); });
  EXPECT_TRUE(welcome.has_value()) << (control_->Ended() ? control_->End().error_message() : "no Welcome");
  if (welcome) session_ = welcome->welcome().session();
  return *control_;
}

RawBulk& RawDrone::OpenBareBulk() {
  bulk_ = std::make_unique<RawBulk>([this](grpc::ClientContext* c) { return stub_->Bulk(c); });
  return *bulk_;
}

RawBulk& RawDrone::OpenBulk() {
  v1::BulkUp hello;
  hello.mutable_hello()->set_identity(identity_);
  hello.mutable_hello()->set_session(session_);
  OpenBareBulk().Say(hello);
  return *bulk_;
}

void RawDrone::Leave() {
  control_.reset();
  bulk_.reset();
}

std::uint64_t RawDrone::NextAssigned() {
  auto newer = [this](const v1::FromQueen& m) { return m.has_assign() && m.assign().epoch() > last_epoch_; };
  std::optional<v1::FromQueen> assign = control_->Hears(newer);
  EXPECT_TRUE(assign.has_value()) << "no assignment for " << name_;
  return last_epoch_ = assign ? assign->assign().epoch() : 0;
}

v1::FromDrone AcceptOf(std::uint64_t epoch) {
  v1::FromDrone message;
  message.mutable_accept()->set_epoch(epoch);
  return message;
}

v1::FromDrone RejectOf(std::uint64_t epoch, const std::string& reason) {
  v1::FromDrone message;
  message.mutable_reject()->set_epoch(epoch);
  message.mutable_reject()->set_reason(reason);
  return message;
}

v1::FromDrone StatusOf(std::uint64_t epoch, v1::HeldAttempt::State state, std::uint32_t counter) {
  v1::FromDrone message;
  v1::HeldAttempt* held = message.mutable_status()->mutable_attempt();
  held->set_epoch(epoch);
  held->set_state(state);
  held->set_counter(counter);
  held->set_test_code(-1);
  held->set_deploy_code(-1);
  return message;
}

v1::FromDrone ShimLostOf(std::uint64_t epoch, std::uint64_t last_seq, const std::string& detail) {
  v1::FromDrone message;
  message.mutable_shim_lost()->set_epoch(epoch);
  message.mutable_shim_lost()->set_last_seq(last_seq);
  message.mutable_shim_lost()->set_detail(detail);
  return message;
}

v1::BulkUp RecordsOf(std::uint64_t epoch, const std::string& packed) {
  v1::BulkUp message;
  message.mutable_records()->set_epoch(epoch);
  message.mutable_records()->set_packed(packed);
  return message;
}

}  // namespace waggle::test
