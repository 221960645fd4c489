#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace waggle::test {

// A directory of one test, removed with everything in it. Its path is short, so that Unix sockets below it
// fit into 107 bytes. One thread.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

// Files as whole strings. A failure to read or write is a test failure; a missing file reads as "".
std::string ReadText(const std::string& path);
void WriteText(const std::string& path, std::string_view content);  // makes the directories above it
bool Exists(const std::string& path);
std::vector<std::string> Lines(std::string_view text);  // without the newlines

// Regular files below `directory`, at any depth, that contain `needle`.
std::vector<std::string> FilesContaining(const std::string& directory, std::string_view needle);

// Bytes from a fixed seed: every value 0 … 255, so NUL and invalid UTF-8, and lines of about 50 bytes.
std::string NoiseBytes(std::size_t size, std::uint32_t seed);

}  // namespace waggle::test
