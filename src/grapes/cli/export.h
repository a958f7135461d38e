#pragma once

#include "grapes/cli/program.h"

#include <string>
#include <vector>

namespace grapes::cli {

/// Verbs below `export` and `import`.
void add_export_c(Program& program, CLI::App& parent);
void add_export_nir(Program& program, CLI::App& parent);
void add_export_onnx(Program& program, CLI::App& parent);
void add_import_nir(Program& program, CLI::App& parent);
void add_import_onnx(Program& program, CLI::App& parent);

/// For a verb with subverbs that can also be used alone. If a subverb is given, options of the verb itself are errors;
/// otherwise `needed` must be given. CLI11's required() cannot be used, because it would take the subverb's name as the
/// missing positional argument.
/// @throws CLI::ParseError
void check_given(const CLI::App& verb, const std::vector<std::string>& needed);

}  // namespace grapes::cli
