#pragma once

// glibc 2.36 forgot the C++ guards in this header.
extern "C" {
#include <sys/pidfd.h>
}
