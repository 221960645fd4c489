#include "tests/torture/follower.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc/channel.h"
#include "tests/torture/rpc.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::test {
namespace {

constexpr std::chrono::seconds kOneWatch(30);  // then it is asked again from where it was

}  // namespace

Follower::Follower(std::string target, std::uint64_t job, Printed printed, std::string who, Tally* tally)
    : target_(std::move(target)), job_(job), printed_(printed), who_(std::move(who)), tally_(tally) {
  Begin(0);
}

void Follower::Begin(std::uint64_t epoch) {
  epoch_ = epoch;
  seq_ = 0;
  out_.emplace(printed_.out);
  err_.emplace(printed_.err);
}

bool Follower::Bad(const std::string& what) {
  tally_->Violation(absl::StrCat(who_, " of job ", job_, ", epoch ", epoch_, ": ", what));
  bad_ = true;
  return false;
}

bool Follower::Follow(const std::function<bool()>& go_on) {
  for (;;) {
    const Turn turn = Watch(0, /*follow=*/true);
    if (turn != Turn::kCut) return true;
    if (!go_on()) return false;
    tally_->Resumed();
    std::this_thread::sleep_for(kAgain);
  }
}

bool Follower::ReadStored(std::uint32_t attempt) {
  Begin(0);
  bad_ = false;
  for (int i = 0; i < 20; ++i) {
    if (Watch(attempt, /*follow=*/false) != Turn::kCut) return true;
    std::this_thread::sleep_for(kAgain);
  }
  return false;
}

Follower::Turn Follower::Watch(std::uint32_t attempt, bool follow) {
  auto stub = v1::Logs::NewStub(rpc::OpenChannel(target_));
  grpc::ClientContext context;
  v1::WatchRequest request;
  context.set_deadline(std::chrono::system_clock::now() + kOneWatch);
  request.set_job(job_);
  request.set_attempt(attempt);
  request.set_follow(follow);
  request.set_after_epoch(epoch_);
  request.set_after_seq(seq_);
  auto reader = stub->Watch(&context, request);
  v1::WatchEvent event;
  bool ended = false;
  while (reader->Read(&event)) {
    if (ended && !bad_) Bad("an event behind the end");
    if (event.has_batch() && !bad_) Take(event.batch());
    if (event.has_end()) {
      ended = true;
      state_ = StateName(event.end().job().state());
    }
    if (bad_) context.TryCancel();
  }
  const grpc::Status status = reader->Finish();
  if (bad_) return Turn::kBad;
  if (ended && status.ok()) return Turn::kEnded;
  if (!IsPassing(status)) {
    Bad(status.ok() ? "the watch is over without its end"
                    : absl::StrCat("the queen says: ", status.error_message()));
    return Turn::kBad;
  }
  return Turn::kCut;
}

bool Follower::Take(const v1::Batch& batch) {
  if (batch.epoch() < epoch_) return Bad(absl::StrCat("epoch ", batch.epoch(), " comes behind it"));
  if (batch.epoch() != epoch_) {
    if (epoch_ != 0) Judge(/*whole=*/false);
    Begin(batch.epoch());
  }
  for (const v1::Fragment& fragment : batch.fragments()) {
    if (fragment.seq() != seq_ + 1) {
      return Bad(absl::StrCat("record ", fragment.seq(), " follows ", seq_));
    }
    seq_ = fragment.seq();
    if (fragment.kind() != v1::Fragment::STDOUT && fragment.kind() != v1::Fragment::STDERR) continue;
    NoisyChecker& checker = fragment.kind() == v1::Fragment::STDOUT ? *out_ : *err_;
    if (fragment.offset() != checker.fed()) {
      return Bad(absl::StrCat("offset ", fragment.offset(), " behind ", checker.fed(), " bytes"));
    }
    checker.Feed(fragment.data());
  }
  return true;
}

void Follower::Judge(bool whole) {
  if (bad_) return;
  for (auto& [name, checker] : {std::pair("stdout", &*out_), std::pair("stderr", &*err_)}) {
    const std::uint64_t bytes = checker->fed();
    std::optional<NoisyFault> fault = checker->Finish();
    const bool cut_short = fault && fault->kind == NoisyFault::Kind::kShort;
    const bool differs = fault && (whole || !cut_short);
    tally_->Compared(bytes, differs);
    if (differs) Bad(absl::StrCat(name, ": ", Text(*fault)));
  }
}

}  // namespace waggle::test
