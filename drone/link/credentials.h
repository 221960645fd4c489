#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/rpc/channel.h"
#include "common/tls/certificate.h"
#include "common/tls/key.h"

namespace waggle::drone {

// What a drone on another host than its queen has from her, in DATA/tls (0700, files 0600):
//
//   drone.key       its private key, which never leaves this host
//   drone.crt       the queen's certificate for it, renewed while it is connected
//   authority.crt   by which it knows the queen
//   enrolled        two lines: HOST:PORT of the queen, and the name it has there
//
// One thread.
class Credentials {
 public:
  // nullptr: this drone is not enrolled. DataLoss: a file is damaged. Unauthenticated: the certificate is
  // expired.
  static absl::StatusOr<std::unique_ptr<Credentials>> Load(const std::string& data, WallMillis now);
  // Writes all of it; `enrolled` last, so that half of it counts for nothing.
  static absl::Status Save(const std::string& data, const tls::Key& key, const std::string& certificate,
                           const std::string& authority, const std::string& queen, const std::string& name);

  const rpc::PeerTls& tls() const { return tls_; }
  const std::string& queen() const { return queen_; }
  const std::string& name() const { return name_; }

  // More than half of the certificate's time is over.
  bool RenewalDue(WallMillis now) const;
  absl::StatusOr<std::string> MakeRequest() const;  // PEM
  // Keeps the new certificate if it is one for our key; the old one stays otherwise.
  absl::Status Renew(const std::string& certificate);

 private:
  Credentials(std::string directory, tls::Key key, tls::Certificate certificate)
      : directory_(std::move(directory)), key_(std::move(key)), certificate_(std::move(certificate)) {}

  const std::string directory_;
  tls::Key key_;
  tls::Certificate certificate_;
  rpc::PeerTls tls_;
  std::string queen_, name_;
};

}  // namespace waggle::drone
