#include <fcntl.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "common/pipeline/pipeline.h"
#include "tools/waggle/commands/commands.h"
#include "tools/waggle/detect.h"
#include "tools/waggle/git.h"
#include "tools/waggle/json.h"
#include "tools/waggle/session.h"

namespace waggle::cli {
namespace {

constexpr char kFile[] = ".waggle.yml";

// Never over a file that is there, not even one that appears meanwhile, unless that was asked for.
absl::Status Write(const std::string& path, const std::string& text, bool force) {
  const int flags = O_WRONLY | O_CREAT | (force ? O_TRUNC : O_EXCL);
  std::error_code ignored;
  if (!force && std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " is there already; it was not changed\nnext: waggle lint, or ",
                     "waggle init --force to write it anew"));
  }
  ASSIGN_OR_RETURN(const UniqueFd fd, Open(path, flags, 0644));
  return WriteAll(fd.get(), text);
}

}  // namespace

int RunInit(Session& session, const InitOptions& options) {
  std::error_code error;
  const std::string here = std::filesystem::current_path(error).string();
  if (error) return session.Fail(absl::NotFoundError("the current directory is not there any more"));
  const std::string top = FindTop(here);
  const std::string directory = top.empty() ? here : top;
  const std::string path = directory == here ? kFile : directory + "/" + kFile;
  const std::vector<Tool> tools = DetectTools(directory);
  const std::string text = StarterFile(tools);
  const absl::Status status = Write(path, text, options.force);
  if (!status.ok()) return session.Fail(status);
  const absl::StatusOr<pipeline::Pipeline> pipeline = pipeline::ParsePipeline(text, path, {});
  if (!pipeline.ok()) return session.Fail(pipeline.status());
  const auto lines = std::count(text.begin(), text.end(), '\n');
  Json detected = Json::array();
  std::string names;
  for (const Tool& tool : tools) {
    detected.push_back(tool.name);
    absl::StrAppend(&names, names.empty() ? "" : ", ", tool.name);
  }
  if (session.options.json) {
    session.out.Write(Pretty(Json{{"file", path}, {"lines", lines}, {"detected", detected}}));
  } else if (!session.options.quiet) {
    session.out.Write(absl::StrCat(
        "detected: ", names.empty() ? "nothing known" : names, "\nwrote ", path, " (", lines,
        " lines) · waggle lint: ok · ",
        names.empty() ? "next: write into it what tests your project\n" : "try it here: waggle run\n"));
  }
  return session.Done();
}

}  // namespace waggle::cli
