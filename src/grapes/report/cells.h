#pragma once

#include "grapes/record/record.h"

#include <functional>
#include <string>
#include <vector>

/// The table of a comparison, once for the terminal and the page.
namespace grapes::report {

struct Column {
  std::string name;
  std::string meaning;                                   ///< one line, for the page
  bool speed;                                            ///< says how fast, not how good
  std::function<std::string(const record::Json&)> cell;  ///< of an entry of summary["arms"]
};
std::vector<Column> columns(const record::Json& summary);

/// "grapes, seed 3: diverged in epoch 4 (loss is not finite)", one for each run that was left out.
std::vector<std::string> excluded_runs(const record::Json& summary);

}  // namespace grapes::report
