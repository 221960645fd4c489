#include "tools/waggle/detect.h"

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/limits.h"

namespace waggle::cli {
namespace {

constexpr std::size_t kRead = 1 * limits::kMiB;  // of a file that is looked into; a larger one is not

bool Has(const std::string& directory, const char* name) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(directory + "/" + name, ignored);
}

std::string Content(const std::string& directory, const char* name) {
  if (!Has(directory, name)) return "";
  return ReadFile(directory + "/" + name, kRead).value_or("");
}

bool HasTarget(const std::string& makefile, const std::string& target) {
  return absl::StartsWith(makefile, target + ":") || absl::StrContains(makefile, "\n" + target + ":");
}

Tool CMake(const std::string& directory) {
  const std::string text = Content(directory, "CMakeLists.txt");
  const bool tests = absl::StrContains(text, "enable_testing") || absl::StrContains(text, "include(CTest)");
  if (!tests) return {"CMake", "cmake", {"cmake -B build"}, "cmake --build build"};
  return {"CMake + CTest",
          "cmake",
          {"cmake -B build", "cmake --build build"},
          "ctest --test-dir build --output-on-failure"};
}

Tool Npm(const std::string& directory) {
  const std::string install = Has(directory, "package-lock.json") ? "npm ci" : "npm install";
  const bool tests = absl::StrContains(Content(directory, "package.json"), "\"test\"");
  return {"npm", "npm", {install}, tests ? "npm test" : "npm run build"};
}

Tool Pytest(const std::string& directory) {
  Tool tool{"pytest", "pytest", {"python3 -m venv .venv"}, ".venv/bin/python -m pytest"};
  std::string install = ".venv/bin/pip install pytest";
  if (Has(directory, "requirements.txt")) install += " -r requirements.txt";
  if (Has(directory, "pyproject.toml") || Has(directory, "setup.py")) install += " -e .";
  tool.prepare.push_back(install);
  return tool;
}

}  // namespace

std::vector<Tool> DetectTools(const std::string& directory) {
  std::vector<Tool> tools;
  if (Has(directory, "CMakeLists.txt")) tools.push_back(CMake(directory));
  if (Has(directory, "package.json")) tools.push_back(Npm(directory));
  if (Has(directory, "Cargo.toml")) tools.push_back({"cargo", "cargo", {"cargo build"}, "cargo test"});
  if (Has(directory, "go.mod")) tools.push_back({"go", "go", {"go build ./..."}, "go test ./..."});
  for (const char* name : {"pyproject.toml", "setup.py", "pytest.ini", "tox.ini", "requirements.txt"}) {
    if (!Has(directory, name)) continue;
    tools.push_back(Pytest(directory));
    break;
  }
  if (tools.empty() && Has(directory, "Makefile")) {
    const std::string text = Content(directory, "Makefile");
    const std::string target = HasTarget(text, "test") ? " test" : HasTarget(text, "check") ? " check" : "";
    std::vector<std::string> prepare;
    if (!target.empty()) prepare.push_back("make");
    tools.push_back({"make", "make", prepare, "make" + target});
  }
  return tools;
}

std::string StarterFile(const std::vector<Tool>& tools) {
  std::string out =
      "# What Waggle runs for each commit. `waggle lint` checks this file, `waggle lint --schema` prints its "
      "grammar.\n"
      "version: 1\n"
      "\n"
      "defaults:\n"
      "  timeout: 30m   # of a whole job\n"
      "\n"
      "jobs:\n";
  if (tools.empty()) {
    return out + "  test:\n    test: echo \"write here what tests your project\"\n";
  }
  for (const Tool& tool : tools) {
    absl::StrAppend(&out, "  ", tool.job, ":\n");
    if (!tool.prepare.empty()) absl::StrAppend(&out, "    prepare:\n");
    for (const std::string& command : tool.prepare) absl::StrAppend(&out, "      - ", command, "\n");
    absl::StrAppend(&out, "    test:\n      - ", tool.test, "\n");
  }
  return out;
}

}  // namespace waggle::cli
