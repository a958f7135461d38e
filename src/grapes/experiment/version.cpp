#include "grapes/experiment/version.h"

#include "grapes_version.h"  // made anew by every build, and therefore included nowhere else

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
