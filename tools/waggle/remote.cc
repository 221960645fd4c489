#include "tools/waggle/remote.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"
#include "common/rpc/dial.h"
#include "common/rpc/tls_wire.h"
#include "common/tls/request.h"
#include "common/tls/utc.h"
#include "tools/waggle/text.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kConnectDeadline = 5s;
constexpr auto kProbeDeadline = 4s;
constexpr auto kRenewDeadline = 2s;
constexpr std::size_t kReceiveBytes = 16 * limits::kMiB;

absl::Status NotLoggedIn(const std::string& queen, const std::string& why, const char* next) {
  return absl::UnauthenticatedError(
      absl::StrCat("you are not logged in to ", queen, "\n", why, "\nnext: ", next, " [WG002]"));
}

constexpr const char* kLogIn =
    "have her administrator run `queen invite user NAME`, then waggle login with the line it prints";

// Why gRPC came to no connection; it does not say. Asks the same port without it.
absl::Status Diagnose(const Login& login, const Address& address) {
  const Time until = BootClock::now() + kProbeDeadline;
  absl::StatusOr<UniqueFd> socket = rpc::Dial(login.queen.host, absl::StrCat(login.queen.port), until);
  if (!socket.ok()) return Unreachable(address, absl::StrCat(socket.status().message()));
  const absl::Status met =
      rpc::TlsWire::Handshake(*std::move(socket), rpc::kQueenName, login.authority.key_id(), until).status();
  if (absl::IsPermissionDenied(met)) {
    return absl::PermissionDeniedError(
        absl::StrCat("the queen at ", login.queen.Text(), " is not the one you logged in to\n", met.message(),
                     "\nnext: ask her administrator; if she was set up anew, log in again [WG502]"));
  }
  if (!met.ok()) return Unreachable(address, absl::StrCat("what listens there is no queen: ", met.message()));
  return Unreachable(
      address, absl::StrCat("she ended the connection; the certificate of ", login.name(), " is valid until ",
                            tls::UtcText(login.certificate.not_after()), " by the clock of this host"));
}

}  // namespace

absl::Status Unreachable(const Address& address, std::string_view why) {
  const absl::string_view reason(why.data(), why.size());
  const bool local = address.remote.empty();
  return absl::UnavailableError(
      absl::StrCat("cannot reach the queen at ", address.shown(), local ? " (" : "\n", reason,
                   local ? ")" : "", "\nthe address comes from ", address.origin, "\nnext: ",
                   local ? "start her with `queen serve`, or name her socket with --queen"
                         : "check that she runs there with --listen, and that nothing on the way stops you",
                   " [WG001]"));
}

absl::StatusOr<Login> UsableLogin(const Logins& logins, const Address& address) {
  absl::StatusOr<Login> login = logins.Find(address.remote);
  if (absl::IsNotFound(login.status())) {
    return NotLoggedIn(address.remote, absl::StrCat("the address comes from ", address.origin), kLogIn);
  }
  if (!login.ok()) return login;
  const WallMillis now = WallNow();
  const tls::Certificate& certificate = login->certificate;
  if (certificate.CheckTime(now).ok()) return login;
  const bool over = now >= certificate.not_after();
  const std::string why =
      over ? absl::StrCat("the certificate of ", login->name(), " expired ",
                          tls::UtcText(certificate.not_after()), ", ", Age(now - certificate.not_after()),
                          " ago")
           : absl::StrCat("the certificate of ", login->name(), " is not valid before ",
                          tls::UtcText(certificate.not_before()), ", and it is ", tls::UtcText(now), " here");
  return NotLoggedIn(login->queen.Text(), why, over ? kLogIn : "set the clock of this host");
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> ConnectTls(const Login& login, const Address& address) {
  rpc::ChannelOptions options;
  options.max_receive = kReceiveBytes;
  ASSIGN_OR_RETURN(options.tls, login.ForChannel());
  std::shared_ptr<grpc::Channel> channel =
      rpc::OpenChannel(absl::StrCat("dns:///", login.queen.Text()), options);
  const auto until = std::chrono::system_clock::now() + kConnectDeadline;
  for (;;) {
    const grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
    if (state == GRPC_CHANNEL_READY) return channel;
    // It would go on trying; whoever typed the command wants to know.
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || !channel->WaitForStateChange(state, until))
      return Diagnose(login, address);
  }
}

void RenewIfDue(const Login& login, const Logins& logins, const std::shared_ptr<grpc::Channel>& channel) {
  const tls::Certificate& old = login.certificate;
  const WallMillis now = WallNow();
  if (now - old.not_before() < old.not_after() - now) return;
  absl::StatusOr<std::string> request = tls::MakeRequest(login.key);
  if (!request.ok()) return;
  v1::RenewRequest question;
  question.set_request(*std::move(request));
  v1::RenewResponse answer;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kRenewDeadline);
  if (!v1::Access::NewStub(channel)->Renew(&context, question, &answer).ok()) return;
  absl::StatusOr<tls::Certificate> renewed = tls::Certificate::FromPem(answer.certificate());
  if (!renewed.ok() || renewed->key_id() != login.key.id()) return;
  if (!tls::Verify(*renewed, login.authority, {tls::Role::kUser}, now).ok()) return;
  logins.Renew(login, *std::move(renewed)).IgnoreError();
}

}  // namespace waggle::cli
