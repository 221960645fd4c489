#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "drone/vcs/fetch.h"

namespace waggle::vcs {
namespace {

// What the callbacks of one connection know.
struct Session {
  const Source& source;
  const Credentials* credentials;
  int tries = 0;
  bool too_large = false;
};

int Deny(const std::string& why) {
  git_error_set_str(GIT_ERROR_CALLBACK, why.c_str());
  return GIT_EAUTH;
}

// scheme://host:port without the user name, in lower case.
std::string Server(std::string_view url) {
  std::size_t start = url.find("://");
  if (start == std::string_view::npos) return "";
  std::string_view authority = url.substr(start + 3);
  authority = authority.substr(0, authority.find('/'));
  if (std::size_t at = authority.rfind('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);
  return absl::AsciiStrToLower(absl::StrCat(std::string(url.substr(0, start + 3)), std::string(authority)));
}

// libgit2 asks again after each refusal, without end: the second question for a secret is the answer
// "refused".
int Authenticate(git_credential** out, const char* url, const char* user_in_url, unsigned allowed,
                 void* payload) {
  Session& session = *static_cast<Session*>(payload);
  const Credentials* given = session.credentials;
  if (given == nullptr) {
    return Deny(
        "the server wants credentials and none were given; set the repository's credentials (repo.auth)");
  }
  // libgit2 1.5 follows redirects whatever its options say; a secret is only for the server it was given for.
  bool http = session.source.kind == Source::Kind::kHttp;
  if (http && Server(url == nullptr ? "" : url) != Server(session.source.address)) {
    return Deny(absl::StrCat("the server redirects to ", Server(url == nullptr ? "" : url),
                             ", which gets no credentials; use the new address in the project"));
  }
  std::string user = !given->username.empty() ? given->username
                     : user_in_url != nullptr ? user_in_url
                                              : "git";
  if (allowed & GIT_CREDENTIAL_USERNAME) return git_credential_username_new(out, user.c_str());
  if (session.tries++ > 0) {
    return Deny(
        "the server refused the credentials; check the user name, the password or key, and their rights");
  }
  if ((allowed & GIT_CREDENTIAL_SSH_MEMORY) && !given->ssh_key.empty()) {
    return git_credential_ssh_key_memory_new(out, user.c_str(), nullptr, given->ssh_key.c_str(), nullptr);
  }
  if ((allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) && !given->password.empty()) {
    return git_credential_userpass_plaintext_new(out, user.c_str(), given->password.c_str());
  }
  return Deny(
      "the server takes none of the given credentials: ssh wants a key, https a user name and password");
}

int Progress(const git_indexer_progress* stats, void* payload) {
  Session& session = *static_cast<Session*>(payload);
  if (stats->received_bytes <= kFetchBytes && stats->total_objects <= kFetchObjects) return 0;
  session.too_large = true;
  return GIT_EUSER;
}

absl::Status Failed(const Session& session) {
  std::string operation = absl::StrCat("cannot fetch ", session.source.address);
  if (session.too_large) {
    return absl::ResourceExhaustedError(absl::StrCat(operation, ": it is larger than ", kFetchBytes >> 30,
                                                     " GiB or ", kFetchObjects,
                                                     " objects, the most a mirror takes"));
  }
  return GitError(operation);
}

// One connection: what the remote has, the objects, then the references.
absl::StatusOr<RemoteHead> Fetch(git_repository* mirror, Session& session, std::vector<std::string> refspecs,
                                 bool update) {
  git_remote* raw = nullptr;
  if (git_remote_create_anonymous(&raw, mirror, session.source.address.c_str()) != 0) return Failed(session);
  Git<git_remote> remote(raw);
  git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
  options.callbacks.credentials = Authenticate;
  options.callbacks.transfer_progress = Progress;
  options.callbacks.payload = &session;
  options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
  options.update_fetchhead = 0;

  std::vector<char*> pointers;
  for (std::string& spec : refspecs) pointers.push_back(spec.data());
  git_strarray specs{pointers.data(), pointers.size()};
  if (git_remote_download(raw, &specs, &options) != 0) return Failed(session);

  RemoteHead head;
  const git_remote_head** list = nullptr;
  std::size_t count = 0;
  if (git_remote_ls(&list, &count, raw) != 0) return Failed(session);
  for (std::size_t i = 0; i < count; ++i) {
    if (std::string_view(list[i]->name) == "HEAD") head.tip = list[i]->oid;
  }
  git_buf branch = GIT_BUF_INIT;
  if (head.tip.has_value() && git_remote_default_branch(&branch, raw) == 0) {
    std::string_view name(branch.ptr, branch.size);
    if (name.starts_with("refs/heads/")) head.branch = name.substr(std::string_view("refs/heads/").size());
  }
  git_buf_dispose(&branch);
  if (!update) return head;
  // Deleted references go first: `a` may have made room for `a/b`.
  if (git_remote_prune(raw, &options.callbacks) != 0 ||
      git_remote_update_tips(raw, &options.callbacks, 0, GIT_REMOTE_DOWNLOAD_TAGS_NONE, nullptr) != 0) {
    return Failed(session);
  }
  return head;
}

}  // namespace

absl::StatusOr<RemoteHead> FetchNetwork(git_repository* mirror, const Source& source,
                                        const Credentials* credentials, const Wanted& wanted) {
  Session session{source, credentials};
  std::vector<std::string> refspecs = {"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*",
                                       "+HEAD:refs/waggle/HEAD"};
  if (!wanted.fetch.empty())
    refspecs.push_back(absl::StrCat("+", wanted.fetch, ":", kFetchedRefs, wanted.fetch));
  return Fetch(mirror, session, std::move(refspecs), true);
}

absl::Status FetchBareCommit(git_repository* mirror, const Source& source, const Credentials* credentials,
                             const std::string& id) {
  Session session{source, credentials};
  return Fetch(mirror, session, {id}, false).status();
}

}  // namespace waggle::vcs
