#pragma once

#include "grapes/cli/program.h"

#include <string>
#include <vector>

namespace grapes::cli {

/// Other forms of a trained network: verbs below `export` and `import`.
void add_export_c(Program& program, CLI::App& parent);
void add_export_nir(Program& program, CLI::App& parent);
void add_import_nir(Program& program, CLI::App& parent);

/// For a verb with others below it that works by itself too: one of these takes its place, and then nothing of its own
/// may be given; else what is needed must be. Not by CLI11's required(), which would take the lower verb's name for the
/// positional argument that is asked for.
/// @throws CLI::ParseError
void check_given(const CLI::App& verb, const std::vector<std::string>& needed);

}  // namespace grapes::cli
