#pragma once

// The generated messages of the whole contract, for the .cc files of shells. Services have headers of their
// own.
#include "waggle/v1/hive.pb.h"
#include "waggle/v1/job.pb.h"
#include "waggle/v1/queen.pb.h"
