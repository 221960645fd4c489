#include "queen/api/call_guard.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_interceptor.h>
#include <spdlog/spdlog.h>

#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/synchronization/mutex.h"
#include "common/base/limits.h"
#include "queen/api/call_budget.h"
#include "queen/api/peer_check.h"

namespace waggle::queen {
namespace {

class CallGuard : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  CallGuard(const PeerCheck& check, CutPeer cut) : check_(check), cut_(std::move(cut)) {}

  // Wants to see nothing else of the call: it costs no more than this.
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    const grpc::ServerContextBase& context = *info->server_context();
    const Caller caller = check_.CallerOf(context);
    if (caller.local) return nullptr;
    if (!budget_.Take(caller.key, BootClock::now())) {
      Cut(context, caller, "calls too often");
    } else if (MetadataBytes(context) > kMetadataOfACall) {
      Cut(context, caller, "sends more metadata with a call than it may");
    }
    return nullptr;
  }

 private:
  static std::size_t MetadataBytes(const grpc::ServerContextBase& context) {
    constexpr std::size_t kOverhead = 32;  // per field, as HTTP/2 counts
    std::size_t bytes = 0;
    for (const auto& [name, value] : context.client_metadata())
      bytes += name.size() + value.size() + kOverhead;
    return bytes;
  }

  void Cut(const grpc::ServerContextBase& context, const Caller& caller, std::string_view why) {
    const std::string address = PeerAddress(context.peer());
    const Time now = BootClock::now();
    if (JustCut(address, now)) return;
    if (log_.Take("", now)) spdlog::warn("{} at {} {}: its connection is cut", caller.name, address, why);
    cut_(address);
  }

  // What it had sent before is still coming in, a thousand calls at a time.
  bool JustCut(const std::string& address, Time now) {
    absl::MutexLock lock(&mutex_);
    if (address == last_cut_ && now - last_cut_at_ < std::chrono::seconds(1)) return true;
    last_cut_ = address;
    last_cut_at_ = now;
    return false;
  }

  const PeerCheck& check_;
  const CutPeer cut_;
  CallBudget budget_{kCallsAtOnce, kCallEvery};
  CallBudget log_{10, std::chrono::seconds(1)};  // lines
  absl::Mutex mutex_;
  std::string last_cut_ ABSL_GUARDED_BY(mutex_);
  Time last_cut_at_ ABSL_GUARDED_BY(mutex_){};
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallGuard(const PeerCheck& check,
                                                                                     CutPeer cut) {
  return std::make_unique<CallGuard>(check, std::move(cut));
}

std::string PeerAddress(const std::string& uri) {
  if (!absl::StartsWith(uri, "ipv4:") && !absl::StartsWith(uri, "ipv6:")) return "";
  std::string address = absl::StrReplaceAll(uri.substr(5), {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}});
  const std::size_t scope = address.find('%'), end = address.find(']');
  if (scope != std::string::npos && end != std::string::npos && scope < end)
    address.erase(scope, end - scope);
  return address;
}

}  // namespace waggle::queen
