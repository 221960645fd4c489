#include "queen/http/tls_context.h"

#include <openssl/ssl.h>

#include <exception>
#include <string>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>

#include "absl/strings/str_cat.h"

namespace waggle::queen::http {
namespace {

namespace ssl = boost::asio::ssl;

// RFC 7301's form: each name behind its length.
constexpr unsigned char kHttp11[] = "\x08http/1.1";

// A client that offers protocols, but not ours, is turned away; one that offers none is served.
int SelectProtocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                   unsigned offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof kHttp11 - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

absl::Status Fault(std::string_view what, const boost::system::error_code& error) {
  return absl::InvalidArgumentError(absl::StrCat(absl::string_view(what.data(), what.size()),
                                                 " of the HTTP port cannot be used: ", error.message(),
                                                 ": give PEM text, the server's own certificate first"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<ssl::context>> MakeServerContext(std::string_view chain,
                                                                std::string_view key) {
  try {
    auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
    SSL_CTX* native = context->native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(native, TLS1_3_VERSION);
    SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(native, 0);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);  // 32 KiB less for each idle connection
    SSL_CTX_set_alpn_select_cb(native, SelectProtocol, nullptr);

    boost::system::error_code error;
    // Without this OpenSSL would ask the terminal for the passphrase of an encrypted key.
    context->set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); },
                                   error);
    context->use_certificate_chain(boost::asio::buffer(chain.data(), chain.size()), error);
    if (error) return Fault("the certificate", error);
    context->use_private_key(boost::asio::buffer(key.data(), key.size()), ssl::context::pem, error);
    if (error) return Fault("the private key", error);
    if (SSL_CTX_check_private_key(native) != 1)
      return absl::InvalidArgumentError(
          "the private key of the HTTP port is not that of its certificate: give the pair that was made "
          "together");
    return context;
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("TLS of the HTTP port cannot be set up: ", e.what()));
  }
}

}  // namespace waggle::queen::http
