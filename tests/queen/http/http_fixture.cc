#include "tests/queen/http/http_fixture.h"

#include <stdexcept>
#include <utility>

namespace waggle::queen::http {

Router HttpServerTest::Routes() {
  const auto text = [](std::string body) { return Response{200, "text/plain", std::move(body)}; };
  const auto echo = [text](Request request, const Answer& answer) { answer(text(std::move(request.body))); };
  Router router;
  router.Add("GET", "/hello", [text](const Request&, const Answer& answer) { answer(text("hello")); });
  router.Add("POST", "/echo", echo);
  router.Add("POST", "/tiny", echo, 8);
  router.Add("GET", "/large", [text](const Request&, const Answer& answer) {
    answer(text(std::string(16 * limits::kMiB, 'x')));
  });
  router.Add("GET", "/hold", [this](const Request&, Answer answer) {
    absl::MutexLock lock(&mutex_);
    held_.push_back(std::move(answer));
  });
  router.Add("GET", "/drop", [](const Request&, const Answer&) {});
  router.Add("GET", "/throw", [](const Request&, const Answer&) { throw std::runtime_error("a bug"); });
  router.Add("GET", "/twice", [text](const Request&, const Answer& answer) {
    answer(text("first"));
    answer(text("second"));
  });
  router.Add("GET", "/seen", [text](const Request& request, const Answer& answer) {
    answer(text(request.method + "|" + request.path + "|" + request.query + "|" +
                std::string(request.Header("x-one")) + "|" + request.peer));
  });
  return router;
}

}  // namespace waggle::queen::http
