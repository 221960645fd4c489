#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/fd.h"
#include "common/rpc/channel.h"
#include "common/rpc/host_port.h"
#include "common/tls/certificate.h"
#include "common/tls/key.h"

namespace waggle::cli {

// What a person has from one queen on another host.
struct Login {
  rpc::HostPort queen;  // her gRPC
  std::string url;      // "https://HOST:PORT" where it was given
  tls::Key key;
  tls::Certificate certificate, authority;

  const std::string& name() const { return certificate.common_name(); }
  absl::StatusOr<rpc::PeerTls> ForChannel() const;
};

// The logins of this person, below one directory (0700):
//   HOST_PORT/login.json     {"queen", "url", "key", "certificate", "authority"}, PEM inside, mode 0600.
//                            One file, so that a key never meets the certificate of another
//   pending-DIGITS.key       of a token that was sent to a queen whose answer did not come
//   lock                     held by who changes something
// A reader needs no lock: files are replaced whole. Several processes may do all of this at the same time.
class Logins {
 public:
  // `directory`: "" = there is no home to keep anything in. Nothing is made before something is stored.
  explicit Logins(std::string directory) : directory_(std::move(directory)) {}

  // HOST:PORT of every login, sorted.
  std::vector<std::string> List() const;
  // Where the login of a place is kept, whether it is there or not.
  std::string DirectoryOf(const rpc::HostPort& queen) const;

  // The login of "HOST:PORT", or of "https://HOST:PORT" where it was given. NotFound: there is none;
  // DataLoss: its file is damaged; PermissionDenied.
  absl::StatusOr<Login> Find(const std::string& remote) const;

  // The key for a login with this token: a new one, already on the disk, or the one of an earlier try. With
  // the same key a token may be sent again. Errors: nothing can be written here.
  absl::StatusOr<tls::Key> PendingKey(std::string_view token) const;
  void ForgetPending(std::string_view token) const;

  // In place of the one of the same queen, whole or not at all.
  absl::Status Store(const Login& login) const;
  // A newer certificate of the same key; nothing happens if the login is gone or has another key by now.
  absl::Status Renew(const Login& old, tls::Certificate certificate) const;
  absl::Status Remove(const rpc::HostPort& queen) const;

 private:
  absl::StatusOr<Login> Read(const rpc::HostPort& queen) const;
  absl::Status Write(const Login& login) const;
  absl::StatusOr<UniqueFd> Lock() const;  // waits: it is held for as long as a file takes
  std::string PendingPath(std::string_view token) const;

  const std::string directory_;
};

}  // namespace waggle::cli
