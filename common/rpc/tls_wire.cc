#include "common/rpc/tls_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/rpc/dial.h"
#include "common/rpc/pinned_chain.h"

namespace waggle::rpc {
namespace {

constexpr unsigned char kHttp11[] = "\x08http/1.1";

// The first byte of a TLS record a server may begin with: an alert, or a handshake message.
constexpr char kAlertRecord = 0x15, kHandshakeRecord = 0x16;

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

absl::Status CutOff(std::string_view when) {
  return absl::UnavailableError(
      absl::StrCat("cut off: the server closed the connection ", std::string(when), ": try again"));
}

}  // namespace

// TLS between memory buffers, and the socket apart from it: OpenSSL's own socket writes raise SIGPIPE, and
// know no deadline.
struct TlsWire::Impl {
  UniqueFd socket;
  std::string host, pin;
  Time until;
  std::unique_ptr<SSL_CTX, Free> context;
  std::unique_ptr<SSL, Free> ssl;
  BIO* incoming = nullptr;  // ssl's
  BIO* outgoing = nullptr;  // ssl's
  bool connected = false;   // the handshake is over
  bool received = false;    // anything at all
  absl::Status verdict = absl::InternalError("the certificate was not looked at");

  absl::Status SetUp();
  absl::Status Send();
  absl::Status Receive();
  absl::Status Fault();
  // Calls `step` until it is done, carrying bytes between it and the socket. Its result; 0: the server ended
  // the connection properly.
  template <typename Step>
  absl::StatusOr<int> Drive(Step step);

  static int Verify(X509_STORE_CTX* sent, void* self) {
    auto* impl = static_cast<Impl*>(self);
    impl->verdict = CheckPinnedChain(sent, impl->pin, impl->host);
    X509_STORE_CTX_set_error(sent, impl->verdict.ok() ? X509_V_OK : X509_V_ERR_CERT_UNTRUSTED);
    return impl->verdict.ok() ? 1 : 0;
  }
};

absl::Status TlsWire::Impl::SetUp() {
  context.reset(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return absl::ResourceExhaustedError("no memory for TLS");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), Verify, this);
  SSL_CTX_set_alpn_protos(context.get(), kHttp11, sizeof kHttp11 - 1);
  ssl.reset(SSL_new(context.get()));
  incoming = BIO_new(BIO_s_mem());
  outgoing = BIO_new(BIO_s_mem());
  if (ssl == nullptr || incoming == nullptr || outgoing == nullptr) {
    BIO_free(incoming);
    BIO_free(outgoing);
    return absl::ResourceExhaustedError("no memory for TLS");
  }
  SSL_set_bio(ssl.get(), incoming, outgoing);
  SSL_set_connect_state(ssl.get());
  in6_addr ignored;
  const bool address =
      ::inet_pton(AF_INET, host.c_str(), &ignored) == 1 || ::inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
  if (!address) SSL_set_tlsext_host_name(ssl.get(), host.c_str());  // SNI has names only
  return absl::OkStatus();
}

absl::Status TlsWire::Impl::Send() {
  char* data = nullptr;
  auto left = static_cast<std::size_t>(BIO_get_mem_data(outgoing, &data));
  while (left > 0) {
    const ssize_t n = ::send(socket.get(), data, left, MSG_NOSIGNAL);
    if (n >= 0) {
      data += n;
      left -= static_cast<std::size_t>(n);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      RETURN_IF_ERROR(AwaitWritable(socket.get(), until, "the server to take the request"));
    } else if (errno != EINTR) {
      (void)BIO_reset(outgoing);  // an answer that came before may still be read
      return CutOff(connected ? "before it took the whole request" : "during the TLS handshake");
    }
  }
  (void)BIO_reset(outgoing);
  return absl::OkStatus();
}

absl::Status TlsWire::Impl::Receive() {
  char buffer[16 * 1024];
  for (;;) {
    RETURN_IF_ERROR(
        AwaitReadable(socket.get(), until, connected ? "the server's answer" : "the TLS handshake"));
    const ssize_t n = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) continue;
    if (n <= 0) return CutOff(connected ? "before its answer was complete" : "during the TLS handshake");
    if (!received && buffer[0] != kAlertRecord && buffer[0] != kHandshakeRecord)
      return absl::FailedPreconditionError(
          "the server does not speak TLS at this port: check that it is the queen's HTTP port");
    received = true;
    if (BIO_write(incoming, buffer, static_cast<int>(n)) != n)
      return absl::ResourceExhaustedError("no memory for TLS");
    return absl::OkStatus();
  }
}

absl::Status TlsWire::Impl::Fault() {
  const unsigned long error = ::ERR_peek_error();
  const char* reason = ::ERR_reason_error_string(error);
  (void)Send();  // the alert that says so; its fate matters no more
  if (ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED) return verdict;
  const std::string text = reason != nullptr ? reason : "an error without a name";
  if (connected) return absl::UnavailableError(absl::StrCat("the server ended the connection: ", text));
  return absl::FailedPreconditionError(
      absl::StrCat("the server does not speak our TLS 1.3: ", text,
                   ": check that this is the queen's HTTP port and nothing in between ends TLS"));
}

template <typename Step>
absl::StatusOr<int> TlsWire::Impl::Drive(Step step) {
  for (;;) {
    ::ERR_clear_error();
    const int result = step();
    const int what = SSL_get_error(ssl.get(), result);
    if (what == SSL_ERROR_SSL || what == SSL_ERROR_SYSCALL) return Fault();
    RETURN_IF_ERROR(Send());
    if (result > 0) return result;
    if (what == SSL_ERROR_ZERO_RETURN) return 0;
    RETURN_IF_ERROR(Receive());
  }
}

absl::StatusOr<std::unique_ptr<TlsWire>> TlsWire::Handshake(UniqueFd socket, const std::string& host,
                                                            const std::string& pin, Time until) {
  auto impl = std::make_unique<Impl>();
  impl->socket = std::move(socket);
  impl->host = host;
  impl->pin = pin;
  impl->until = until;
  RETURN_IF_ERROR(impl->SetUp());
  ASSIGN_OR_RETURN(const int done, impl->Drive([&] { return SSL_do_handshake(impl->ssl.get()); }));
  if (done == 0) return CutOff("during the TLS handshake");
  RETURN_IF_ERROR(impl->verdict);  // OK by now; a change that skips the check must not pass unseen
  impl->connected = true;
  return std::unique_ptr<TlsWire>(new TlsWire(std::move(impl)));
}

TlsWire::TlsWire(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsWire::~TlsWire() = default;

absl::Status TlsWire::Write(std::string_view data) {
  while (!data.empty()) {
    // In pieces of a record, sent one by one: the copy in memory stays small.
    const int size = static_cast<int>(std::min<std::size_t>(data.size(), 16 * 1024));
    ASSIGN_OR_RETURN(const int n,
                     impl_->Drive([&] { return SSL_write(impl_->ssl.get(), data.data(), size); }));
    if (n == 0) return CutOff("before it took the whole request");
    data.remove_prefix(static_cast<std::size_t>(n));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> TlsWire::Read(char* buffer, std::size_t size) {
  ASSIGN_OR_RETURN(const int n,
                   impl_->Drive([&] { return SSL_read(impl_->ssl.get(), buffer, static_cast<int>(size)); }));
  return static_cast<std::size_t>(n);
}

}  // namespace waggle::rpc
