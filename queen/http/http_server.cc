#include "queen/http/http_server.h"

#include <errno.h>
#include <sys/socket.h>

#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/await.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "queen/http/admission.h"
#include "queen/http/connection.h"
#include "queen/http/tls_context.h"

namespace waggle::queen::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;
using Tls = std::shared_ptr<asio::ssl::context>;

constexpr int kAcceptsAtOnce = 64;  // then the thread looks after the clients it has

absl::StatusOr<tcp::endpoint> ParseEndpoint(const std::string& text) {
  const auto fault = absl::InvalidArgumentError(
      absl::StrCat("the HTTP port cannot listen on ", Quoted(text),
                   ": write an address and a port, such as 0.0.0.0:7875 or [::]:7875"));
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return fault;
  std::string host = text.substr(0, colon);
  const std::string port = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  Error error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  const bool digits =
      !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
  if (error || address.is_v6() != bracketed || !digits || std::stoi(port) > 65535) return fault;
  return tcp::endpoint(address, static_cast<unsigned short>(std::stoi(port)));
}

std::string EndpointText(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return absl::StrCat(endpoint.address().is_v6() ? absl::StrCat("[", host, "]") : host, ":", endpoint.port());
}

// Without its port, and an IPv4 client of an IPv6 socket as what it is.
std::string PeerText(const tcp::endpoint& endpoint) {
  const asio::ip::address address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  return address.to_string();
}

// The connection died in the queue, or a signal came: the next accept is as good as ever.
bool IsPassing(int error) {
  return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN ||
         error == ENETUNREACH || error == EHOSTDOWN || error == EHOSTUNREACH || error == ENONET ||
         error == EOPNOTSUPP || error == ENOPROTOOPT || error == EPERM;
}

}  // namespace

struct HttpServer::Impl {
  Impl(Config config, Router router, Tls tls)
      : waits(config.waits),
        most(config.connections),
        router(std::move(router)),
        strand(asio::make_strand(io)),
        acceptor(strand),
        pause(strand),
        tls(std::move(tls)) {}

  absl::Status Listen(const tcp::endpoint& endpoint, const std::string& text);
  void AwaitConnection();
  void AcceptSome();
  bool Accept();
  void Admit(UniqueFd socket, const tcp::endpoint& endpoint);
  void PauseAccepting(int error);
  void Run();
  void Stop();
  std::vector<std::shared_ptr<Connection>> Open();

  const Waits waits;
  const std::size_t most;
  const Router router;
  Tally tally{"http"};
  Admission admission{most, kConnectionsPerAddress};
  const std::shared_ptr<AnswerGate> gate = std::make_shared<AnswerGate>();
  std::string bound;

  asio::io_context io;
  const asio::strand<asio::io_context::executor_type> strand;  // accepting
  tcp::acceptor acceptor;                                      // strand, after Listen
  asio::steady_timer pause;                                    // strand

  absl::Mutex mutex;
  Tls tls ABSL_GUARDED_BY(mutex);
  std::vector<std::weak_ptr<Connection>> connections ABSL_GUARDED_BY(mutex);  // expired ones too
  std::vector<std::thread> threads;
};

absl::Status HttpServer::Impl::Listen(const tcp::endpoint& endpoint, const std::string& text) {
  // By hand: asio's own sockets are inherited by every process the queen starts.
  UniqueFd socket(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return ErrnoStatus("open the HTTP port", text);
  const int on = 1, off = 0;
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (endpoint.address().is_v6())
    (void)::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(socket.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0)
    return ErrnoStatus("bind the HTTP port to", text);
  if (::listen(socket.get(), SOMAXCONN) != 0) return ErrnoStatus("listen on", text);
  Error error;
  acceptor.assign(endpoint.protocol(), socket.get(), error);
  if (!error) {
    (void)socket.Release();
    bound = EndpointText(acceptor.local_endpoint(error));
  }
  return error ? absl::InternalError(absl::StrCat("listen on ", text, ": ", error.message()))
               : absl::OkStatus();
}

void HttpServer::Impl::AwaitConnection() {
  acceptor.async_wait(tcp::acceptor::wait_read, [this](Error error) {
    if (!error) AcceptSome();  // else: closed
  });
}

void HttpServer::Impl::AcceptSome() {
  if (!acceptor.is_open()) return;
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    if (Accept()) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return AwaitConnection();
    if (!IsPassing(errno)) return PauseAccepting(errno);
  }
  asio::post(strand, [this] { AcceptSome(); });
}

