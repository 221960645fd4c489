// The built `waggle`: lint and init.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/base/fd.h"
#include "tests/tools/driver.h"
#include "tools/waggle/json.h"

namespace waggle::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

using Words = std::vector<std::string>;

class WaggleLintTest : public testing::Test {
 protected:
  Exit Run(Words args, const std::string& cwd = "") {
    return RunWaggle(std::move(args), {{"XDG_CONFIG_HOME", dir_.File("xdg")}},
                     cwd.empty() ? dir_.path() : cwd);
  }
  std::string Read(const std::string& name) { return ReadFile(dir_.File(name), 1 << 20).value_or("?"); }
  TempDir dir_;
};

constexpr char kShop[] = R"(name: shop
jobs:
  build:
    test: make
    matrix: {cc: [gcc, clang]}
    allow_failure: true
  release:
    kind: DEPLOY
    after: build
    when: {event: tag, status: always}
    deploy: ./go
)";

TEST_F(WaggleLintTest, AFileThatIsRight) {
  dir_.Write(".waggle.yml", kShop);
  Exit exit = Run({"lint"});
  EXPECT_EQ(exit.code, 0) << exit.err;
  EXPECT_EQ(exit.out,
            ".waggle.yml: ok, 3 jobs\n"
            "  build/gcc    TEST  may fail\n"
            "  build/clang  TEST  may fail\n"
            "  release      DEPLOY  after build (always)  skipped: `when.event` is tag, this is manual\n");
  EXPECT_EQ(exit.err, "");
  EXPECT_THAT(Run({"lint", "--tag", "v1"}).out, Not(HasSubstr("skipped")));
  EXPECT_THAT(Run({"lint", "--event", "push", "--branch", "main"}).out, HasSubstr("this is push\n"));
  EXPECT_EQ(Run({"lint", "-q"}).out, "");
  EXPECT_THAT(Run({"lint", dir_.Write("other.yml", "test: x\n")}).out, HasSubstr("other.yml: ok, 1 job\n"));
  dir_.Write("manual.yml", "trigger: {push: main}\ntest: x\n");
  EXPECT_THAT(Run({"lint", "manual.yml", "--event", "tag", "--tag", "v1"}).out,
              HasSubstr("no run: `trigger` does not name tag\n"));
}

TEST_F(WaggleLintTest, AsJson) {
  dir_.Write(".waggle.yml", kShop);
  const Json json = Json::parse(Run({"lint", "-o", "json"}).out, nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["name"], "shop");
  ASSERT_EQ(json["jobs"].size(), 3u);
  EXPECT_EQ(json["jobs"][1]["name"], "build/clang");
  EXPECT_EQ(json["jobs"][1]["matrix"]["cc"], "clang");
  EXPECT_EQ(json["jobs"][2]["after"], Json::array({"build"}));
  EXPECT_EQ(json["jobs"][2]["type"], "DEPLOY");
  EXPECT_EQ(json["jobs"][2]["status"], "always");
}

TEST_F(WaggleLintTest, AFileThatIsWrong) {
  dir_.Write(".waggle.yml", "jobs:\n  unit:\n    test: x\n    tiemout: 3m\n");
  Exit exit = Run({"lint"});
  EXPECT_EQ(exit.code, 1);
  EXPECT_EQ(exit.out, "");
  EXPECT_EQ(exit.err,
            "error: .waggle.yml:4:5: unknown key `tiemout` in `jobs.unit`\n"
            "  4 |     tiemout: 3m\n"
            "    |     ^^^^^^^ did you mean `timeout`? [WG101]\n");
  dir_.Write("large.yml", std::string(3 << 20, '#'));
  EXPECT_EQ(Run({"lint", "large.yml"}).code, 1);
  EXPECT_THAT(Run({"lint", "large.yml"}).err,
              HasSubstr("large.yml: a pipeline file has at most 1048576 bytes"));
  dir_.Write("binary.yml", std::string("test: \0x\n", 9));
  EXPECT_THAT(Run({"lint", "binary.yml"}).err, HasSubstr("binary.yml:1:7: a NUL byte"));
  EXPECT_EQ(Run({"lint", "none.yml"}).code, 3);
  EXPECT_THAT(Run({"lint", "none.yml"}).err,
              StartsWith("error: cannot read the pipeline file: open none.yml: "));
  EXPECT_EQ(Run({"lint", "/usr"}).code, 1);
}

TEST_F(WaggleLintTest, TheFileIsFoundFromBelow) {
  std::filesystem::create_directories(dir_.File("repo/.git"));
  std::filesystem::create_directories(dir_.File("repo/src/deep"));
  Exit exit = Run({"lint"}, dir_.File("repo/src/deep"));
  EXPECT_EQ(exit.code, 3);
  EXPECT_EQ(exit.err, "error: there is no .waggle.yml in " + dir_.File("repo") + "\n  next: waggle init\n");
  dir_.Write("repo/.waggle.yml", "test: x\n");
  EXPECT_EQ(Run({"lint"}, dir_.File("repo/src/deep")).out,
            dir_.File("repo/.waggle.yml") + ": ok, 1 job\n  test  TEST\n");
}

