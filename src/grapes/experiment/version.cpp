#include "grapes/experiment/version.h"

#include "grapes_version.h"  // changes with every build, so it is included only here

namespace grapes::experiment {

const Version& version() {
  static const Version here = {GRAPES_VERSION, GRAPES_GIT, GRAPES_GIT_DIRTY};
  return here;
}

std::string version_line() {
  const Version& here = version();
  std::string text = "grapes " + here.number;
  if (!here.git.empty()) text += " (commit " + here.git.substr(0, 12) + (here.dirty ? ", with changes)" : ")");
  return text;
}

}  // namespace grapes::experiment
