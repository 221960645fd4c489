// `matrix`: cells, their names, include and exclude, and the shapes that would become too many.
#include <gmock/gmock.h>

#include <chrono>

#include "common/base/limits.h"
#include "tests/common/pipeline/support.h"

namespace waggle::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::vector<std::string> Names(const std::string& matrix) {
  std::vector<std::string> names;
  for (const PipelineJob& job : Parse(Unit("matrix: " + matrix)).jobs) {
    EXPECT_EQ(job.name, job.spec.name);
    names.push_back(job.name);
  }
  return names;
}

std::string MatrixFault(const std::string& matrix) {
  return Fault(Unit("matrix: " + matrix));
}

TEST(Matrix, TheExampleOfTheHandbook) {
  const Pipeline pipeline = Parse(R"(jobs:
  build-test:
    test: make
    matrix:
      cc:   [gcc-12, clang-15]
      arch: [amd64, arm64]
      exclude: [{cc: clang-15, arch: arm64}]
      include: [{cc: clang-15, arch: amd64, SAN: address}]
    needs: {arch: "${matrix.arch}", docker: true}
)");
  ASSERT_EQ(pipeline.jobs.size(), 3u);
  EXPECT_EQ(pipeline.jobs[0].name, "build-test/gcc-12-amd64");
  EXPECT_EQ(pipeline.jobs[1].name, "build-test/gcc-12-arm64");
  EXPECT_EQ(pipeline.jobs[2].name, "build-test/clang-15-amd64-address");
  EXPECT_THAT(pipeline.jobs[1].spec.matrix, ElementsAre(Pair("arch", "arm64"), Pair("cc", "gcc-12")));
  EXPECT_THAT(pipeline.jobs[1].spec.needs, ElementsAre(Pair("arch", "arm64"), Pair("docker", "true")));
  EXPECT_THAT(pipeline.jobs[2].spec.matrix,
              ElementsAre(Pair("SAN", "address"), Pair("arch", "amd64"), Pair("cc", "clang-15")));
}

TEST(Matrix, Cells) {
  EXPECT_THAT(Names("{a: [1, 2], b: [x]}"), ElementsAre("unit/1-x", "unit/2-x"));
  EXPECT_THAT(Names("{b: [x], a: [1, 2]}"), ElementsAre("unit/x-1", "unit/x-2"));
  EXPECT_THAT(Names("{os: [\"ubuntu:22.04\", a/b, ü]}"),
              ElementsAre("unit/ubuntu_22.04", "unit/a_b", "unit/__"));
  EXPECT_THAT(Names("{san: [\"\", address], cc: [gcc]}"), ElementsAre("unit/gcc", "unit/address-gcc"));
  EXPECT_THAT(Names("{a: [\"\"]}"), ElementsAre("unit/_"));
  EXPECT_THAT(Names("{a: [\"..\", \".\"]}"), ElementsAre("unit/.._", "unit/._"));
  EXPECT_THAT(Names("{a: [x-y, x], b: [z, y-z]}"),
              ElementsAre("unit/x-y-z", "unit/x-y-y-z", "unit/x-z", "unit/x-y-z-2"))
      << "names never meet";
}