TEST_F(WaggleLintTest, CodesAreExplained) {
  Exit exit = Run({"lint", "--explain", "WG120"});
  EXPECT_EQ(exit.code, 0);
  EXPECT_THAT(exit.out, StartsWith("WG120: ${a.b} in a script\n\nNothing is put into scripts"));
  EXPECT_EQ(Run({"lint", "--explain", "wg101"}).code, 0);
  EXPECT_EQ(Json::parse(Run({"lint", "--explain", "WG101", "-o", "json"}).out)["title"], "unknown key");
  exit = Run({"lint", "--explain", "WG999"});
  EXPECT_EQ(exit.code, 2);
  EXPECT_THAT(exit.err, StartsWith("error: there is no code `WG999`\n  there are WG001 WG002 WG100 "));
}

TEST_F(WaggleLintTest, TheSchemaIsPrinted) {
  const Json json = Json::parse(Run({"lint", "--schema"}).out, nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["$schema"], "https://json-schema.org/draft/2020-12/schema");
  EXPECT_TRUE(json["$defs"]["job"]["properties"].contains("after"));
}

TEST_F(WaggleLintTest, InitWritesWhatItFinds) {
  struct Case {
    std::vector<std::pair<std::string, std::string>> files;
    std::string detected, has;
  };
  const std::vector<Case> cases = {
      {{{"CMakeLists.txt", "enable_testing()\n"}}, "CMake + CTest", "- ctest --test-dir build"},
      {{{"CMakeLists.txt", "project(x)\n"}}, "CMake", "- cmake --build build"},
      {{{"package.json", "{\"scripts\": {\"test\": \"x\"}}"}, {"package-lock.json", "{}"}},
       "npm",
       "- npm ci\n"},
      {{{"package.json", "{}"}}, "npm", "- npm run build\n"},
      {{{"Cargo.toml", ""}}, "cargo", "- cargo test\n"},
      {{{"go.mod", ""}}, "go", "- go test ./...\n"},
      {{{"pyproject.toml", ""}}, "pytest", "- .venv/bin/python -m pytest\n"},
      {{{"requirements.txt", ""}}, "pytest", "-r requirements.txt\n"},
      {{{"Makefile", "all:\n\ntest: all\n"}}, "make", "- make test\n"},
      {{{"Makefile", "check:\n"}}, "make", "- make check\n"},
      {{{"Makefile", "all:\n"}}, "make", "- make\n"},
      {{{"Makefile", ""}, {"Cargo.toml", ""}, {"package.json", "{}"}}, "npm, cargo", "  cargo:\n"},
      {{}, "nothing known", "write here what tests your project"},
  };
  int number = 0;
  for (const Case& c : cases) {
    const std::string name = "p" + std::to_string(number++);
    std::filesystem::create_directories(dir_.File(name));
    for (const auto& [file, text] : c.files) dir_.Write(name + "/" + file, text);
    const Exit exit = Run({"init"}, dir_.File(name));
    EXPECT_EQ(exit.code, 0) << exit.err;
    EXPECT_THAT(exit.out, StartsWith("detected: " + c.detected + "\nwrote .waggle.yml ("));
    const std::string text = Read(name + "/.waggle.yml");
    EXPECT_THAT(text, StartsWith("# ")) << c.detected;
    EXPECT_THAT(text, HasSubstr(c.has));
    EXPECT_EQ(Run({"lint"}, dir_.File(name)).code, 0) << text;
  }
  EXPECT_THAT(Run({"init", "--force"}, dir_.File("p0")).out,
              HasSubstr(" lines) · waggle lint: ok · try it here: waggle run\n"));
  EXPECT_EQ(Json::parse(Run({"init", "--force", "-o", "json"}, dir_.File("p0")).out)["detected"],
            Json::array({"CMake + CTest"}));
}

TEST_F(WaggleLintTest, InitKeepsWhatIsThere) {
  dir_.Write(".waggle.yml", "mine");
  Exit exit = Run({"init"});
  EXPECT_EQ(exit.code, 1);
  EXPECT_EQ(exit.err,
            "error: .waggle.yml is there already; it was not changed\n"
            "  next: waggle lint, or waggle init --force to write it anew\n");
  EXPECT_EQ(Read(".waggle.yml"), "mine");
  EXPECT_EQ(Run({"init", "--force"}).code, 0);
  EXPECT_THAT(Read(".waggle.yml"), StartsWith("# What Waggle runs"));
  std::filesystem::remove(dir_.File(".waggle.yml"));
  std::filesystem::create_symlink("/nowhere/at/all", dir_.File(".waggle.yml"));
  EXPECT_EQ(Run({"init"}).code, 1) << "a link that leads nowhere is there, too";
}

TEST_F(WaggleLintTest, InitWritesAtTheTopOfTheRepository) {
  std::filesystem::create_directories(dir_.File("repo/.git"));
  std::filesystem::create_directories(dir_.File("repo/src"));
  dir_.Write("repo/go.mod", "");
  EXPECT_THAT(Run({"init"}, dir_.File("repo/src")).out, HasSubstr("wrote " + dir_.File("repo/.waggle.yml")));
  EXPECT_THAT(Read("repo/.waggle.yml"), HasSubstr("go test"));
}

}  // namespace
}  // namespace waggle::cli
