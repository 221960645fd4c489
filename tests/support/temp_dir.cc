#include "tests/support/temp_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace waggle::test {

namespace fs = std::filesystem;

TempDir::TempDir() {
  std::string pattern = "/tmp/wgXXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code failed;
  fs::remove_all(path_, failed);
  EXPECT_FALSE(failed) << path_ << " cannot be removed: " << failed.message();
}

std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream content;
  if (in && in.peek() != std::ifstream::traits_type::eof()) content << in.rdbuf();
  return content.str();
}

void WriteText(const std::string& path, std::string_view content) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  EXPECT_TRUE(out.good()) << "cannot write " << path;
}

bool Exists(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::vector<std::string> FilesContaining(const std::string& directory, std::string_view needle) {
  std::error_code changed;
  std::vector<std::string> found;
  do {  // again when somebody removed a directory that was about to be read
    found.clear();
    changed.clear();
    fs::recursive_directory_iterator at(directory, changed), end;
    for (; !changed && at != end; at.increment(changed)) {
      std::error_code gone;
      if (!at->is_regular_file(gone)) continue;
      if (ReadText(at->path()).find(needle) != std::string::npos) found.push_back(at->path());
    }
  } while (changed && Exists(directory));
  return found;
}

std::string NoiseBytes(std::size_t size, std::uint32_t seed) {
  std::string bytes(size, '\0');
  std::uint32_t state = seed;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    std::uint32_t value =
        state >> 22;  // 10 bits: a newline from its own value and from one in 50 of the others
    byte = value % 50 == 49 ? '\n' : static_cast<char>(value & 0xFF);
  }
  return bytes;
}

}  // namespace waggle::test
