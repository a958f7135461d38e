#pragma once

#include "grapes/experiment/config.h"

#include <string>
#include <vector>

/// Configurations as TOML.
namespace grapes::experiment {

/// Reads a TOML file over `config`; the key preset = "NAME" begins from a row of presets(), wherever it is in the file.
/// With [arm.NAME] tables and no `arms`, the arms are bp and these.
/// @return the keys that the text gives, "arm" among them if it has [arm.NAME] tables
/// @throws UsageError: file, line and column of a broken or unknown key, nearest name; DataError if the file is missing
std::vector<std::string> read_toml(Config& config, const std::string& path);
std::vector<std::string> read_toml_text(Config& config, const std::string& text, const std::string& name);
/// The whole configuration as TOML that read_toml accepts, by group, with each key's meaning as a comment if
/// `comments`. A configuration with an arm's name is one run: the keys of comparisons are left out, and without several
/// tasks those of tasks too.
std::string to_toml(const Config& config, bool comments = false);

}  // namespace grapes::experiment
