#include "drone/vcs/credentials.h"

#include <charconv>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"

namespace waggle::vcs {
namespace {

absl::Status BadLine(int number, std::string_view cause) {
  return absl::InvalidArgumentError(absl::StrCat("line ", number, " of the credentials ", std::string(cause),
                                                 "; expected `username X`, `password Y` or `sshkey BYTES`"));
}

}  // namespace

absl::StatusOr<Credentials> ReadCredentials(int fd) {
  ASSIGN_OR_RETURN(std::string text, ReadToEnd(fd, "the credentials on standard input", kCredentialBytes));
  Credentials credentials;
  std::string_view rest = text;
  for (int number = 1; !rest.empty(); ++number) {
    std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.empty()) continue;
    std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return BadLine(number, "has no value");
    std::string_view word = line.substr(0, space), value = line.substr(space + 1);
    if (word == "username") {
      credentials.username = value;
    } else if (word == "password") {
      credentials.password = value;
    } else if (word == "sshkey") {
      std::size_t size = 0;
      auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), size);
      if (error != std::errc() || stop != value.data() + value.size())
        return BadLine(number, "has no byte count");
      if (size > rest.size()) return BadLine(number, "announces more bytes than follow");
      credentials.ssh_key = rest.substr(0, size);
      rest.remove_prefix(size);
    } else {
      return BadLine(number, "starts with an unknown word");
    }
  }
  return credentials;
}

}  // namespace waggle::vcs
