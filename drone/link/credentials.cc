#include "drone/link/credentials.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/fd.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/tls/request.h"

namespace waggle::drone {
namespace {

absl::Status Damaged(const std::string& directory, const absl::Status& why) {
  return absl::DataLossError(absl::StrCat("what this drone has from its queen, in ", directory,
                                          ", cannot be used: ", why.message(),
                                          "\nnext: enrol it again, with a new invitation"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Credentials>> Credentials::Load(const std::string& data, WallMillis now) {
  const std::string directory = data + "/tls";
  if (!FileExists(directory + "/enrolled")) return nullptr;
  std::string texts[4];
  const char* files[] = {"/enrolled", "/drone.key", "/drone.crt", "/authority.crt"};
  for (std::size_t i = 0; i < std::size(files); ++i) {
    absl::StatusOr<std::string> text = ReadFile(directory + files[i], limits::kPemBytes);
    if (!text.ok()) return Damaged(directory, text.status());
    texts[i] = *std::move(text);
  }
  absl::StatusOr<tls::Key> key = tls::Key::FromPem(texts[1]);
  if (!key.ok()) return Damaged(directory, key.status());
  absl::StatusOr<tls::Certificate> certificate = tls::Certificate::FromPem(texts[2]);
  if (!certificate.ok()) return Damaged(directory, certificate.status());
  const std::vector<std::string> lines = absl::StrSplit(texts[0], '\n');
  if (lines.size() < 2 || certificate->key_id() != key->id()) {
    return Damaged(directory, absl::DataLossError("its parts do not belong together"));
  }
  if (absl::Status valid = certificate->CheckTime(now); !valid.ok()) {
    return absl::UnauthenticatedError(absl::StrCat("the certificate of this drone: ", valid.message()));
  }
  std::unique_ptr<Credentials> credentials(
      new Credentials(directory, *std::move(key), *std::move(certificate)));
  credentials->queen_ = lines[0];
  credentials->name_ = lines[1];
  credentials->tls_ = {texts[1], texts[2], texts[3]};
  return credentials;
}

absl::Status Credentials::Save(const std::string& data, const tls::Key& key, const std::string& certificate,
                               const std::string& authority, const std::string& queen,
                               const std::string& name) {
  const std::string directory = data + "/tls";
  RETURN_IF_ERROR(MakeDirectories(directory));
  RETURN_IF_ERROR(RemoveFile(directory + "/enrolled"));
  ASSIGN_OR_RETURN(const std::string key_pem, key.ToPem());
  RETURN_IF_ERROR(WriteFileDurably(directory + "/drone.key", key_pem));
  RETURN_IF_ERROR(WriteFileDurably(directory + "/drone.crt", certificate));
  RETURN_IF_ERROR(WriteFileDurably(directory + "/authority.crt", authority));
  return WriteFileDurably(directory + "/enrolled", absl::StrCat(queen, "\n", name, "\n"));
}

bool Credentials::RenewalDue(WallMillis now) const {
  const WallMillis half =
      certificate_.not_before() + (certificate_.not_after() - certificate_.not_before()) / 2;
  return now >= half;
}

absl::StatusOr<std::string> Credentials::MakeRequest() const {
  return tls::MakeRequest(key_);
}

absl::Status Credentials::Renew(const std::string& certificate) {
  ASSIGN_OR_RETURN(tls::Certificate read, tls::Certificate::FromPem(certificate));
  if (read.key_id() != key_.id()) return absl::PermissionDeniedError("the new certificate is of another key");
  RETURN_IF_ERROR(WriteFileDurably(directory_ + "/drone.crt", certificate));
  certificate_ = std::move(read);
  tls_.certificate = certificate;
  return absl::OkStatus();
}

}  // namespace waggle::drone
