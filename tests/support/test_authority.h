#pragma once

#include <memory>
#include <string>

struct evp_pkey_st;
struct x509_st;

namespace waggle::test {

// What a TLS server shows: its certificate and the CA's, and its key; PEM.
struct TestIdentity {
  std::string chain, key;
};

// A certificate authority made for one test, with OpenSSL alone and on purpose without our own code for it.
class TestAuthority {
 public:
  struct Leaf {
    std::string names = "IP:127.0.0.1,IP:::1,DNS:localhost";
    int from_seconds = -3600, to_seconds = 3600;  // validity, from now
    std::string usage = "serverAuth";
    bool send_ca = true;
  };

  explicit TestAuthority(bool is_ca = true);
  TestIdentity Issue(const Leaf& leaf) const;
  TestIdentity Issue() const { return Issue(Leaf{}); }
  const std::string& pem() const { return pem_; }
  std::string pin() const;  // as rpc::Post wants it

 private:
  std::shared_ptr<evp_pkey_st> key_;
  std::shared_ptr<x509_st> certificate_;
  std::string pem_;
};

}  // namespace waggle::test
