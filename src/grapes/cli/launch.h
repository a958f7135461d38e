#pragma once

#include "grapes/dist/group.h"
#include "grapes/dist/launch.h"

#include <string>

namespace grapes::cli {

/// Returns the path of this program, to start it again.
std::string this_program();

}  // namespace grapes::cli
