#include "tests/support/http2_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/support/tls_peer.h"

namespace waggle::test {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t kFrameHead = 9;
constexpr std::size_t kAtOnce = 65536;

using Clock = std::chrono::steady_clock;

std::uint32_t Big(std::string_view bytes) {
  std::uint32_t n = 0;
  for (const char c : bytes) n = n << 8 | static_cast<unsigned char>(c);
  return n;
}

std::string Big(std::uint32_t n, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(n >> shift));
  return out;
}

// The frame `bytes` begin with; false: not all of it is there.
bool NextFrame(std::string_view bytes, http2::Frame* frame) {
  if (bytes.size() < kFrameHead) return false;
  const std::size_t size = Big(bytes.substr(0, 3));
  if (bytes.size() < kFrameHead + size) return false;
  *frame = {static_cast<std::uint8_t>(bytes[3]), static_cast<std::uint8_t>(bytes[4]), Big(bytes.substr(5, 4)),
            std::string(bytes.substr(kFrameHead, size))};
  return true;
}

}  // namespace

namespace http2 {

std::string Bytes(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  std::string out = Big(static_cast<std::uint32_t>(payload.size()), 3);
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  return out.append(Big(stream, 4)).append(payload);
}

std::string Number(std::uint64_t n, int bits, std::uint8_t first) {
  const std::uint64_t most = (1u << bits) - 1;
  if (n < most) return std::string(1, static_cast<char>(first | n));
  std::string out(1, static_cast<char>(first | most));
  for (n -= most; n >= 128; n >>= 7) out.push_back(static_cast<char>(n | 128));
  out.push_back(static_cast<char>(n));
  return out;
}

std::string Field(std::string_view name, std::string_view value) {
  std::string out(1, '\0');
  return out.append(Number(name.size(), 7)).append(name).append(Number(value.size(), 7)).append(value);
}

std::string Request(std::string_view path, std::string_view te, std::string_view scheme) {
  return Field(":method", "POST") + Field(":scheme", scheme) + Field(":path", path) +
         Field(":authority", "queen.waggle") + Field("te", te) + Field("content-type", "application/grpc");
}

std::string Message(std::string_view bytes, std::uint32_t length, bool compressed) {
  std::string out(1, compressed ? '\1' : '\0');
  return out.append(Big(length, 4)).append(bytes);
}

std::string Message(std::string_view bytes) {
  return Message(bytes, static_cast<std::uint32_t>(bytes.size()));
}

std::string ResetCode(std::uint32_t code) {
  return Big(code, 4);
}

}  // namespace http2

struct Http2Peer::Impl {
  UniqueFd fd;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context{nullptr, SSL_CTX_free};
  std::unique_ptr<SSL, void (*)(SSL*)> ssl{nullptr, SSL_free};  // none: a Unix socket
  bool ended = false;
  std::string heard;
  // Of flow control, from the frames before `counted`.
  std::size_t counted = 0;
  std::int64_t connection_room = 65535, initial_room = 65535;
  std::map<std::uint32_t, std::int64_t> given;  // by WINDOW_UPDATE of a stream, less what was sent on it

  std::set<std::uint32_t> over;  // streams the server has ended

  // Takes in what was heard of windows. The answers to pings.
  std::string CountRoom() {
    std::string answers;
    for (http2::Frame frame; NextFrame(std::string_view(heard).substr(counted), &frame);) {
      counted += kFrameHead + frame.payload.size();
      if (frame.type == http2::kWindow)
        (frame.stream == 0 ? connection_room : given[frame.stream]) += Big(frame.payload);
      if (frame.type == http2::kReset || (frame.type == http2::kHeaders && (frame.flags & http2::kEndStream)))
        over.insert(frame.stream);
      if (frame.type == http2::kPing && frame.flags == 0)
        answers += http2::Bytes(http2::kPing, http2::kAck, 0, frame.payload);
      if (frame.type != http2::kSettings) continue;
      constexpr std::size_t kSetting = 6;
      for (std::string_view rest = frame.payload; rest.size() >= kSetting; rest.remove_prefix(kSetting)) {
        if (Big(rest.substr(0, 2)) == 4) initial_room = Big(rest.substr(2, 4));
      }
    }
    return answers;
  }

