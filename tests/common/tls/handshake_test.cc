// Real TLS in memory: what OpenSSL itself makes of the certificates we issue, on a port that demands one and
// at a client that knows the queen's authority.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "tests/common/tls/forge.h"

namespace waggle::tls {
namespace {

using test::kNow;
using testing::HasSubstr;

using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using Connection = std::unique_ptr<SSL, Free<SSL_free>>;

constexpr char kHost[] = "ci.example.com";

// What one end of a connection has; "" = it has none.
struct End {
  std::string authority;    // whom it trusts
  std::string certificate;  // its own
  std::string key;
  int newest = TLS1_3_VERSION;
  std::string host = kHost;  // whom the client wants to speak to
};

std::string LastError() {
  std::string text;
  while (const unsigned long error = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(error);
    if (text.empty() && reason != nullptr) text = reason;
  }
  return text;
}

template <typename Read>
auto Parse(const std::string& pem, Read&& read) {
  std::unique_ptr<BIO, Free<BIO_free>> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return read(in.get(), nullptr, nullptr, nullptr);
}

Context MakeContext(const End& end, bool server, WallMillis now) {
  Context context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), server ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), end.newest);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(context.get()), static_cast<time_t>(now / 1000));
  CertificateHandle authority(Parse(end.authority, PEM_read_bio_X509));
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), authority.get());
  if (end.certificate.empty()) return context;
  CertificateHandle own(Parse(end.certificate, PEM_read_bio_X509));
  KeyHandle key(Parse(end.key, PEM_read_bio_PrivateKey));
  EXPECT_EQ(SSL_CTX_use_certificate(context.get(), own.get()), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key.get()), 1) << LastError();
  return context;
}

void SetHost(SSL* client, const std::string& host) {
  X509_VERIFY_PARAM* param = SSL_get0_param(client);
  if (X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) != 1) SSL_set1_host(client, host.c_str());
  ERR_clear_error();
}

struct Outcome {
  bool client = false, server = false;     // the handshake succeeded, at this end
  std::string client_error, server_error;  // the first reason of the end that refused
  std::string peer;                        // the client's certificate as the server has it
  std::string arrived;                     // what the server could read of the client's first words
};

// One step of a handshake; true once it is over, one way or the other.
bool Step(SSL* ssl, bool* done, std::string* error) {
  if (*done || !error->empty()) return true;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl);
  if (result == 1) return *done = true;
  const int why = SSL_get_error(ssl, result);
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return false;
  const long verdict = SSL_get_verify_result(ssl);
  *error = verdict == X509_V_OK ? LastError() : X509_verify_cert_error_string(verdict);
  if (error->empty()) *error = "closed";
  return true;
}

Outcome Shake(const End& client_end, const End& server_end, WallMillis now = kNow) {
  const Context client_context = MakeContext(client_end, false, now);
  const Context server_context = MakeContext(server_end, true, now);
  const Connection client(SSL_new(client_context.get())), server(SSL_new(server_context.get()));
  BIO *left = nullptr, *right = nullptr;
  EXPECT_EQ(BIO_new_bio_pair(&left, 64 * 1024, &right, 64 * 1024), 1);
  SSL_set_bio(client.get(), left, left);
  SSL_set_bio(server.get(), right, right);
  SSL_set_connect_state(client.get());
  SSL_set_accept_state(server.get());
  SetHost(client.get(), client_end.host);

  Outcome outcome;
  for (int turn = 0; turn < 20; ++turn) {
    const bool client_over = Step(client.get(), &outcome.client, &outcome.client_error);
    const bool server_over = Step(server.get(), &outcome.server, &outcome.server_error);
    if (client_over && server_over) break;
  }
  char buffer[16];
  if (outcome.client) SSL_write(client.get(), "hello", 5);
  if (outcome.server) {
    const int size = SSL_read(server.get(), buffer, sizeof buffer);
    if (size > 0) outcome.arrived.assign(buffer, static_cast<std::size_t>(size));
    const CertificateHandle peer(SSL_get1_peer_certificate(server.get()));
    std::unique_ptr<BIO, Free<BIO_free>> out(BIO_new(BIO_s_mem()));
    char* text = nullptr;
    if (peer && PEM_write_bio_X509(out.get(), peer.get()) == 1) {
      const long size = BIO_get_mem_data(out.get(), &text);
      outcome.peer.assign(text, static_cast<std::size_t>(size));
    }
  } else if (outcome.client) {
    // In TLS 1.3 the client is done first: it hears of a refusal with its next read.
    ERR_clear_error();
    if (SSL_read(client.get(), buffer, sizeof buffer) <= 0) outcome.client_error = LastError();
  }
  ERR_clear_error();
  return outcome;
}

