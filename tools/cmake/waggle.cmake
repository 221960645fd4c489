# How every target of the house is built. Use waggle_library, waggle_binary and waggle_test; nothing else sets flags.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

# -g1 keeps backtraces with lines while the debug sections of generated code stay small.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")

find_program(CCACHE ccache)
if(CCACHE)
  # Base directory and no directory hash: a clone in another place (a job's workspace) shares the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  # On pages of their own: this mold begins RELRO in the page behind the code when thread-local zeros come first, and
  # where nothing is mapped there, one layout in some hundred, the program does not load.
  add_link_options(-fuse-ld=mold -Wl,-z,separate-loadable-segments)
endif()

add_compile_options(-Wall -Wextra -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wthread-safety -Wunused-result)
endif()
if(WAGGLE_WERROR)
  add_compile_options(-Werror)
endif()
if(WAGGLE_SANITIZE)
  add_compile_options(-fsanitize=${WAGGLE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WAGGLE_SANITIZE})
endif()
include_directories(${CMAKE_SOURCE_DIR})

find_package(Threads REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(GTest REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
if(NOT WAGGLE_ONLY_COMMON)
  find_package(Protobuf REQUIRED) # MODULE mode, before gRPC: Debian ships no CONFIG package
  find_package(gRPC CONFIG REQUIRED)
  find_package(Boost 1.74 CONFIG REQUIRED)
  find_package(spdlog CONFIG REQUIRED)
  find_package(SQLite3 REQUIRED)
  find_package(CLI11 CONFIG REQUIRED)
  find_package(nlohmann_json CONFIG REQUIRED)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(LIBGIT2 REQUIRED IMPORTED_TARGET libgit2)
endif()

# waggle_library(NAME SOURCES a.cc b.cc DEPS x y)
function(waggle_library NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${NAME} STATIC ${ARG_SOURCES})
  target_link_libraries(${NAME} PUBLIC ${ARG_DEPS})
endfunction()

# waggle_binary(NAME SOURCES main.cc DEPS x y [STATIC]); lands in build/<preset>/bin
function(waggle_binary NAME)
  cmake_parse_arguments(ARG "STATIC" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPS})
  if(ARG_STATIC AND NOT WAGGLE_SANITIZE)
    target_link_options(${NAME} PRIVATE -static)
  endif()
endfunction()

# waggle_test(NAME SOURCES a_test.cc DEPS x [LABEL unit|e2e] [TIMEOUT seconds]); one gtest binary, one ctest entry
function(waggle_test NAME)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${NAME} COMMAND ${NAME})
  set_tests_properties(${NAME} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()
