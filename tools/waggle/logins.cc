#include "tools/waggle/logins.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "common/tls/invitation.h"
#include "tools/waggle/json.h"

namespace waggle::cli {
namespace {

constexpr std::size_t kLoginBytes = 4 * limits::kPemBytes + limits::kKiB;  // three PEM texts, escaped
constexpr std::size_t kPendingDigits = 16;  // of the token's hash: enough to tell a person's own apart

// "[::1]:7874" ↔ "::1_7874". Host names may have an underscore; the last one is ours.
std::string FolderOf(const rpc::HostPort& queen) {
  return absl::StrCat(queen.host, "_", queen.port);
}

std::optional<rpc::HostPort> PlaceOf(const std::string& folder) {
  const std::size_t end = folder.rfind('_');
  if (end == std::string::npos) return std::nullopt;
  const std::string host = folder.substr(0, end), port = folder.substr(end + 1);
  const bool brackets = host.find(':') != std::string::npos;
  absl::StatusOr<rpc::HostPort> place =
      rpc::ParseHostPort(absl::StrCat(brackets ? "[" : "", host, brackets ? "]:" : ":", port));
  if (!place.ok() || FolderOf(*place) != folder) return std::nullopt;
  return *place;
}

std::string TextOf(const Json& object, const char* field) {
  auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

absl::StatusOr<Login> FromJson(const rpc::HostPort& queen, const std::string& text) {
  const Json object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::InvalidArgumentError("it is not a JSON object");
  ASSIGN_OR_RETURN(tls::Key key, tls::Key::FromPem(TextOf(object, "key")));
  ASSIGN_OR_RETURN(tls::Certificate certificate, tls::Certificate::FromPem(TextOf(object, "certificate")));
  ASSIGN_OR_RETURN(tls::Certificate authority, tls::Certificate::FromPem(TextOf(object, "authority")));
  if (certificate.key_id() != key.id())
    return absl::InvalidArgumentError("its certificate is not of its key");
  return Login{queen, TextOf(object, "url"), std::move(key), std::move(certificate), std::move(authority)};
}

}  // namespace

absl::StatusOr<rpc::PeerTls> Login::ForChannel() const {
  ASSIGN_OR_RETURN(std::string pem, key.ToPem());
  return rpc::PeerTls{std::move(pem), certificate.pem(), authority.pem()};
}

std::vector<std::string> Logins::List() const {
  std::vector<std::string> places;
  if (directory_.empty()) return places;
  const absl::StatusOr<std::vector<std::string>> names = ListDirectory(directory_);
  if (!names.ok()) return places;
  for (const std::string& name : *names) {
    const std::optional<rpc::HostPort> place = PlaceOf(name);
    if (place && FileExists(absl::StrCat(directory_, "/", name, "/login.json")))
      places.push_back(place->Text());
  }
  std::sort(places.begin(), places.end());
  return places;
}

std::string Logins::DirectoryOf(const rpc::HostPort& queen) const {
  return absl::StrCat(directory_, "/", FolderOf(queen));
}

absl::StatusOr<Login> Logins::Read(const rpc::HostPort& queen) const {
  const std::string path = absl::StrCat(DirectoryOf(queen), "/login.json");
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kLoginBytes));
  absl::StatusOr<Login> login = FromJson(queen, text);
  if (login.ok()) return login;
  return absl::DataLossError(absl::StrCat("the login in ", path, " is damaged\n", login.status().message(),
                                          "\nnext: waggle logout ", queen.Text(),
                                          ", then log in with a new invitation"));
}

absl::StatusOr<Login> Logins::Find(const std::string& remote) const {
  if (directory_.empty()) return absl::NotFoundError("there is no home directory");
  const absl::StatusOr<rpc::HostPort> url = rpc::ParseUrl(remote);
  if (!url.ok()) {
    ASSIGN_OR_RETURN(const rpc::HostPort queen, rpc::ParseHostPort(remote));
    return Read(queen);
  }
  for (const std::string& text : List()) {
    ASSIGN_OR_RETURN(const rpc::HostPort queen, rpc::ParseHostPort(text));
    absl::StatusOr<Login> login = Read(queen);
    if (login.ok() && login->url == remote) return login;
  }
  return Read(*url);  // the port of her gRPC was written
}

absl::StatusOr<UniqueFd> Logins::Lock() const {
  if (directory_.empty()) {
    return absl::FailedPreconditionError(
        "there is no home directory to keep a login in\nnext: set HOME or XDG_CONFIG_HOME");
  }
  RETURN_IF_ERROR(MakeDirectories(directory_));
  const std::string path = absl::StrCat(directory_, "/lock");
  ASSIGN_OR_RETURN(UniqueFd lock, Open(path, O_RDWR | O_CREAT));
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoStatus("lock", path);
  }
  return lock;
}

std::string Logins::PendingPath(std::string_view token) const {
  return absl::StrCat(directory_, "/pending-", tls::HashOf(token).substr(0, kPendingDigits), ".key");
}

absl::StatusOr<tls::Key> Logins::PendingKey(std::string_view token) const {
  ASSIGN_OR_RETURN(const UniqueFd lock, Lock());
  const std::string path = PendingPath(token);
  absl::StatusOr<std::string> pem = ReadFile(path, limits::kPemBytes);
  if (pem.ok()) {
    absl::StatusOr<tls::Key> key = tls::Key::FromPem(*pem);
    if (key.ok()) return key;  // else it is damaged: a new one
  }
  ASSIGN_OR_RETURN(tls::Key key, tls::Key::Generate());
  ASSIGN_OR_RETURN(const std::string text, key.ToPem());
  RETURN_IF_ERROR(WriteFileDurably(path, text));
  return key;
}

void Logins::ForgetPending(std::string_view token) const {
  RemoveFile(PendingPath(token)).IgnoreError();
}

absl::Status Logins::Write(const Login& login) const {
  ASSIGN_OR_RETURN(const std::string key, login.key.ToPem());
  Json object = Json::object();
  object["queen"] = login.queen.Text();
  object["url"] = login.url;
  object["key"] = key;
  object["certificate"] = login.certificate.pem();
  object["authority"] = login.authority.pem();
  return WriteFileDurably(absl::StrCat(DirectoryOf(login.queen), "/login.json"), Pretty(object));
}

absl::Status Logins::Store(const Login& login) const {
  ASSIGN_OR_RETURN(const UniqueFd lock, Lock());
  RETURN_IF_ERROR(MakeDirectoriesDurably(DirectoryOf(login.queen)));
  return Write(login);
}

absl::Status Logins::Renew(const Login& old, tls::Certificate certificate) const {
  ASSIGN_OR_RETURN(const UniqueFd lock, Lock());
  ASSIGN_OR_RETURN(Login login, Read(old.queen));
  if (login.key.id() != certificate.key_id() || login.certificate.not_after() >= certificate.not_after())
    return absl::OkStatus();
  login.certificate = std::move(certificate);
  return Write(login);
}

absl::Status Logins::Remove(const rpc::HostPort& queen) const {
  ASSIGN_OR_RETURN(const UniqueFd lock, Lock());
  const std::string directory = DirectoryOf(queen);
  RETURN_IF_ERROR(RemoveFile(absl::StrCat(directory, "/login.json.new")));  // of a crash
  RETURN_IF_ERROR(RemoveFile(absl::StrCat(directory, "/login.json")));
  ::rmdir(directory.c_str());  // stays if somebody keeps something of theirs in it
  return SyncDirectory(directory_);
}

}  // namespace waggle::cli
