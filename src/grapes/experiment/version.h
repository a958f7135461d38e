#pragma once

#include <string>

namespace grapes::experiment {

/// The version of Grapes: the release and the commit.
struct Version {
  std::string number;  ///< "0.1.0"
  std::string git;     ///< commit, or "" if not built from a repository
  bool dirty = false;  ///< files differed from that commit
};
const Version& version();

/// "grapes 0.1.0 (commit 0123456789ab, with changes)"
std::string version_line();

}  // namespace grapes::experiment
