#include "queen/app/authority_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"

namespace waggle::queen {
namespace {

constexpr std::size_t kPemFile = 64 * limits::kKiB;
// As long as she may run without a restart, within what her authority has left.
constexpr std::chrono::seconds kCertificate = std::chrono::hours(24) * 365 * 5;

absl::StatusOr<tls::Authority> OpenAuthority(const std::string& directory, WallMillis now) {
  const std::string key_path = directory + "/authority.key", certificate_path = directory + "/authority.crt";
  if (!FileExists(key_path) && !FileExists(certificate_path)) {
    ASSIGN_OR_RETURN(tls::Authority made, tls::Authority::Create("Waggle queen", now));
    ASSIGN_OR_RETURN(const std::string key, made.key().ToPem());
    // The certificate last: with it the authority is whole.
    RETURN_IF_ERROR(WriteFileDurably(key_path, key));
    RETURN_IF_ERROR(WriteFileDurably(certificate_path, made.certificate().pem()));
    return made;
  }
  if (!FileExists(certificate_path)) {
    RETURN_IF_ERROR(RemoveFile(key_path));  // a first start that was cut off
    return OpenAuthority(directory, now);
  }
  auto damaged = [&](const absl::Status& why) {
    return absl::DataLossError(absl::StrCat(
        "the queen's authority in ", directory, " cannot be used: ", why.message(),
        "\nevery enrolled drone and person knows the queen by it\nnext: restore it from a backup"));
  };
  absl::StatusOr<std::string> key = ReadFile(key_path, kPemFile);
  absl::StatusOr<std::string> certificate = ReadFile(certificate_path, kPemFile);
  if (!key.ok()) return damaged(key.status());
  if (!certificate.ok()) return damaged(certificate.status());
  absl::StatusOr<tls::Authority> authority = tls::Authority::FromPem(*key, *certificate);
  if (!authority.ok()) return damaged(authority.status());
  return authority;
}

}  // namespace

absl::StatusOr<Identity> OpenIdentity(const std::string& data, const std::vector<std::string>& names,
                                      WallMillis now) {
  const std::string directory = data + "/tls";
  RETURN_IF_ERROR(MakeDirectoriesDurably(directory));
  ASSIGN_OR_RETURN(tls::Authority authority, OpenAuthority(directory, now));
  ASSIGN_OR_RETURN(const tls::Key key, tls::Key::Generate());
  std::vector<std::string> all = {rpc::kQueenName};
  all.insert(all.end(), names.begin(), names.end());
  const auto left = std::chrono::milliseconds(authority.certificate().not_after() - now);
  const auto validity = std::min(kCertificate, std::chrono::duration_cast<std::chrono::seconds>(left));
  ASSIGN_OR_RETURN(const tls::Certificate certificate, authority.IssueQueen(key, all, now, validity));
  ASSIGN_OR_RETURN(std::string pem, key.ToPem());
  std::string chain = absl::StrCat(certificate.pem(), authority.certificate().pem());
  return Identity{std::move(authority), std::move(pem), std::move(chain)};
}

}  // namespace waggle::queen
