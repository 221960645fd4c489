#include "common/base/fd.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "tests/support/temp_dir.h"

namespace waggle {
namespace {

using testing::HasSubstr;

bool IsOpen(int fd) {
  return ::fcntl(fd, F_GETFD) != -1;
}

class FdTest : public testing::Test {
 protected:
  std::string In(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string Content(const std::string& path) const {
    return ReadFile(path, 1 << 20).value_or("<unreadable>");
  }
  test::TempDir directory_;
};

TEST_F(FdTest, UniqueFdOwnsExactlyOneDescriptor) {
  int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  {
    UniqueFd first(raw);
    UniqueFd second(std::move(first));
    EXPECT_FALSE(first.valid());
    EXPECT_EQ(second.get(), raw);
    UniqueFd third;
    third = std::move(second);
    EXPECT_TRUE(IsOpen(raw));
  }
  EXPECT_FALSE(IsOpen(raw));
}

TEST_F(FdTest, ReleaseGivesTheDescriptorAwayAndResetClosesIt) {
  UniqueFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  int raw = fd.Release();
  EXPECT_FALSE(fd.valid());
  EXPECT_TRUE(IsOpen(raw));
  fd.Reset(raw);
  fd.Reset();
  EXPECT_FALSE(IsOpen(raw));
}

TEST_F(FdTest, OpenSetsCloseOnExecAndNamesThePathOnErrors) {
  absl::StatusOr<UniqueFd> fd = Open(In("a"), O_RDWR | O_CREAT);
  ASSERT_TRUE(fd.ok());
  EXPECT_TRUE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC);
  absl::StatusOr<UniqueFd> missing = Open(In("missing"), O_RDONLY);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr(In("missing")));
}

TEST_F(FdTest, PreadFullStopsOnlyAtTheEndOfTheFile) {
  ASSERT_TRUE(WriteFileDurably(In("a"), "0123456789").ok());
  absl::StatusOr<UniqueFd> fd = Open(In("a"), O_RDONLY);
  ASSERT_TRUE(fd.ok());
  std::string buffer(4, '\0');
  auto read = [&](off_t at) { return PreadFull(fd->get(), std::as_writable_bytes(std::span(buffer)), at); };
  EXPECT_EQ(*read(0), 4u);
  EXPECT_EQ(buffer, "0123");
  EXPECT_EQ(*read(8), 2u);
  EXPECT_EQ(buffer.substr(0, 2), "89");
  EXPECT_EQ(*read(10), 0u);
  EXPECT_EQ(*read(1000), 0u);
  EXPECT_FALSE(PreadFull(-1, std::as_writable_bytes(std::span(buffer)), 0).ok());
}

// A pipe takes 64 KiB at a time: only a writer that continues short writes gets a megabyte through.
TEST_F(FdTest, WriteAllContinuesShortWrites) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  const std::string sent(1 << 20, 'x');
  std::string received;
  std::thread reader([&] {
    char chunk[5000];
    for (ssize_t n; (n = ::read(out.get(), chunk, sizeof chunk)) > 0;) received.append(chunk, n);
  });
  EXPECT_TRUE(WriteAll(in.get(), sent).ok());
  in.Reset();
  reader.join();
  EXPECT_EQ(received, sent);
}

TEST_F(FdTest, WriteAllReportsABrokenPipe) {
  ::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd in(ends[1]);
  ::close(ends[0]);
  EXPECT_FALSE(WriteAll(in.get(), std::string_view("x")).ok());
}

