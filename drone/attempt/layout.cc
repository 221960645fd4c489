#include "drone/attempt/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace waggle::attempt {
namespace {

constexpr std::size_t kIdentityDigits = 32;
constexpr int kNameTries = 1000;
constexpr std::size_t kSmallFile = 4096;

bool IsIdentity(std::string_view text) {
  return text.size() == kIdentityDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string BaseName(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

absl::Status Layout::Prepare() const {
  for (const std::string& path : {data_, Attempts(), Bad(), Work(), Mirrors(), Spare(), Used(), Trash()}) {
    RETURN_IF_ERROR(MakeDirectories(path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Layout::Identity() const {
  const std::string path = data_ + "/identity";
  absl::StatusOr<std::string> text = ReadFile(path, kSmallFile);
  if (text.ok()) {
    while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
    if (IsIdentity(*text)) return *text;
    return absl::DataLossError(
        absl::StrCat(path,
                     " is not an identity (32 hex digits). Restore it from a backup, or "
                     "remove it to make this drone a new one"));
  }
  if (!absl::IsNotFound(text.status())) return text.status();
  unsigned char bytes[kIdentityDigits / 2];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return ErrnoStatus("read", "random bytes");
  std::string identity;
  for (unsigned char byte : bytes) absl::StrAppend(&identity, absl::Hex(byte, absl::kZeroPad2));
  RETURN_IF_ERROR(WriteFileDurably(path, identity + "\n"));
  return identity;
}

absl::StatusOr<std::string> Layout::MoveInto(const std::string& path, const std::string& directory) const {
  const std::string name = BaseName(path);
  for (int i = 0; i < kNameTries; ++i) {
    const std::string target = absl::StrCat(directory, "/", name, "-", ::getpid(), "-", i);
    struct stat info;
    if (::lstat(target.c_str(), &info) == 0) continue;
    if (::rename(path.c_str(), target.c_str()) == 0) return target;
    if (errno == ENOENT) return "";
    if (errno != EEXIST && errno != ENOTEMPTY) return ErrnoStatus("move away", path);
  }
  return absl::ResourceExhaustedError(absl::StrCat("no free name for ", path, " in ", directory));
}

absl::Status Layout::Discard(const std::string& path) const {
  return MoveInto(path, Trash()).status();
}

absl::StatusOr<std::string> Layout::Retire(const std::string& path) const {
  return MoveInto(path, Used());
}

absl::Status Layout::SetAside(const std::string& name) const {
  return MoveInto(Attempts() + "/" + name, Bad()).status();
}

absl::StatusOr<HighestEpoch> HighestEpoch::Open(const Layout& layout) {
  HighestEpoch highest;
  ASSIGN_OR_RETURN(highest.file_, waggle::Open(layout.data() + "/highest-epoch", O_RDWR | O_CREAT));
  char text[32] = {};
  ssize_t size = ::pread(highest.file_.get(), text, sizeof text - 1, 0);
  std::uint64_t value = 0;
  if (size > 0 && absl::SimpleAtoi(absl::string_view(text, static_cast<std::size_t>(size)), &value)) {
    highest.value_ = waggle::Epoch(value);
  }
  return highest;
}

void HighestEpoch::Raise(Epoch seen) {
  if (seen <= value_) return;
  value_ = seen;
  const std::string text = absl::StrCat(absl::Dec(value_.value(), absl::kZeroPad20), "\n");
  // A failure shows at the attempt's own files in the next moment; nothing depends on this one alone.
  (void)!::pwrite(file_.get(), text.data(), text.size(), 0);
}

}  // namespace waggle::attempt
