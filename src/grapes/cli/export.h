#pragma once

#include "grapes/cli/program.h"

namespace grapes::cli {

/// Other forms of a trained network: verbs below `export`.
void add_export_c(Program& program, CLI::App& parent);

}  // namespace grapes::cli
