#include "queen/http/connection.h"

#include <array>
#include <exception>
#include <string>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>

#include "absl/strings/str_cat.h"
#include "queen/http/chunked.h"
#include "queen/http/request_head.h"

namespace waggle::queen::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;

constexpr std::size_t kReadBytes = 8 * limits::kKiB;  // half a TLS record

std::string ResponseText(const Response& response, std::string_view allow, bool close) {
  std::string text =
      absl::StrCat("HTTP/1.1 ", response.status, " ", std::string(ReasonPhrase(response.status)),
                   "\r\nContent-Type: ", response.content_type, "\r\nContent-Length: ", response.body.size(),
                   "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
  if (!allow.empty()) absl::StrAppend(&text, "Allow: ", std::string(allow), "\r\n");
  if (close) text += "Connection: close\r\n";
  text += "\r\n";
  return text + response.body;
}

Refused KindOf(int status) {
  switch (status) {
    case 404:
    case 405:
      return Refused::kNoRoute;
    case 408:
      return Refused::kSlow;
    case 413:
    case 414:
    case 431:
      return Refused::kTooLarge;
    default:
      return Refused::kMalformed;
  }
}

class TlsConnection;

// The one answer to one request. Whoever calls or drops last, on whatever thread, the connection hears of it
// once, unless one of both is gone.
class AnswerSlot {
 public:
  AnswerSlot(std::weak_ptr<TlsConnection> connection, int request, std::shared_ptr<AnswerGate> gate)
      : connection_(std::move(connection)), request_(request), gate_(std::move(gate)) {}
  AnswerSlot(const AnswerSlot&) = delete;
  AnswerSlot& operator=(const AnswerSlot&) = delete;
  ~AnswerSlot() { Give(Problem(500, "the request was not answered: look into the queen's log"), true); }

  void Give(Response response, bool dropped = false);

 private:
  const std::weak_ptr<TlsConnection> connection_;
  const int request_;
  const std::shared_ptr<AnswerGate> gate_;
  std::atomic<bool> given_{false};
};

// Everything below runs on the strand. At most one asynchronous operation is under way besides the timer, so
// whichever step comes next is decided in one place. Each step's wait is started with Arm; when it is used up
// the operation is cancelled and its completion sees expired_.
class TlsConnection : public Connection, public std::enable_shared_from_this<TlsConnection> {
 public:
  TlsConnection(const Surroundings& surroundings, asio::ssl::context& tls, tcp::socket socket,
                std::string peer, Admission::Place place)
      : s_(surroundings),
        peer_(std::move(peer)),
        place_(std::move(place)),
        strand_(socket.get_executor()),
        stream_(std::move(socket), tls),
        timer_(strand_) {}

  void Start() override {
    asio::post(strand_, [self = shared_from_this()] { self->Handshake(); });
  }
  void Stop() override {
    asio::post(strand_, [self = shared_from_this()] {
      self->stopping_ = true;
      if (self->step_ <= Step::kBody) self->End();
    });
  }
  void Abort() override {
    asio::post(strand_, [self = shared_from_this()] { self->End(); });
  }

  const asio::any_io_executor& strand() const { return strand_; }
  void OnAnswer(int request, Response response, bool dropped);

 private:
  // In the order they come; those up to kBody have no answer to lose.
  enum class Step { kHandshake, kIdle, kHead, kBody, kHandler, kWrite, kClose, kEnded };

  void Arm(Step step, Duration wait);
  void OnTimer();
  void Handshake();
  void AwaitRequest();
  void OnHeadBytes();
  void TakeHead(std::size_t size);
  void AwaitBody();
  void OnBodyBytes();
  void OnChunks();
  void Dispatch();
  void Read(void (TlsConnection::*next)());
  void OnSilence();
  void Refuse(const Refusal& refusal, std::string_view allow = {}, bool close = true);
  void Reply(const Response& response, std::string_view allow, bool close);
  void Close();
  void Drain();
  void End();

  const Surroundings s_;
  const std::string peer_;
  const Admission::Place place_;
  const asio::any_io_executor strand_;
  asio::ssl::stream<tcp::socket> stream_;
  asio::steady_timer timer_;

  Step step_ = Step::kHandshake;
  bool expired_ = false;   // the wait of this step is used up
  bool stopping_ = false;  // no more requests
  int armed_ = 0;          // counts Arm, so that a late timer is told apart
  int requests_ = 0;       // heads that were taken

  std::array<char, kReadBytes> chunk_;
  std::string in_;  // arrived, not yet used: a head, and a piece of what follows it at most
  HeadFinder finder_;
  Head head_;
  const Route* route_ = nullptr;
  std::string body_;
  ChunkedDecoder decoder_{0};
  std::string out_;          // on its way to the client
  std::size_t drained_ = 0;  // bytes read after the end
};

void AnswerSlot::Give(Response response, bool dropped) {
  if (given_.exchange(true)) return;
  absl::MutexLock lock(&gate_->mutex);
  if (!gate_->open) return;
  // Behind the gate only: a connection held here must not outlive the server.
  std::shared_ptr<TlsConnection> connection = connection_.lock();
  if (connection == nullptr) return;
  const asio::any_io_executor strand = connection->strand();
  asio::post(strand, [connection = std::move(connection), request = request_, response = std::move(response),
                      dropped]() mutable { connection->OnAnswer(request, std::move(response), dropped); });
}

void TlsConnection::Arm(Step step, Duration wait) {
  step_ = step;
  expired_ = false;
  const int armed = ++armed_;
  timer_.expires_after(wait);
  timer_.async_wait([self = shared_from_this(), armed](Error) {
    if (armed == self->armed_) self->OnTimer();
  });
}

void TlsConnection::OnTimer() {
  if (step_ == Step::kEnded) return;
  expired_ = true;
  if (step_ == Step::kHandler) {
    s_.tally.Count(Refused::kNoAnswer, peer_, "no answer in time");
    return Reply(Problem(503, "the answer took too long: try again later"), {}, true);
  }
  Error ignored;
  stream_.next_layer().cancel(ignored);
}

void TlsConnection::Handshake() {
  if (step_ == Step::kEnded) return;
  Arm(Step::kHandshake, s_.waits.handshake);
  stream_.async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](Error error) {
    if (self->step_ == Step::kEnded) return;
    if (self->expired_) {
      self->s_.tally.Count(Refused::kSlow, self->peer_, "the TLS handshake took too long");
      return self->End();
    }
    if (error) {
      self->s_.tally.Count(Refused::kHandshake, self->peer_, error.message());
      return self->End();
    }
    self->AwaitRequest();
  });
}