  void Identify(const std::string& key, const std::string& certificate) const {
    auto memory = [](const std::string& pem) {
      return std::unique_ptr<BIO, int (*)(BIO*)>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                 BIO_free);
    };
    std::unique_ptr<X509, void (*)(X509*)> x509(
        PEM_read_bio_X509(memory(certificate).get(), nullptr, nullptr, nullptr), X509_free);
    std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> pkey(
        PEM_read_bio_PrivateKey(memory(key).get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
    EXPECT_EQ(SSL_CTX_use_certificate(context.get(), x509.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), pkey.get()), 1);
  }

  // > 0: so many bytes; 0: not now; < 0: the end.
  ssize_t Outcome(ssize_t n) const {
    if (n > 0) return n;
    if (ssl != nullptr) {
      const int error = SSL_get_error(ssl.get(), static_cast<int>(n));
      return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
  }
  ssize_t Write(std::string_view bytes) const {
    ERR_clear_error();
    return Outcome(ssl != nullptr ? SSL_write(ssl.get(), bytes.data(), static_cast<int>(bytes.size()))
                                  : ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  void Listen() {
    char buffer[kAtOnce];
    for (ssize_t n = 1; !ended && n > 0;) {
      ERR_clear_error();
      n = Outcome(ssl != nullptr ? SSL_read(ssl.get(), buffer, sizeof buffer)
                                 : ::recv(fd.get(), buffer, sizeof buffer, 0));
      if (n > 0) heard.append(buffer, static_cast<std::size_t>(n));
      ended |= n < 0;
    }
  }
  // False: the time is up.
  bool Wait(short events, Clock::time_point end) const {
    const auto left = std::chrono::duration_cast<Millis>(end - Clock::now()).count();
    pollfd entry{fd.get(), events, 0};
    return left > 0 && ::poll(&entry, 1, static_cast<int>(left)) > 0;
  }
  void Handshake() {
    const auto end = Clock::now() + kPatience;
    for (;;) {
      ERR_clear_error();
      const ssize_t done = Outcome(SSL_connect(ssl.get()));
      if (done > 0) return;
      const bool more = done == 0 && Wait(SSL_want_write(ssl.get()) ? POLLOUT : POLLIN, end);
      ended = !more;
      if (ended) return;
    }
  }
};

Http2Peer::Http2Peer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Http2Peer::~Http2Peer() = default;

std::unique_ptr<Http2Peer> Http2Peer::OverSocket(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  impl->fd.Reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(::connect(impl->fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << path;
  ::fcntl(impl->fd.get(), F_SETFL, O_NONBLOCK);
  return std::unique_ptr<Http2Peer>(new Http2Peer(std::move(impl)));
}

std::unique_ptr<Http2Peer> Http2Peer::OverTls(const std::string& address, const std::string& key,
                                              const std::string& certificate) {
  ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to whoever has closed
  auto impl = std::make_unique<Impl>();
  impl->fd = ConnectTcp(address);
  ::fcntl(impl->fd.get(), F_SETFL, O_NONBLOCK);
  impl->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_mode(impl->context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (!key.empty()) impl->Identify(key, certificate);
  const unsigned char alpn[] = "\x02h2";
  SSL_CTX_set_alpn_protos(impl->context.get(), alpn, sizeof alpn - 1);
  impl->ssl.reset(SSL_new(impl->context.get()));
  SSL_set_fd(impl->ssl.get(), impl->fd.get());
  impl->Handshake();
  return std::unique_ptr<Http2Peer>(new Http2Peer(std::move(impl)));
}

bool Http2Peer::open() const {
  return !impl_->ended;
}

bool Http2Peer::Greet(bool acknowledge) {
  if (!Send(std::string(kPreface) + http2::Bytes(http2::kSettings, 0, 0))) return false;
  if (!Hears([](const http2::Frame& f) { return f.type == http2::kSettings && f.flags == 0; })) return false;
  return !acknowledge || Send(http2::Bytes(http2::kSettings, http2::kAck, 0));
}

bool Http2Peer::Send(std::string_view bytes, Millis patience) {
  const auto end = Clock::now() + patience;
  while (!bytes.empty()) {
    impl_->Listen();
    if (impl_->ended) return false;
    const ssize_t n = impl_->Write(bytes.substr(0, kAtOnce));
    impl_->ended = n < 0;
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
    if (n == 0 && !impl_->Wait(POLLIN | POLLOUT, end)) return false;
  }
  return true;
}

bool Http2Peer::SendData(std::uint32_t stream, std::string_view bytes, std::uint8_t flags) {
  constexpr std::size_t kMostInFrame = 16384;
  const auto end = Clock::now() + kPatience;
  do {
    impl_->Listen();
    if (!Send(impl_->CountRoom()) || impl_->over.count(stream) != 0) return false;
    const std::int64_t room = std::min(impl_->connection_room, impl_->initial_room + impl_->given[stream]);
    const std::size_t size = std::min(bytes.size(), kMostInFrame);
    if (room < static_cast<std::int64_t>(size)) {
      if (impl_->ended || !impl_->Wait(POLLIN, std::min(end, Clock::now() + std::chrono::seconds(2))))
        return false;
      continue;
    }
    if (!Send(http2::Bytes(http2::kData, size == bytes.size() ? flags : 0, stream, bytes.substr(0, size))))
      return false;
    impl_->connection_room -= static_cast<std::int64_t>(size);
    impl_->given[stream] -= static_cast<std::int64_t>(size);
    bytes.remove_prefix(size);
  } while (!bytes.empty());
  return true;
}

bool Http2Peer::Hears(const std::function<bool(const http2::Frame&)>& match, Millis patience) {
  const auto end = Clock::now() + patience;
  for (;;) {
    impl_->Listen();
    for (const http2::Frame& frame : Heard()) {
      if (match(frame)) return true;
    }
    if (impl_->ended || !impl_->Wait(POLLIN, end)) return false;
  }
}

bool Http2Peer::AnswersPing() {
  const std::string said = "waggle" + std::to_string(10 + impl_->heard.size() % 90);
  return Send(http2::Bytes(http2::kPing, 0, 0, said)) && Hears([&](const http2::Frame& f) {
           return f.type == http2::kPing && f.flags == http2::kAck && f.payload == said;
         });
}

bool Http2Peer::Ends(Millis patience) {
  const auto end = Clock::now() + patience;
  for (;;) {
    impl_->Listen();
    if (impl_->ended) return true;
    if (!impl_->Wait(POLLIN, end)) return false;
  }
}

void Http2Peer::Reset() {
  const linger now{1, 0};
  ::setsockopt(impl_->fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  impl_->ended = true;
  impl_->fd.Reset();
}

std::vector<http2::Frame> Http2Peer::Heard() const {
  std::vector<http2::Frame> frames;
  std::string_view rest = impl_->heard;
  for (http2::Frame frame; NextFrame(rest, &frame); frames.push_back(std::move(frame)))
    rest.remove_prefix(kFrameHead + frame.payload.size());
  return frames;
}

std::size_t Http2Peer::heard_bytes() const {
  return impl_->heard.size();
}

int Http2Peer::Status() {
  constexpr std::string_view kName = "grpc-status";  // gRPC does not code it by Huffman
  int status = -1;
  Hears([&](const http2::Frame& frame) {
    const std::size_t at = frame.payload.find(kName);
    if (frame.type != http2::kHeaders || at == std::string::npos) return false;
    const std::size_t size = static_cast<unsigned char>(frame.payload[at + kName.size()]);
    status = std::stoi(frame.payload.substr(at + kName.size() + 1, size));
    return true;
  });
  return status;
}

}  // namespace waggle::test
