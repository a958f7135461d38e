#pragma once

#include "grapes/cli/program.h"

namespace grapes::cli {

/// Verbs below `grapes hardware`.
void add_cost(Program& program, CLI::App& hardware);
void add_devices(Program& program, CLI::App& hardware);

}  // namespace grapes::cli