void TlsConnection::AwaitRequest() {
  if (stopping_) return Close();
  finder_ = HeadFinder();
  head_ = Head();
  body_.clear();
  Arm(Step::kIdle, requests_ == 0 ? s_.waits.head : s_.waits.idle);
  OnHeadBytes();
}

void TlsConnection::OnHeadBytes() {
  if (in_.empty()) return Read(&TlsConnection::OnHeadBytes);
  if (step_ == Step::kIdle) Arm(Step::kHead, s_.waits.head);
  const auto found = finder_.Find(in_);
  if (const auto* refusal = std::get_if<Refusal>(&found)) return Refuse(*refusal);
  const auto size = std::get<std::optional<std::size_t>>(found);
  if (!size) return Read(&TlsConnection::OnHeadBytes);
  TakeHead(*size);
}

void TlsConnection::TakeHead(std::size_t size) {
  auto parsed = ParseHead(std::string_view(in_).substr(0, size));
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) return Refuse(*refusal);
  in_.erase(0, size);
  head_ = std::move(std::get<Head>(parsed));
  ++requests_;

  const Router::Found found = s_.router.Find(head_.method, head_.path);
  // A body that nobody will read is the only reason to close: a client may well ask for several paths.
  const bool close = head_.HasBody();
  if (found.route == nullptr && found.allow.empty())
    return Refuse({404, "there is nothing at this path"}, {}, close);
  if (found.route == nullptr) return Refuse({405, "this path has other methods"}, found.allow, close);
  route_ = found.route;
  if (head_.length > route_->body_bytes) return Refuse({413, "the body is larger than this path takes"});
  decoder_ = ChunkedDecoder(route_->body_bytes);

  Arm(Step::kBody, s_.waits.body);
  if (!head_.expects_continue || !head_.HasBody() || !in_.empty()) return AwaitBody();
  out_ = "HTTP/1.1 100 Continue\r\n\r\n";
  asio::async_write(stream_, asio::buffer(out_), [self = shared_from_this()](Error error, std::size_t) {
    if (self->step_ == Step::kEnded) return;
    if (error) return self->End();
    self->AwaitBody();
  });
}

void TlsConnection::AwaitBody() {
  head_.chunked ? OnChunks() : OnBodyBytes();
}

void TlsConnection::OnBodyBytes() {
  const std::size_t size = std::min<std::size_t>(in_.size(), head_.length - body_.size());
  body_.append(in_, 0, size);
  in_.erase(0, size);
  body_.size() < head_.length ? Read(&TlsConnection::OnBodyBytes) : Dispatch();
}

void TlsConnection::OnChunks() {
  in_.erase(0, decoder_.Feed(in_, &body_));
  switch (decoder_.state()) {
    case ChunkedDecoder::State::kMore:
      return Read(&TlsConnection::OnChunks);
    case ChunkedDecoder::State::kDone:
      return Dispatch();
    case ChunkedDecoder::State::kTooLarge:
      return Refuse({413, "the body is larger than this path takes"});
    case ChunkedDecoder::State::kBad:
      return Refuse({400, "the chunks of the body are malformed"});
  }
}

