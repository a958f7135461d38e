#pragma once

#include "grapes/experiment/config.h"

#include <string>
#include <vector>

/// Configurations as TOML.
namespace grapes::experiment {

/// Reads a TOML file into `config`. The key preset = "NAME" applies a preset first, wherever it is in the file. With
/// [arm.NAME] tables and no `arms`, the arms are bp and these.
/// @return the keys that the text sets, with "arm" if it has [arm.NAME] tables
/// @throws UsageError with file, line and column of an invalid or unknown key and the nearest name; DataError if the
///   file is missing
std::vector<std::string> read_toml(Config& config, const std::string& path);
std::vector<std::string> read_toml_text(Config& config, const std::string& text, const std::string& name);
/// Returns the whole configuration as TOML that read_toml accepts, by group. With `comments`, each key is followed by
/// its meaning. A configuration with an arm's name is a single run: keys of comparisons are omitted, and with a single
/// task those of continual learning too.
std::string to_toml(const Config& config, bool comments = false);

}  // namespace grapes::experiment
