#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/fd.h"
#include "queen/http/admission.h"
#include "queen/http/limits.h"
#include "queen/http/router.h"
#include "queen/http/tally.h"

namespace boost::asio {
class io_context;
namespace ssl {
class context;
}
}  // namespace boost::asio

namespace waggle::queen::http {

// Whether answers may still be handed to the server's threads. Handlers keep it, so it outlives the server.
struct AnswerGate {
  absl::Mutex mutex;
  bool open ABSL_GUARDED_BY(mutex) = true;
};

// What every connection works with; all of it outlives them but the gate, which is shared.
struct Surroundings {
  boost::asio::io_context& io;
  const Router& router;
  const Waits& waits;
  Tally& tally;
  std::shared_ptr<AnswerGate> gate;
};

// One client: handshake, then one request after the other, each read whole, handled and answered before the
// next is looked at. Lives by what it waits for; nobody needs to hold it. Methods from any thread.
class Connection {
 public:
  virtual ~Connection() = default;
  virtual void Start() = 0;
  // Ends it now, or, if a handler is at work or an answer on its way, behind that answer.
  virtual void Stop() = 0;
  virtual void Abort() = 0;  // ends it now
};

// `socket` is a connected one that does not block. `place` is held as long as the connection lives. Null: the
// kernel or OpenSSL has no room for it.
std::shared_ptr<Connection> MakeConnection(const Surroundings& surroundings, boost::asio::ssl::context& tls,
                                           UniqueFd socket, bool ipv6, std::string peer,
                                           Admission::Place place);

}  // namespace waggle::queen::http
