#include "tests/support/tls_peer.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <functional>

#include "absl/strings/ascii.h"
#include "tests/support/child.h"

namespace waggle::test {
namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress Parse(const std::string& host, int port) {
  SocketAddress out;
  if (host.find(':') == std::string::npos) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(::inet_pton(AF_INET, host.c_str(), &v4->sin_addr), 1) << host;
    out.size = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr), 1) << host;
    out.size = sizeof *v6;
  }
  return out;
}

SocketAddress Parse(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.front() == '[') host = host.substr(1, host.size() - 2);
  return Parse(host, std::stoi(address.substr(colon + 1)));
}

}  // namespace

UniqueFd ConnectTcp(const std::string& address, const std::string& from) {
  UniqueFd fd(::socket(Parse(address).storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;  // or each first request waits 40 ms for an acknowledgement
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ConnectTo(fd.get(), address, from);
  return fd;
}

void ConnectTo(int fd, const std::string& address, const std::string& from) {
  SocketAddress to = Parse(address);
  if (to.storage.ss_family == AF_INET) {
    const int on = 1;  // the port is chosen at connect: thousands of sockets do not use them up
    ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    SocketAddress source = Parse(from, 0);
    ASSERT_EQ(::bind(fd, source.get(), source.size), 0) << from;
  }
  ASSERT_EQ(::connect(fd, to.get(), to.size), 0) << address << ": " << strerror(errno);
}

struct TlsPeer::Impl {
  UniqueFd fd;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context{nullptr, SSL_CTX_free};
  std::unique_ptr<SSL, void (*)(SSL*)> ssl{nullptr, SSL_free};
  BIO* in = nullptr;
  BIO* out = nullptr;
  bool properly_closed = false;
  std::string text;  // decrypted, not yet given away

  std::string TakeOut() {
    char* data = nullptr;
    const long size = BIO_get_mem_data(out, &data);
    std::string bytes(data, static_cast<std::size_t>(size));
    (void)BIO_reset(out);
    return bytes;
  }
  bool SendAll(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  bool Readable(Millis patience) {
    pollfd entry{fd.get(), POLLIN, 0};
    return ::poll(&entry, 1, static_cast<int>(patience.count())) > 0;
  }
  bool Receive() {
    char buffer[16384];
    if (!Readable(kPatience)) return false;
    const ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
    return n > 0 && BIO_write(in, buffer, static_cast<int>(n)) == n;
  }
  // The result of `step` once it is through; ≤ 0: the end.
  int Drive(const std::function<int()>& step) {
    for (;;) {
      ERR_clear_error();
      const int result = step();
      const int error = SSL_get_error(ssl.get(), result);
      const bool sent = SendAll(TakeOut());
      if (result > 0) return result;
      properly_closed |= error == SSL_ERROR_ZERO_RETURN;
      if (error != SSL_ERROR_WANT_READ) return -1;
      // What was said before the server stopped listening can still be read.
      if (!Receive() || (!sent && !SSL_is_init_finished(ssl.get()))) return -1;
    }
  }
  bool More() {
    char buffer[16384];
    const int n = Drive([&] { return SSL_read(ssl.get(), buffer, sizeof buffer); });
    if (n > 0) text.append(buffer, static_cast<std::size_t>(n));
    return n > 0;
  }
};

TlsPeer::TlsPeer(const std::string& address) : TlsPeer(address, Options()) {}
TlsPeer::TlsPeer(const std::string& address, const Options& options) : impl_(std::make_unique<Impl>()) {
  impl_->fd = ConnectTcp(address, options.from);
  impl_->context.reset(SSL_CTX_new(TLS_client_method()));
  impl_->ssl.reset(SSL_new(impl_->context.get()));
  impl_->in = BIO_new(BIO_s_mem());
  impl_->out = BIO_new(BIO_s_mem());
  SSL_set_bio(impl_->ssl.get(), impl_->in, impl_->out);
  SSL_set_connect_state(impl_->ssl.get());
  if (options.tls12) SSL_set_max_proto_version(impl_->ssl.get(), TLS1_2_VERSION);
  if (!options.alpn.empty())
    SSL_set_alpn_protos(impl_->ssl.get(), reinterpret_cast<const unsigned char*>(options.alpn.data()),
                        static_cast<unsigned>(options.alpn.size()));
}
TlsPeer::~TlsPeer() = default;
TlsPeer::TlsPeer(TlsPeer&&) noexcept = default;

bool TlsPeer::Handshake() {
  return impl_->Drive([this] { return SSL_do_handshake(impl_->ssl.get()); }) == 1;
}

bool TlsPeer::Send(std::string_view text) {
  if (!SSL_is_init_finished(impl_->ssl.get()) && !Handshake()) return false;
  return impl_->SendAll(Encrypt(text));
}

TlsPeer::Reply TlsPeer::Read() {
  std::string& text = impl_->text;
  std::size_t end;
  while ((end = text.find("\r\n\r\n")) == std::string::npos) {
    if (!impl_->More()) return {};
  }
  Reply reply;
  reply.status = std::stoi(text.substr(9, 3));
  for (std::size_t at = text.find("\r\n") + 2; at < end + 2;) {
    const std::size_t line_end = text.find("\r\n", at);
    const std::string line = text.substr(at, line_end - at);
    const std::size_t colon = line.find(": ");
    reply.fields[absl::AsciiStrToLower(line.substr(0, colon))] = line.substr(colon + 2);
    at = line_end + 2;
  }
  const std::size_t size =
      reply.fields.count("content-length") ? std::stoul(reply.fields["content-length"]) : 0;
  while (text.size() < end + 4 + size) {
    if (!impl_->More()) return {};
  }
  reply.body = text.substr(end + 4, size);
  text.erase(0, end + 4 + size);
  return reply;
}

TlsPeer::Reply TlsPeer::Ask(std::string_view text) {
  Send(text);  // a server that stopped listening may have said why
  return Read();
}

std::string TlsPeer::ReadToEnd() {
  while (impl_->More()) {
  }
  return std::exchange(impl_->text, "");
}

bool TlsPeer::properly_closed() const {
  return impl_->properly_closed;
}

std::string TlsPeer::CertificateName() const {
  X509* certificate = SSL_get0_peer_certificate(impl_->ssl.get());
  return certificate == nullptr ? "" : std::to_string(ASN1_INTEGER_get(X509_get0_serialNumber(certificate)));
}

std::string TlsPeer::Protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(impl_->ssl.get(), &name, &size);
  return std::string(reinterpret_cast<const char*>(name), size);
}

int TlsPeer::fd() const {
  return impl_->fd.get();
}

std::string TlsPeer::Encrypt(std::string_view text) {
  while (!text.empty()) {
    const int n = SSL_write(impl_->ssl.get(), text.data(), static_cast<int>(text.size()));
    if (n <= 0) break;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return impl_->TakeOut();
}

std::string TlsPeer::Hello() {
  SSL_do_handshake(impl_->ssl.get());
  return impl_->TakeOut();
}

bool TlsPeer::SendRaw(std::string_view bytes) {
  return impl_->SendAll(bytes);
}

std::string TlsPeer::ReadRawToEnd() {
  std::string bytes;
  char buffer[16384];
  while (impl_->Readable(kPatience)) {
    const ssize_t n = ::recv(fd(), buffer, sizeof buffer, 0);
    if (n <= 0) break;
    bytes.append(buffer, static_cast<std::size_t>(n));
  }
  return bytes;
}

bool TlsPeer::Readable(Millis patience) {
  return impl_->Readable(patience);
}

void TlsPeer::Reset() {
  const linger now{1, 0};
  ::setsockopt(impl_->fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  impl_->fd.Reset();
}

}  // namespace waggle::test