void TlsConnection::Dispatch() {
  Arm(Step::kHandler, s_.waits.answer);
  s_.tally.CountRequest();
  auto slot = std::make_shared<AnswerSlot>(weak_from_this(), requests_, s_.gate);
  Request request{std::move(head_.method), std::move(head_.path), std::move(head_.query),
                  std::move(head_.fields), std::move(body_),      peer_};
  try {
    route_->handler(std::move(request), [slot](Response response) { slot->Give(std::move(response)); });
  } catch (const std::exception& e) {  // a bug of ours; the slot, dropped, tells the client
    s_.tally.Count(Refused::kNoAnswer, peer_, e.what());
  }
}

void TlsConnection::OnAnswer(int request, Response response, bool dropped) {
  if (step_ != Step::kHandler || request != requests_) return;  // it took too long
  if (dropped) s_.tally.Count(Refused::kNoAnswer, peer_, "a handler dropped its answer");
  Reply(response, {}, !head_.keep_alive);
}

// One read into in_, then `next`, unless there is nothing to go on with.
void TlsConnection::Read(void (TlsConnection::*next)()) {
  stream_.async_read_some(asio::buffer(chunk_),
                          [self = shared_from_this(), next](Error error, std::size_t size) {
                            if (self->step_ == Step::kEnded) return;
                            // Bytes that came with the end of the wait are too late as well.
                            if (self->expired_) return self->OnSilence();
                            if (error) return self->End();  // the client left, properly or not
                            self->in_.append(self->chunk_.data(), size);
                            (self.get()->*next)();
                          });
}

// The wait for a request or the rest of it is used up.
void TlsConnection::OnSilence() {
  if (step_ == Step::kIdle) return Close();  // said nothing: is told nothing
  Refuse({408, step_ == Step::kHead ? "the head of the request took too long"
                                    : "the body of the request took too long"});
}

void TlsConnection::Refuse(const Refusal& refusal, std::string_view allow, bool close) {
  s_.tally.Count(KindOf(refusal.status), peer_, refusal.detail);
  Reply(Problem(refusal.status, refusal.detail), allow, close || !head_.keep_alive);
}

void TlsConnection::Reply(const Response& response, std::string_view allow, bool close) {
  close = close || stopping_ || requests_ >= kRequestsPerConnection;
  out_ = ResponseText(response, allow, close);
  Arm(Step::kWrite, s_.waits.write);
  asio::async_write(stream_, asio::buffer(out_),
                    [self = shared_from_this(), close](Error error, std::size_t) {
                      if (self->step_ == Step::kEnded) return;
                      self->out_.clear();
                      if (self->expired_) {
                        self->s_.tally.Count(Refused::kSlow, self->peer_, "an answer was not taken in time");
                        return self->End();
                      }
                      if (error) return self->End();
                      close ? self->Close() : self->AwaitRequest();
                    });
}

// Says goodbye in TLS and in TCP, then reads on for a little (kLingerBytes says why).
void TlsConnection::Close() {
  Arm(Step::kClose, s_.waits.linger);
  stream_.async_shutdown([self = shared_from_this()](Error) {
    if (self->step_ == Step::kEnded) return;
    Error ignored;
    self->stream_.next_layer().shutdown(tcp::socket::shutdown_send, ignored);
    self->Drain();
  });
}

void TlsConnection::Drain() {
  if (expired_ || drained_ > kLingerBytes) return End();
  stream_.next_layer().async_read_some(asio::buffer(chunk_),
                                       [self = shared_from_this()](Error error, std::size_t size) {
                                         if (self->step_ == Step::kEnded) return;
                                         if (error) return self->End();
                                         self->drained_ += size;
                                         self->Drain();
                                       });
}

// Whatever is under way completes with an error and finds kEnded; the last of it lets go of the connection.
void TlsConnection::End() {
  step_ = Step::kEnded;
  Error ignored;
  timer_.cancel(ignored);
  stream_.next_layer().close(ignored);
}

}  // namespace

std::shared_ptr<Connection> MakeConnection(const Surroundings& surroundings, asio::ssl::context& tls,
                                           UniqueFd socket, bool ipv6, std::string peer,
                                           Admission::Place place) {
  try {
    tcp::socket owned(asio::make_strand(surroundings.io));
    Error error;
    owned.assign(ipv6 ? tcp::v6() : tcp::v4(), socket.get(), error);
    if (error) return nullptr;
    (void)socket.Release();
    owned.set_option(tcp::no_delay(true), error);
    return std::make_shared<TlsConnection>(surroundings, tls, std::move(owned), std::move(peer),
                                           std::move(place));
  } catch (const std::exception&) {  // SSL_new failed, or no memory
    return nullptr;
  }
}

}  // namespace waggle::queen::http
