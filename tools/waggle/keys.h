#pragma once

#include <string>

#include "common/config/key.h"

namespace waggle::cli {

// The settings of `waggle`; its files are /etc/waggle/waggle.yaml, /etc/waggle/waggle.d/*.yaml and the
// user's.
extern const config::Program kProgram;

// $XDG_CONFIG_HOME/waggle/config.yaml, else ~/.config/waggle/config.yaml; "" without a home.
std::string UserFile();

// Where logins are kept: queens/ beside that file; "" without a home.
std::string LoginDirectory();

}  // namespace waggle::cli