class Handshake : public testing::Test {
 protected:
  End Drone(const Authority& authority, WallMillis issued = kNow) const {
    const Key key = test::MakeKey();
    return {ours_.certificate().pem(), test::MakeDrone(authority, key, "bee-05", issued).pem(),
            key.ToPem().value()};
  }

  End Queen(const Authority& authority, const std::vector<std::string>& names = {kHost, "127.0.0.1"},
            WallMillis issued = kNow) const {
    const Key key = test::MakeKey();
    return {ours_.certificate().pem(), test::MakeQueen(authority, key, names, issued).pem(),
            key.ToPem().value()};
  }

  // A client whose certificate a stranger made for its key.
  End With(const std::string& certificate, EVP_PKEY* key) const {
    return {ours_.certificate().pem(), certificate, test::PrivatePem(key)};
  }

  void ExpectRefused(const End& client, const std::string& reason, const std::string& alert,
                     WallMillis now = kNow) {
    const Outcome outcome = Shake(client, Queen(ours_, {kHost}, now), now);
    EXPECT_FALSE(outcome.server);
    EXPECT_EQ(outcome.arrived, "");
    EXPECT_THAT(outcome.server_error, HasSubstr(reason));
    EXPECT_THAT(outcome.client_error, HasSubstr(alert));
  }

  const Authority ours_ = test::MakeAuthority("hive", kNow - 30LL * 86'400'000);
  const Authority foreign_ = test::MakeAuthority("hive");
};

TEST_F(Handshake, ADroneAndItsQueenKnowEachOther) {
  const End drone = Drone(ours_);
  const Outcome outcome = Shake(drone, Queen(ours_));
  EXPECT_TRUE(outcome.client) << outcome.client_error;
  EXPECT_TRUE(outcome.server) << outcome.server_error;
  EXPECT_EQ(outcome.arrived, "hello");
  EXPECT_EQ(outcome.peer, drone.certificate);
  const Certificate peer = Certificate::FromPem(outcome.peer).value();
  EXPECT_TRUE(Verify(peer, ours_.certificate(), {Role::kDrone}, kNow).ok());
  EXPECT_EQ(peer.key_id(), Key::FromPem(drone.key).value().id());
}

TEST_F(Handshake, AnEd25519KeyWorksToo) {
  const KeyHandle key = test::MakeEd25519();
  const Request request = Request::FromPem(test::ForgeRequest(key.get())).value();
  const Certificate user = ours_.Sign(request, Role::kUser, "anna", kNow, test::kWeek).value();
  const Outcome outcome = Shake(With(user.pem(), key.get()), Queen(ours_));
  EXPECT_EQ(outcome.arrived, "hello") << outcome.client_error << outcome.server_error;
}

TEST_F(Handshake, AQueenIsReachedByEachOfHerNames) {
  for (const char* host : {kHost, "CI.EXAMPLE.COM", "127.0.0.1"}) {
    End drone = Drone(ours_);
    drone.host = host;
    EXPECT_EQ(Shake(drone, Queen(ours_)).arrived, "hello") << host;
  }
}

TEST_F(Handshake, AClientWithoutACertificateIsRefused) {
  ExpectRefused({ours_.certificate().pem()}, "peer did not return a certificate", "certificate required");
}

TEST_F(Handshake, AForeignOrSelfSignedClientIsRefused) {
  ExpectRefused(Drone(foreign_), "unable to get local issuer certificate", "unknown ca");
  const KeyHandle key = test::MakeP256();
  const auto as_drone = [](X509* x) { test::AddExtension(x, "subjectAltName", "URI:waggle:drone"); };
  ExpectRefused(With(test::ForgeSelfSigned(key.get(), "bee-05", as_drone), key.get()),
                "self-signed certificate", "unknown ca");
  ExpectRefused(With(test::ForgeCertificate(foreign_, key.get(), "bee-05", as_drone), key.get()),
                "signature failure", "");
}

