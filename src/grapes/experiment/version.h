#pragma once

#include <string>

namespace grapes::experiment {

/// Which Grapes this is: the release, and where in its history it was built.
struct Version {
  std::string number;  ///< "0.1.0"
  std::string git;     ///< commit, or "" if it was not built from a repository
  bool dirty = false;  ///< files differed from that commit
};
const Version& version();

/// "grapes 0.1.0 (commit 0123456789ab, with changes)"
std::string version_line();

}  // namespace grapes::experiment