// False: errno says why.
bool HttpServer::Impl::Accept() {
  tcp::endpoint endpoint;
  auto size = static_cast<socklen_t>(endpoint.capacity());
  UniqueFd socket(::accept4(acceptor.native_handle(), endpoint.data(), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid()) return false;
  try {
    endpoint.resize(size);
    Admit(std::move(socket), endpoint);
  } catch (const std::exception& e) {  // no memory for this one; accepting goes on
    tally.Count(Refused::kNoDescriptors, bound, e.what());
  }
  return true;
}

void HttpServer::Impl::Admit(UniqueFd socket, const tcp::endpoint& endpoint) {
  std::string peer = PeerText(endpoint);
  Admission::Ticket ticket = admission.Take(peer);
  if (ticket.place == nullptr) {
    const bool address = ticket.full == Admission::Full::kAddress;
    tally.Count(address ? Refused::kAddressFull : Refused::kServerFull, peer,
                address ? absl::StrCat("it has ", kConnectionsPerAddress) : absl::StrCat("it has ", most));
    return;
  }
  absl::MutexLock lock(&mutex);
  std::shared_ptr<Connection> connection =
      MakeConnection({io, router, waits, tally, gate}, *tls, std::move(socket), endpoint.address().is_v6(),
                     peer, std::move(ticket.place));
  if (connection == nullptr) return tally.Count(Refused::kNoDescriptors, peer, "no room for its TLS state");
  // Swept when as many again have come: each connection pays for a constant part of a sweep.
  if (connections.size() >= 2 * most)
    std::erase_if(connections, [](const auto& each) { return each.expired(); });
  connections.push_back(connection);
  connection->Start();
}

void HttpServer::Impl::PauseAccepting(int error) {
  tally.Count(Refused::kNoDescriptors, bound,
              absl::StrCat(std::string(::strerror(error)), ": raise the limit of open files"));
  pause.expires_after(waits.accept_pause);
  pause.async_wait([this](Error ended) {
    if (!ended) AcceptSome();
  });
}

// The loop of one thread; ends when nothing is open and nothing is accepted any more.
void HttpServer::Impl::Run() {
  for (;;) {
    try {
      io.run();
      return;
    } catch (const std::exception& e) {  // no memory: what was being done for one client is given up
      spdlog::error("http: {}", e.what());
    }
  }
}

std::vector<std::shared_ptr<Connection>> HttpServer::Impl::Open() {
  std::vector<std::shared_ptr<Connection>> open;
  absl::MutexLock lock(&mutex);
  for (const auto& each : connections) {
    if (std::shared_ptr<Connection> connection = each.lock()) open.push_back(std::move(connection));
  }
  return open;
}

void HttpServer::Impl::Stop() {
  asio::post(strand, [this] {
    Error ignored;
    acceptor.close(ignored);
    pause.cancel(ignored);
    // Here, behind the last accept: none is missed.
    for (const auto& connection : Open()) connection->Stop();
  });
  // Without an acceptor the threads end by themselves behind the last connection; the watchdog is no work of
  // theirs.
  std::thread watchdog;
  absl::Mutex done_mutex;
  bool done = false;
  watchdog = std::thread([&] {
    absl::MutexLock lock(&done_mutex);
    if (!AwaitFor(done_mutex, absl::Condition(&done), waits.stop)) {
      for (const auto& connection : Open()) connection->Abort();
    }
  });
  for (std::thread& thread : threads) thread.join();
  {
    absl::MutexLock lock(&done_mutex);
    done = true;
  }
  watchdog.join();
  absl::MutexLock lock(&gate->mutex);
  gate->open = false;
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Create(Config config, Router router) {
  ASSIGN_OR_RETURN(const tcp::endpoint endpoint, ParseEndpoint(config.listen));
  ASSIGN_OR_RETURN(Tls tls, MakeServerContext(config.certificate, config.key));
  const int threads = config.threads;
  const std::string listen = config.listen;
  try {
    auto impl = std::make_unique<Impl>(std::move(config), std::move(router), std::move(tls));
    RETURN_IF_ERROR(impl->Listen(endpoint, listen));
    impl->AwaitConnection();
    auto* raw = impl.get();
    std::unique_ptr<HttpServer> server(new HttpServer(std::move(impl)));
    for (int i = 0; i < threads; ++i) raw->threads.emplace_back([raw] { raw->Run(); });
    return server;
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("the HTTP port cannot be opened: ", e.what()));
  }
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->Stop();
}

const std::string& HttpServer::bound() const {
  return impl_->bound;
}

absl::Status HttpServer::Reload(std::string_view certificate, std::string_view key) {
  ASSIGN_OR_RETURN(Tls tls, MakeServerContext(certificate, key));
  absl::MutexLock lock(&impl_->mutex);
  impl_->tls = std::move(tls);
  return absl::OkStatus();
}

HttpServer::Stats HttpServer::stats() const {
  return {impl_->admission.taken(), impl_->tally.requests()};
}

std::uint64_t HttpServer::refused(Refused kind) const {
  return impl_->tally.count(kind);
}

}  // namespace waggle::queen::http