TEST_F(FdTest, ReadFileRefusesWhatIsTooLarge) {
  ASSERT_TRUE(WriteFileDurably(In("a"), std::string(100'000, 'x')).ok());
  EXPECT_EQ(ReadFile(In("a"), 100'000)->size(), 100'000u);
  absl::Status tooLarge = ReadFile(In("a"), 99'999).status();
  EXPECT_EQ(tooLarge.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(tooLarge.message()), HasSubstr("99999"));
  EXPECT_FALSE(ReadFile(directory_.path(), 10).ok()) << "a directory is not a file";
}

TEST_F(FdTest, WriteFileDurablyReplacesAndLeavesNothingBeside) {
  ASSERT_TRUE(WriteFileDurably(In("a"), "old", 0640).ok());
  ASSERT_TRUE(WriteFileDurably(In("a"), "new").ok());
  EXPECT_EQ(Content(In("a")), "new");
  EXPECT_NE(::access(In("a.new").c_str(), F_OK), 0);
  struct stat info;
  ASSERT_EQ(::stat(In("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

// What a crash left half-written beside the target is neither kept nor in the way.
TEST_F(FdTest, WriteFileDurablyOverwritesAStaleTemporary) {
  ASSERT_TRUE(
      WriteAll(Open(In("a.new"), O_WRONLY | O_CREAT, 0644)->get(), std::string_view("much longer garbage"))
          .ok());
  ASSERT_TRUE(WriteFileDurably(In("a"), "secret").ok());
  EXPECT_EQ(Content(In("a")), "secret");
  struct stat info;
  ASSERT_EQ(::stat(In("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u) << "the mode is ours, not the one of the leftover";
}

TEST_F(FdTest, WriteFileDurablyFailsWithoutTouchingTheTarget) {
  EXPECT_EQ(WriteFileDurably(In("no/such/a"), "x").code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(MakeDirectories(In("dir/inside")).ok());
  EXPECT_FALSE(WriteFileDurably(In("dir"), "x").ok()) << "a file does not replace a directory";
  EXPECT_EQ(::access(In("dir/inside").c_str(), F_OK), 0);
}

TEST_F(FdTest, WriteFileDurablyTakesABareName) {
  UniqueFd before(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::chdir(directory_.path().c_str()), 0);
  EXPECT_TRUE(WriteFileDurably("bare", "x").ok());
  ASSERT_EQ(::fchdir(before.get()), 0);
  EXPECT_EQ(Content(In("bare")), "x");
}

TEST_F(FdTest, MakeDirectoriesMakesEveryLevelForItsOwnerOnly) {
  EXPECT_TRUE(MakeDirectories(In("x/y/z")).ok());
  EXPECT_TRUE(MakeDirectories(In("x/y/z")).ok()) << "again";
  EXPECT_TRUE(MakeDirectories(In("x//y/w/")).ok());
  struct stat info;
  ASSERT_EQ(::stat(In("x/y").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(FdTest, MakeDirectoriesDurablyMakesTheSame) {
  EXPECT_TRUE(MakeDirectoriesDurably(In("d/e/f")).ok());
  EXPECT_TRUE(MakeDirectoriesDurably(In("d/e/f")).ok()) << "again";
  EXPECT_TRUE(MakeDirectoriesDurably(In("d/e/g/")).ok());
  EXPECT_TRUE(std::filesystem::is_directory(In("d/e/f")));
  EXPECT_TRUE(std::filesystem::is_directory(In("d/e/g")));
  EXPECT_FALSE(MakeDirectoriesDurably("").ok());
}

TEST_F(FdTest, MakeDirectoriesErrors) {
  ASSERT_TRUE(WriteFileDurably(In("file"), "x").ok());
  EXPECT_EQ(MakeDirectories(In("file")).code(), absl::StatusCode::kFailedPrecondition);
  absl::Status below = MakeDirectories(In("file/below"));
  EXPECT_FALSE(below.ok());
  EXPECT_THAT(std::string(below.message()), HasSubstr("file"));
  EXPECT_FALSE(MakeDirectories("").ok());
  EXPECT_FALSE(MakeDirectories(In(std::string(300, 'n'))).ok());
}

TEST_F(FdTest, SyncDirectoryWantsADirectory) {
  EXPECT_TRUE(SyncDirectory(directory_.path()).ok());
  ASSERT_TRUE(WriteFileDurably(In("file"), "x").ok());
  EXPECT_FALSE(SyncDirectory(In("file")).ok());
  EXPECT_FALSE(SyncDirectory(In("missing")).ok());
}

TEST(ExecutableDirectory, HoldsThisTest) {
  EXPECT_EQ(::access((ExecutableDirectory() + "/base_test").c_str(), X_OK), 0);
}

}  // namespace
}  // namespace waggle
