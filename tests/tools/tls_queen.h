#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "queen/http/router.h"

namespace waggle::cli {

// A queen as other hosts see her, on 127.0.0.1: enrolment over HTTPS and, over TLS with client certificates,
// as much gRPC as `waggle drones` needs. She has an authority of her own and enrols everybody as "anna".
class TlsQueen {
 public:
  enum class Renewal { kSign, kRefuse, kHang };

  TlsQueen();
  ~TlsQueen();

  const std::string& grpc() const;   // "127.0.0.1:PORT"
  const std::string& https() const;  // the same of the other port
  std::string token() const;         // a new invitation with her pin; she takes any
  // A login.json that she gave out; valid from `begins` until `ends`, counted from now.
  std::string Login(std::chrono::seconds begins, std::chrono::seconds ends) const;

  // What POST /v1/enrol answers from now on; nothing: a certificate.
  void AnswerEnrolment(std::function<queen::http::Response(const queen::http::Request&)> answer);
  std::string last_question() const;  // the body of the last one
  void OnRenew(Renewal renewal);
  int renewals() const;  // asked for
  void StopGrpc();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::cli
