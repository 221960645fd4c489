#include "drone/vcs/source.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cctype>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::vcs {
namespace {

constexpr std::size_t kShownBytes = 1024;
constexpr std::size_t kSlugBytes = 40;
constexpr const char* kAccepted = "use an absolute path, https://, http://, ssh://, git:// or user@host:path";

absl::Status Refuse(std::string_view text, std::string_view cause) {
  return absl::InvalidArgumentError(
      absl::StrCat("repository address \"", Printable(text), "\" ", std::string(cause), "; ", kAccepted));
}

bool IsHostCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_' || c == ':' ||
         c == '[' || c == ']';
}

bool IsHost(std::string_view host) {
  return !host.empty() && host.front() != '-' && std::all_of(host.begin(), host.end(), IsHostCharacter);
}

bool IsUser(std::string_view user) {
  auto plain = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_' ||
           c == '+' || c == '%';
  };
  return !user.empty() && user.front() != '-' && std::all_of(user.begin(), user.end(), plain);
}

// The path of an ssh address becomes part of a command line on the server.
bool IsSshPath(std::string_view path) {
  return !path.empty() && path.front() != '-' &&
         path.find_first_of("'\"\\`$;|&<>!*?(){}") == std::string_view::npos;
}

absl::StatusOr<std::string> DecodeFilePath(std::string_view text, std::string_view rest) {
  if (rest.empty() || rest.front() != '/')
    return Refuse(text, "names a host: file:// takes an absolute path");
  std::string path;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] != '%') {
      path.push_back(rest[i]);
      continue;
    }
    if (i + 2 >= rest.size() || !std::isxdigit(static_cast<unsigned char>(rest[i + 1])) ||
        !std::isxdigit(static_cast<unsigned char>(rest[i + 2]))) {
      return Refuse(text, "has a broken % escape");
    }
    path.push_back(static_cast<char>(std::stoi(std::string(rest.substr(i + 1, 2)), nullptr, 16)));
    i += 2;
  }
  return path;
}

absl::StatusOr<Source> ParsePath(std::string_view text, std::string path) {
  bool control = std::any_of(path.begin(), path.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (control) return Refuse(text, "has control characters");
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return Source{Source::Kind::kPath, std::move(path), ""};
}

absl::StatusOr<Source> ParseUrl(std::string_view text, std::string_view scheme, std::string_view rest) {
  Source source;
  if (scheme == "http" || scheme == "https") {
    source.kind = Source::Kind::kHttp;
  } else if (scheme == "ssh") {
    source.kind = Source::Kind::kSsh;
  } else if (scheme == "git") {
    source.kind = Source::Kind::kGit;
  } else {
    return Refuse(text, "has a scheme that is not supported");
  }
  std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || slash + 1 == rest.size()) return Refuse(text, "has no path");
  std::string_view authority = rest.substr(0, slash), path = rest.substr(slash);
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  if (std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    std::string_view user = authority.substr(0, at);
    if (user.find(':') != std::string_view::npos) {
      // The text itself holds the password: do not repeat it.
      return absl::InvalidArgumentError(
          "the repository address carries a password, and addresses are shown to people; remove it from the "
          "address and "
          "give it as the repository's credentials (repo.auth)");
    }
    if (!IsUser(user)) return Refuse(text, "has a user name that is not valid");
    source.username = user;
    authority.remove_prefix(at + 1);
  }
  if (!IsHost(authority)) return Refuse(text, "has no valid host name");
  if (source.kind == Source::Kind::kSsh && !IsSshPath(path))
    return Refuse(text, "has a path that ssh cannot take");
  source.address =
      absl::StrCat(std::string(scheme), "://", source.username, source.username.empty() ? "" : "@",
                   std::string(authority), std::string(path));
  return source;
}

// user@host:path; the user is demanded so that a mistyped scheme is not taken for a host.
absl::StatusOr<Source> ParseScp(std::string_view text) {
  std::size_t at = text.find('@'), colon = text.find(':');
  if (at == std::string_view::npos || colon == std::string_view::npos || at > colon) {
    return Refuse(text, "is neither an absolute path nor a supported address");
  }
  std::string_view user = text.substr(0, at), host = text.substr(at + 1, colon - at - 1),
                   path = text.substr(colon + 1);
  if (!IsUser(user) || !IsHost(host)) return Refuse(text, "has no valid user and host name");
  if (!IsSshPath(path) || path.front() == ':') return Refuse(text, "has a path that ssh cannot take");
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return Source{Source::Kind::kSsh,
                absl::StrCat(std::string(user), "@", std::string(host), ":", std::string(path)),
                std::string(user)};
}

}  // namespace

absl::StatusOr<Source> ParseSource(std::string_view text) {
  if (text.empty()) return Refuse(text, "is empty");
  if (text.size() > kAddressBytes)
    return Refuse(text, absl::StrCat("is longer than ", kAddressBytes, " bytes"));
  if (text.front() == '/') return ParsePath(text, std::string(text));
  bool odd = std::any_of(text.begin(), text.end(), [](unsigned char c) { return c <= 0x20 || c == 0x7f; });
  if (odd) return Refuse(text, "has spaces or control characters");
  std::size_t mark = text.find("://");
  if (mark == std::string_view::npos) return ParseScp(text);
  std::string scheme = absl::AsciiStrToLower(absl::string_view(text.data(), mark));
  std::string_view rest = text.substr(mark + 3);
  if (scheme != "file") return ParseUrl(text, scheme, rest);
  ASSIGN_OR_RETURN(std::string path, DecodeFilePath(text, rest));
  return ParsePath(text, std::move(path));
}

std::string Source::MirrorName() const {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(address.data(), address.size(), digest, &size, EVP_sha256(), nullptr);
  std::string slug;
  for (char c : address.substr(address.find_last_of("/:") + 1)) {
    if (slug.size() < kSlugBytes &&
        (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_')) {
      slug.push_back(c);
    }
  }
  std::string hash(reinterpret_cast<const char*>(digest), 16);
  return absl::StrCat(slug.empty() ? "repository" : slug, "-", absl::BytesToHexString(hash));
}

std::string Printable(std::string_view text) {
  std::string shown(text.substr(0, kShownBytes));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = c == '\n' ? ' ' : '?';
  }
  while (!shown.empty() && shown.back() == ' ') shown.pop_back();
  return shown;
}

}  // namespace waggle::vcs
