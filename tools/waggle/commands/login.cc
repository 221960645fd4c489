#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/enrol.h"
#include "tools/waggle/json.h"
#include "tools/waggle/keys.h"
#include "tools/waggle/logins.h"
#include "tools/waggle/session.h"

namespace waggle::cli {
namespace {

constexpr std::size_t kInputBytes = 4096;  // a token has 112

absl::StatusOr<tls::Invitation> ReadToken(const LoginOptions& options) {
  if (options.token.empty() != options.token_stdin) {
    return absl::InvalidArgumentError(absl::StrCat(
        options.token_stdin ? "--token and --token-stdin do not go together" : "there is no token",
        "\n`queen invite user NAME` makes one\nnext: waggle login URL --token-stdin"));
  }
  std::string text = options.token;
  if (options.token_stdin) {
    ASSIGN_OR_RETURN(text, ReadToEnd(STDIN_FILENO, "standard input", kInputBytes));
  }
  absl::StatusOr<tls::Invitation> invitation = tls::Invitation::Parse(text);
  if (invitation.ok()) return invitation;
  return absl::InvalidArgumentError(absl::StrCat("cannot read the token\n", invitation.status().message()));
}

absl::StatusOr<rpc::HostPort> ReadUrl(const std::string& text) {
  absl::StatusOr<rpc::HostPort> url = rpc::ParseUrl(text);
  if (url.ok()) return url;
  return absl::InvalidArgumentError(
      absl::StrCat("the URL ", Quoted(text), " ", url.status().message(),
                   "\nnext: write https://HOST:PORT as `queen invite` prints it"));
}

// Which login is meant without an address.
absl::StatusOr<std::string> OnlyOne(const Session& session, const Logins& logins) {
  if (!session.options.queen.remote.empty()) return session.options.queen.remote;
  const std::vector<std::string> all = logins.List();
  if (all.size() == 1) return all.front();
  if (all.empty()) return absl::NotFoundError("you are not logged in to any queen");
  return absl::InvalidArgumentError(absl::StrCat("you are logged in to ", all.size(),
                                                 " queens\nnext: name one of ", absl::StrJoin(all, ", ")));
}

// Where the login of `address` is kept. A damaged one can be removed too.
absl::StatusOr<rpc::HostPort> Kept(const Logins& logins, const std::string& address) {
  const absl::StatusOr<Login> login = logins.Find(address);
  if (login.ok()) return login->queen;
  absl::StatusOr<rpc::HostPort> place = rpc::ParseHostPort(address);
  if (place.ok() && absl::IsDataLoss(login.status())) return place;
  if (!absl::IsNotFound(login.status())) return login.status();
  return absl::NotFoundError(absl::StrCat("you are not logged in to ", address));
}

}  // namespace

int RunLogin(Session& session, const LoginOptions& options) {
  const absl::StatusOr<rpc::HostPort> url = ReadUrl(options.url);
  if (!url.ok()) return session.FailUsage(url.status());
  const absl::StatusOr<tls::Invitation> invitation = ReadToken(options);
  if (absl::IsInvalidArgument(invitation.status())) return session.FailUsage(invitation.status());
  if (!invitation.ok()) return session.Fail(invitation.status());
  if (!options.token_stdin && !session.options.quiet) {
    session.err.Write("hint: other users of this host could see that token; --token-stdin hides it\n");
    session.err.Flush();
  }
  const absl::StatusOr<Login> login = Enrol(*url, *invitation, Logins(LoginDirectory()));
  if (!login.ok()) return session.Fail(login.status());
  const std::string queen = login->queen.Text();
  if (session.options.json) {
    session.out.Write(Pretty({{"queen", queen},
                              {"url", login->url},
                              {"name", login->name()},
                              {"not_after", login->certificate.not_after()}}));
  } else if (!session.options.quiet) {
    session.out.Write(absl::StrCat("logged in to ", queen, " as ", login->name(), "\nuse it: waggle --queen ",
                                   queen, " jobs, or set WAGGLE_QUEEN=", queen, "\n"));
  }
  return session.Done();
}

int RunLogout(Session& session, const std::string& address) {
  const Logins logins(LoginDirectory());
  absl::StatusOr<std::string> remote = OnlyOne(session, logins);
  if (!address.empty()) {
    const std::optional<config::Fault> fault = CheckAddress(address);
    remote = fault ? "" : ReadAddress(address, "").remote;
    if (remote->empty()) {
      return session.FailUsage(absl::InvalidArgumentError(
          absl::StrCat(Quoted(address),
                       " is no queen on another host\nnext: write HOST:PORT of one you are "
                       "logged in to")));
    }
  }
  if (absl::IsInvalidArgument(remote.status())) return session.FailUsage(remote.status());
  if (!remote.ok()) return session.Fail(remote.status());
  const absl::StatusOr<rpc::HostPort> queen = Kept(logins, *remote);
  if (!queen.ok()) return session.Fail(queen.status());
  const absl::StatusOr<Login> login = logins.Find(queen->Text());
  const std::string name = login.ok() ? login->name() : "NAME";
  const absl::Status removed = logins.Remove(*queen);
  if (!removed.ok()) return session.Fail(removed);
  if (session.options.json) {
    session.out.Write(Pretty({{"queen", queen->Text()}, {"name", login.ok() ? name : ""}}));
  } else if (!session.options.quiet) {
    session.out.Write(absl::StrCat("logged out of ", queen->Text(),
                                   ": its key is deleted\nher administrator takes ", name,
                                   " from her list with `queen revoke user ", name, "`\n"));
  }
  return session.Done();
}

}  // namespace waggle::cli
