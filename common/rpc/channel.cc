#include "common/rpc/channel.h"

#include <grpc/grpc.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <chrono>
#include <cstdlib>

#include "common/base/limits.h"

namespace waggle::rpc {
namespace {

constexpr std::size_t kReceiveDefault = limits::kLogBatch + 64 * limits::kKiB;

template <typename Duration>
int Millis(Duration d) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
}

// With its last channel gRPC ends its threads, and whoever deletes that channel waits for them: up to 10 s
// when one of them is connecting. A daemon that has lost its only queen must not wait, so the library is kept
// for the life of the process.
void KeepLibrary() {
  [[maybe_unused]] static const bool kept = [] {
    ::grpc_init();
    return true;
  }();
}

}  // namespace

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& target, const ChannelOptions& options) {
  KeepLibrary();
  grpc::ChannelArguments args;
  args.SetInt("grpc.use_local_subchannel_pool", 1);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Millis(limits::kKeepaliveTime));
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Millis(limits::kKeepaliveTimeout));
  args.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, Millis(limits::kBackoffMin));
  // Despite its name also the least time that one attempt has, TLS and slow links included.
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Millis(limits::kHelloDeadline));
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Millis(limits::kBackoffMax));
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  args.SetMaxReceiveMessageSize(
      static_cast<int>(options.max_receive != 0 ? options.max_receive : kReceiveDefault));
  if (!options.tls) return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), args);
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = options.tls->authority;
  tls.pem_private_key = options.tls->key;
  tls.pem_cert_chain = options.tls->certificate;
  args.SetSslTargetNameOverride(kQueenName);
  return grpc::CreateCustomChannel(target, grpc::SslCredentials(tls), args);
}

// This gRPC has no option for it. Its list of TLS 1.2 ciphers is the one below, which needs an RSA
// certificate; ours are ECDSA, so only the ciphers of 1.3 are left.
void OnlyTls13() {
  ::setenv("GRPC_SSL_CIPHER_SUITES", "ECDHE-RSA-AES256-GCM-SHA384", /*overwrite=*/1);
}

}  // namespace waggle::rpc
