#include "common/process/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"

namespace waggle::process {
namespace {

constexpr std::size_t kProcFileBytes = 4 * 1024 * 1024;
constexpr int kRemovePauseMillis = 2;

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string Unescape(absl::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.push_back(
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

struct Mount {
  std::string root, point;
};

absl::StatusOr<Mount> FindMount() {
  ASSIGN_OR_RETURN(std::string text, ReadFile("/proc/self/mountinfo", kProcFileBytes));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::size_t separator = line.find(" - ");
    if (separator == absl::string_view::npos || line.substr(separator + 3, 8) != "cgroup2 ") continue;
    std::vector<absl::string_view> fields = absl::StrSplit(line.substr(0, separator), ' ');
    if (fields.size() < 5) continue;
    return Mount{Unescape(fields[3]), Unescape(fields[4])};
  }
  return absl::NotFoundError("no cgroup2 is mounted");
}

absl::Status WriteTo(const std::string& path, std::string_view text) {
  ASSIGN_OR_RETURN(UniqueFd fd, Open(path, O_WRONLY));
  if (::write(fd.get(), text.data(), text.size()) < 0) return ErrnoStatus("write", path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> Cgroup::OwnDirectory() {
  ASSIGN_OR_RETURN(std::string text, ReadFile("/proc/self/cgroup", kProcFileBytes));
  // Where it is mounted is looked up once: the list of mounts may be long, and is the kernel's to write anew.
  static const absl::StatusOr<Mount> found = FindMount();
  RETURN_IF_ERROR(found.status());
  const Mount& mount = *found;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.substr(0, 3) != "0::") continue;
    std::string own(line.substr(3));
    // The mount may show only a part of the hierarchy; what lies outside of it cannot be reached.
    if (mount.root != "/") {
      if (!own.starts_with(mount.root))
        return absl::NotFoundError(absl::StrCat("cgroup ", own, " is not mounted"));
      own.erase(0, mount.root.size());
    }
    while (!own.empty() && own.back() == '/') own.pop_back();
    return absl::StrCat(mount.point, own);
  }
  return absl::NotFoundError("this process is in no cgroup of version 2");
}

std::string AttemptCgroup(std::string_view attempt_key) {
  std::string name = "job-" + std::string(attempt_key);
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

absl::StatusOr<std::unique_ptr<Cgroup>> Cgroup::Create(std::string_view name) {
  ASSIGN_OR_RETURN(std::string own, OwnDirectory());
  std::string path = own + "/" + std::string(name);
  if (::mkdir(path.c_str(), 0755) != 0) return ErrnoStatus("make cgroup", path);
  absl::StatusOr<UniqueFd> directory = Open(path, O_RDONLY | O_DIRECTORY);
  if (!directory.ok()) {
    ::rmdir(path.c_str());
    return directory.status();
  }
  return std::unique_ptr<Cgroup>(new Cgroup(std::move(path), *std::move(directory)));
}

absl::StatusOr<std::unique_ptr<Cgroup>> Cgroup::Adopt(std::string_view name) {
  ASSIGN_OR_RETURN(std::string own, OwnDirectory());
  std::string path = own + "/" + std::string(name);
  ASSIGN_OR_RETURN(UniqueFd directory, Open(path, O_RDONLY | O_DIRECTORY));
  return std::unique_ptr<Cgroup>(new Cgroup(std::move(path), std::move(directory)));
}

absl::Status Cgroup::Add(pid_t pid) {
  return WriteTo(path_ + "/cgroup.procs", absl::StrCat(pid));
}

absl::Status Cgroup::Kill() {
  return WriteTo(path_ + "/cgroup.kill", "1");
}

absl::StatusOr<bool> Cgroup::Empty() {
  ASSIGN_OR_RETURN(std::string events, ReadFile(path_ + "/cgroup.events", kProcFileBytes));
  return events.find("populated 0") != std::string::npos;
}

absl::Status Cgroup::Remove(Duration limit) {
  const Time deadline = BootClock::now() + limit;
  while (::rmdir(path_.c_str()) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    if (errno != EBUSY) return ErrnoStatus("remove cgroup", path_);
    if (BootClock::now() >= deadline) {
      return absl::FailedPreconditionError(absl::StrCat("cgroup ", path_, " still holds processes"));
    }
    ::poll(nullptr, 0, kRemovePauseMillis);
  }
  return absl::OkStatus();
}

}  // namespace waggle::process