TEST(Matrix, Exclude) {
  EXPECT_THAT(Names("{a: [1, 2], b: [x, y], exclude: [{a: 1, b: x}]}"),
              ElementsAre("unit/1-y", "unit/2-x", "unit/2-y"));
  EXPECT_THAT(Names("{a: [1, 2], b: [x, y], exclude: [{a: 1}]}"), ElementsAre("unit/2-x", "unit/2-y"));
  EXPECT_THAT(Names("{exclude: [{b: x}, {a: 1}], a: [1, 2], b: [x, y]}"), ElementsAre("unit/2-y"));
  EXPECT_EQ(MatrixFault("{a: [1, 2], exclude: [{aa: 1}]}"),
            ".waggle.yml:4:36: the matrix has no axis `aa`\n"
            "  4 |     matrix: {a: [1, 2], exclude: [{aa: 1}]}\n"
            "    |                                    ^^ axes: a [WG107]");
  EXPECT_THAT(MatrixFault("{arch: [1, 2], exclude: [{acrh: 1}]}"),
              HasSubstr("^^^^ did you mean `arch`? [WG107]"));
  EXPECT_EQ(MatrixFault("{cc: [gcc-12, clang], exclude: [{cc: gcc-21}]}"),
            ".waggle.yml:4:50: axis `cc` has no value `gcc-21`\n"
            "  4 |     matrix: {cc: [gcc-12, clang], exclude: [{cc: gcc-21}]}\n"
            "    |                                                  ^^^^^^ did you mean `gcc-12`? [WG107]");
  EXPECT_THAT(MatrixFault("{a: [1, 2], b: [x, y], exclude: [{a: 1}, {a: 1, b: x}]}"),
              HasSubstr("this entry of `exclude` matches no cell"));
  EXPECT_THAT(MatrixFault("{a: [1], exclude: [{a: 1}]}"), HasSubstr("`jobs.unit.matrix` leaves no cell"));
}

TEST(Matrix, Include) {
  EXPECT_THAT(Names("{a: [1, 2], include: [{a: 3}]}"), ElementsAre("unit/1", "unit/2", "unit/3"));
  EXPECT_THAT(Names("{a: [1, 2], include: [{a: 2, x: slow}]}"), ElementsAre("unit/1", "unit/2-slow"));
  EXPECT_THAT(Names("{a: [1, 2], b: [x, y], include: [{b: y, z: q}]}"),
              ElementsAre("unit/1-x", "unit/1-y-q", "unit/2-x", "unit/2-y-q"));
  EXPECT_THAT(Names("{a: [1, 2], exclude: [{a: 1}], include: [{a: 1, z: q}]}"),
              ElementsAre("unit/2", "unit/1-q"));
  EXPECT_THAT(Names("{include: [{cc: gcc}, {cc: clang, san: thread}]}"),
              ElementsAre("unit/gcc", "unit/clang-thread"));
  EXPECT_THAT(MatrixFault("{a: [1, 2], include: [{a: 1}]}"),
              HasSubstr("adds nothing: its cell is there already"));
  EXPECT_THAT(MatrixFault("{a: [1], b: [x], include: [{a: 2}]}"), HasSubstr("matches no cell\n"));
  EXPECT_THAT(MatrixFault("{a: [1], b: [x], include: [{z: 2}]}"),
              HasSubstr("^ name every axis to add a cell"));
  EXPECT_THAT(MatrixFault("{arch: [1], b: [x], include: [{acrh: 1, b: x}]}"),
              HasSubstr("the matrix has no axis `acrh`"));
  EXPECT_THAT(MatrixFault("{a: [1], include: [{a: 1, z: 1}, {a: 1, z: 2}]}"),
              HasSubstr("a cell gets `z` twice"));
}

TEST(Matrix, Shapes) {
  EXPECT_THAT(MatrixFault("[a]"), HasSubstr("`jobs.unit.matrix` must be a mapping of axes"));
  EXPECT_THAT(MatrixFault("{}"), HasSubstr("must be a mapping of axes"));
  EXPECT_THAT(MatrixFault("{a: gcc}"), HasSubstr("`jobs.unit.matrix.a` must be a list of values"));
  EXPECT_THAT(MatrixFault("{a: []}"), HasSubstr("must be a list of values"));
  EXPECT_THAT(MatrixFault("{a: [[b]]}"), HasSubstr("`jobs.unit.matrix.a[0]` must be a text, not a list"));
  EXPECT_THAT(MatrixFault("{a: [x, x]}"), HasSubstr("`x` appears twice in `jobs.unit.matrix.a`"));
  EXPECT_THAT(MatrixFault("{a-b: [x]}"), HasSubstr("`a-b` is no name for an axis"));
  EXPECT_THAT(MatrixFault("{1a: [x]}"), HasSubstr("`1a` is no name for an axis"));
  EXPECT_THAT(MatrixFault("{cc: [x], CC: [y]}"), HasSubstr("`cc` and `CC` would be the same variable"));
  EXPECT_THAT(MatrixFault("{a: [\"x\\ny\"]}"), HasSubstr("is no value of a matrix"));
  EXPECT_THAT(MatrixFault("{a: [x], include: {a: y}}"), HasSubstr("must be a list of mappings"));
  EXPECT_THAT(MatrixFault("{a: [x], include: [y]}"),
              HasSubstr("`jobs.unit.matrix.include[0]` must be a mapping"));
  EXPECT_THAT(MatrixFault("{a: [" + std::string(200, 'x') + "]}"), HasSubstr("of a cell has 205 bytes"));
}

