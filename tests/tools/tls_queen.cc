#include "tests/tools/tls_queen.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <mutex>

#include "absl/strings/str_cat.h"
#include "common/rpc/channel.h"
#include "common/tls/authority.h"
#include "common/tls/invitation.h"
#include "queen/http/http_server.h"
#include "tools/waggle/json.h"
#include "waggle/v1/queen.grpc.pb.h"

namespace waggle::cli {
namespace {

namespace http = queen::http;
constexpr std::chrono::hours kMonth(24 * 30);
// The authority is so old: it could have signed what has expired.
constexpr std::chrono::milliseconds kAge(kMonth);

struct Shared {
  explicit Shared(tls::Authority made) : authority(std::move(made)) {}

  std::string Sign(const std::string& request, WallMillis now, std::chrono::seconds validity) const {
    absl::StatusOr<tls::Request> read = tls::Request::FromPem(request);
    if (!read.ok()) return "";
    return authority.Sign(*read, tls::Role::kUser, "anna", now, validity)->pem();
  }

  const tls::Authority authority;
  int port = 0;  // of gRPC
  mutable std::mutex mutex;
  std::function<http::Response(const http::Request&)> answer;
  std::string question;
  TlsQueen::Renewal renewal = TlsQueen::Renewal::kSign;
  int renewals = 0;
};

class AccessService : public v1::Access::Service {
 public:
  explicit AccessService(Shared& shared) : shared_(shared) {}
  grpc::Status Renew(grpc::ServerContext* context, const v1::RenewRequest* request,
                     v1::RenewResponse* response) override {
    TlsQueen::Renewal renewal;
    {
      std::lock_guard lock(shared_.mutex);
      ++shared_.renewals;
      renewal = shared_.renewal;
    }
    while (renewal == TlsQueen::Renewal::kHang && !context->IsCancelled()) usleep(2000);
    if (renewal != TlsQueen::Renewal::kSign) return {grpc::StatusCode::INTERNAL, "no"};
    response->set_certificate(shared_.Sign(request->request(), WallNow(), kMonth));
    return grpc::Status::OK;
  }

 private:
  Shared& shared_;
};

class FleetService : public v1::Fleet::Service {
  grpc::Status List(grpc::ServerContext*, const v1::ListDronesRequest*,
                    v1::ListDronesResponse* response) override {
    response->add_drones()->set_name("bee-1");
    return grpc::Status::OK;
  }
};

}  // namespace

struct TlsQueen::Impl {
  explicit Impl(tls::Authority authority) : shared(std::move(authority)), access(shared) {}

  http::Response Enrol(const http::Request& request) {
    std::lock_guard lock(shared.mutex);
    shared.question = request.body;
    if (shared.answer) return shared.answer(request);
    const Json body = Json::parse(request.body);
    const Json answer = {{"certificate", shared.Sign(body["request"], WallNow(), kMonth)},
                         {"authority", shared.authority.certificate().pem()},
                         {"name", "anna"},
                         {"port", shared.port}};
    return {200, "application/json", answer.dump()};
  }

  Shared shared;
  AccessService access;
  FleetService fleet;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<http::HttpServer> enrolment;
  std::string grpc, https;
};

TlsQueen::TlsQueen()
    : impl_(std::make_unique<Impl>(*tls::Authority::Create("test", WallNow() - kAge.count()))) {
  const tls::Authority& authority = impl_->shared.authority;
  const tls::Key key = *tls::Key::Generate();
  const std::vector<std::string> names = {rpc::kQueenName, "127.0.0.1"};
  const std::string chain =
      authority.IssueQueen(key, names, WallNow(), kMonth)->pem() + authority.certificate().pem();
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = authority.certificate().pem();
  tls.pem_key_cert_pairs.push_back({*key.ToPem(), chain});
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &impl_->shared.port);
  builder.RegisterService(&impl_->access);
  builder.RegisterService(&impl_->fleet);
  impl_->server = builder.BuildAndStart();
  EXPECT_NE(impl_->server, nullptr);
  impl_->grpc = absl::StrCat("127.0.0.1:", impl_->shared.port);

  http::Router router;
  router.Add("POST", "/v1/enrol",
             [impl = impl_.get()](const http::Request& request, const http::Answer& answer) {
               answer(impl->Enrol(request));
             });
  http::HttpServer::Config config;
  config.listen = "127.0.0.1:0";
  config.certificate = chain;
  config.key = *key.ToPem();
  auto server = http::HttpServer::Create(std::move(config), std::move(router));
  EXPECT_TRUE(server.ok()) << server.status();
  impl_->enrolment = *std::move(server);
  impl_->https = impl_->enrolment->bound();
}

TlsQueen::~TlsQueen() {
  StopGrpc();
}

const std::string& TlsQueen::grpc() const {
  return impl_->grpc;
}
const std::string& TlsQueen::https() const {
  return impl_->https;
}
std::string TlsQueen::token() const {
  return tls::Invitation::Make(impl_->shared.authority.pin())->ToText();
}

std::string TlsQueen::Login(std::chrono::seconds begins, std::chrono::seconds ends) const {
  const tls::Key key = *tls::Key::Generate();
  const WallMillis at = WallNow() + std::chrono::milliseconds(begins).count();
  const Json login = {{"queen", impl_->grpc},
                      {"url", "https://" + impl_->https},
                      {"key", *key.ToPem()},
                      {"certificate", impl_->shared.Sign(*tls::MakeRequest(key), at, ends - begins)},
                      {"authority", impl_->shared.authority.certificate().pem()}};
  return login.dump();
}

void TlsQueen::AnswerEnrolment(std::function<http::Response(const http::Request&)> answer) {
  std::lock_guard lock(impl_->shared.mutex);
  impl_->shared.answer = std::move(answer);
}
std::string TlsQueen::last_question() const {
  std::lock_guard lock(impl_->shared.mutex);
  return impl_->shared.question;
}
void TlsQueen::OnRenew(Renewal renewal) {
  std::lock_guard lock(impl_->shared.mutex);
  impl_->shared.renewal = renewal;
}
int TlsQueen::renewals() const {
  std::lock_guard lock(impl_->shared.mutex);
  return impl_->shared.renewals;
}
void TlsQueen::StopGrpc() {
  impl_->server->Shutdown(std::chrono::system_clock::now());
  impl_->server->Wait();
}

}  // namespace waggle::cli