TEST_F(Handshake, AnExpiredOrEarlyClientIsRefusedAtTheSameInstantAsByVerify) {
  const End drone = Drone(ours_);
  const Certificate own = Certificate::FromPem(drone.certificate).value();
  const WallMillis first = own.not_before(), last = own.not_after() - 1000;
  for (WallMillis now : {first, last}) {
    EXPECT_TRUE(Verify(own, ours_.certificate(), {Role::kDrone}, now).ok());
    EXPECT_EQ(Shake(drone, Queen(ours_, {kHost}, now), now).arrived, "hello");
  }
  ExpectRefused(drone, "not yet valid", "", first - 1000);
  ExpectRefused(drone, "has expired", "certificate expired", last + 1000);
  EXPECT_FALSE(Verify(own, ours_.certificate(), {Role::kDrone}, first - 1000).ok());
  EXPECT_FALSE(Verify(own, ours_.certificate(), {Role::kDrone}, last + 1000).ok());
}

TEST_F(Handshake, ACertificateOfOursThatIsForServersOnlyIsNoClient) {
  const KeyHandle key = test::MakeP256();
  const std::string pem = test::ForgeCertificate(
      ours_, key.get(), "bee-05", [](X509* x) { test::AddExtension(x, "extendedKeyUsage", "serverAuth"); });
  ExpectRefused(With(pem, key.get()), "unsuitable certificate purpose", "");
}

// TLS lets any certificate of the authority in: the role is for Verify to tell.
TEST_F(Handshake, AClientOfAnotherRoleIsToldByVerify) {
  const Outcome outcome = Shake(Queen(ours_), Queen(ours_));
  ASSERT_TRUE(outcome.server);
  const Certificate peer = Certificate::FromPem(outcome.peer).value();
  EXPECT_EQ(Verify(peer, ours_.certificate(), {Role::kDrone, Role::kUser}, kNow).code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(Handshake, PlainTextIsRefused) {
  const Context context = MakeContext(Queen(ours_), true, kNow);
  for (const std::string& words :
       {std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string(600, '\0'), std::string(600, '\x16')}) {
    const Connection server(SSL_new(context.get()));
    BIO* in = BIO_new(BIO_s_mem());
    BIO_write(in, words.data(), static_cast<int>(words.size()));
    SSL_set_bio(server.get(), in, BIO_new(BIO_s_mem()));
    SSL_set_accept_state(server.get());
    bool done = false;
    std::string error;
    EXPECT_TRUE(Step(server.get(), &done, &error));
    EXPECT_FALSE(done);
    EXPECT_NE(error, "");
  }
  ERR_clear_error();
}

TEST_F(Handshake, OlderTlsIsRefused) {
  End drone = Drone(ours_);
  drone.newest = TLS1_2_VERSION;
  const Outcome outcome = Shake(drone, Queen(ours_));
  EXPECT_FALSE(outcome.client || outcome.server);
  EXPECT_THAT(outcome.server_error, HasSubstr("unsupported protocol"));
}

TEST_F(Handshake, AFakeQueenIsRefusedBeforeAnythingIsSaid) {
  const auto refusal = [&](const End& queen, WallMillis now = kNow) {
    const Outcome outcome = Shake(Drone(ours_, now), queen, now);
    EXPECT_FALSE(outcome.client || outcome.server);
    EXPECT_EQ(outcome.arrived + outcome.peer, "");
    return outcome.client_error;
  };
  EXPECT_THAT(refusal(Queen(foreign_)), HasSubstr("unable to get local issuer certificate"));
  EXPECT_THAT(refusal(Queen(ours_, {"other.example.com"})), HasSubstr("hostname mismatch"));
  EXPECT_THAT(refusal(Queen(ours_), kNow + 8LL * 86'400'000), HasSubstr("has expired"));
  EXPECT_THAT(refusal(Queen(ours_), kNow - 86'400'000), HasSubstr("not yet valid"));
}

// Verifiers fall back to the common name where no host name is listed: the extended key usage is what stops
// this.
TEST_F(Handshake, ADroneNamedLikeTheQueenIsNoQueen) {
  const Key key = test::MakeKey();
  const End impostor{ours_.certificate().pem(), test::MakeDrone(ours_, key, kHost).pem(),
                     key.ToPem().value()};
  const Outcome outcome = Shake(Drone(ours_), impostor);
  EXPECT_FALSE(outcome.client || outcome.server);
  EXPECT_THAT(outcome.client_error, HasSubstr("unsuitable certificate purpose"));
}

}  // namespace
}  // namespace waggle::tls