std::string Axis(const std::string& name, int values) {
  std::string out = name + ": [v0";
  for (int i = 1; i < values; ++i) out += ", v" + std::to_string(i);
  return out + "]";
}

// X3: what would be a million jobs is answered at once, with the count.
TEST(Matrix, TooManyJobsAreCountedAndNotMade) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(MatrixFault("{" + Axis("a", 100) + ", " + Axis("b", 100) + ", " + Axis("c", 100) + "}"),
              HasSubstr(".waggle.yml:4:5: 1000000 jobs after expansion\n"));
  std::string all = Axis("a0", 256);
  for (int i = 1; i < 16; ++i) all += ", " + Axis("a" + std::to_string(i), 256);
  EXPECT_THAT(MatrixFault("{" + all + "}"), HasSubstr("18446744073709551615 jobs after expansion"));
  EXPECT_THAT(MatrixFault("{" + all + ", a16: [x]}"), HasSubstr("more than 16 axes"));
  EXPECT_THAT(MatrixFault("{" + Axis("a", 257) + "}"), HasSubstr("`jobs.unit.matrix.a` has 257 values"));
  EXPECT_THAT(MatrixFault("{" + Axis("a", 7) + ", " + Axis("b", 11) + ", " + Axis("c", 13) + "}"),
              HasSubstr("1001 jobs after expansion"));
  EXPECT_THAT(MatrixFault("{" + Axis("a", 100) + ", " + Axis("b", 11) + ", exclude: [{a: v0}]}"),
              HasSubstr("1100 jobs after expansion"));
  std::string jobs = "jobs:\n";
  for (int i = 0; i < 10; ++i) {
    jobs +=
        "  j" + std::to_string(i) + ": {test: x, matrix: {" + Axis("a", 10) + ", " + Axis("b", 11) + "}}\n";
  }
  EXPECT_THAT(Fault(jobs), HasSubstr(":1:1: 1100 jobs after expansion\n"));
  EXPECT_THAT(Fault("defaults: {}\njobs:\n  a: {test: x}\n  b: {test: x, matrix: {" + Axis("a", 40) + ", " +
                    Axis("b", 25) + "}}\n"),
              HasSubstr("1001 jobs after expansion"));
  std::string includes = "{" + Axis("a", 250) + ", " + Axis("b", 4) + ", include: [{a: x, b: y}]}";
  EXPECT_THAT(MatrixFault(includes), HasSubstr("1001 jobs after expansion"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_EQ(Names("{" + Axis("a", 25) + ", " + Axis("b", 40) + "}").size(), 1000u);
}

TEST(Matrix, WhatItTakesInMemoryIsBounded) {
  const std::string script(150'000, 'x');
  EXPECT_THAT(Fault("jobs:\n  a:\n    test: " + script + "\n    matrix: {" + Axis("a", 250) + ", " +
                    Axis("b", 4) + "}\n"),
              HasSubstr(":1:1: 1000 jobs after expansion take about 175 MiB\n"));
  EXPECT_THAT(Fault("vars: {A: " + script.substr(0, 100'000) + "}\njobs:\n  a: {test: x, matrix: {" +
                    Axis("a", 250) + ", " + Axis("b", 4) + "}}\n"),
              HasSubstr("1000 jobs after expansion take about"));
}

}  // namespace
}  // namespace waggle::pipeline
