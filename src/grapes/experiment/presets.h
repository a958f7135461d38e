#pragma once

#include "grapes/experiment/config.h"

#include <string>
#include <vector>

namespace grapes::experiment {

/// A problem with a network and settings that solve it: --preset on the command line, preset = ... in TOML.
struct Preset {
  std::string name;
  std::string summary;
  std::string toml;  ///< keys, as read_toml_text reads them
};
const std::vector<Preset>& presets();

/// @throws UsageError with the nearest name if there is no such preset
void begin_from(Config& config, const std::string& preset);

}  // namespace grapes::experiment
