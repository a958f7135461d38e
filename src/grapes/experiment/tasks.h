#pragma once

#include "grapes/experiment/config.h"

#include <string>
#include <vector>

namespace grapes::experiment {

/// A problem with a network and settings that solve it: what the command line begins from with --task.
struct TaskRow {
  std::string name;
  std::string summary;
  std::string toml;  ///< keys, as read_toml_text reads them
};
const std::vector<TaskRow>& tasks();

/// @throws UsageError with the nearest name if there is no such task
void begin_from(Config& config, const std::string& task);

}  // namespace grapes::experiment
