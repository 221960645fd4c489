#pragma once

#include <string>
#include <vector>

namespace waggle::shim {

// `waggle-shim --probe MODE DIR USER PROGRAM`: whether this kind of isolation works here, found out by really
// running /bin/true in it, as every command of a job is run. DIR is the drone's work directory, PROGRAM is
// bwrap. USER 0: the job stays who we are. Exit code 0, or 1 and why on standard output. A daemon gives it a
// deadline.
int RunProbe(const std::vector<std::string>& arguments);

}  // namespace waggle::shim
