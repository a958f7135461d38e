#pragma once

#include "grapes/experiment/config.h"

#include <string>
#include <vector>

namespace grapes::experiment {

/// A problem with a network and settings that fit it: --preset on the command line, preset = ... in TOML.
struct Preset {
  std::string name;
  std::string summary;
  std::string toml;  ///< keys, in the form of read_toml_text
};
const std::vector<Preset>& presets();

/// Applies a preset. @throws UsageError with the nearest name if the preset is unknown
void begin_from(Config& config, const std::string& preset);

}  // namespace grapes::experiment
