#include "grapes/base/text.h"
#include "grapes/report/cells.h"
#include "grapes/report/format.h"
#include "grapes/report/report.h"

#include <algorithm>

namespace grapes::report {
using record::Json;
namespace {

/// The columns that say how good, or those that say how fast: together they are wider than a terminal.
std::string block(const Json& summary, bool speed) {
  std::vector<std::vector<std::string>> rows(1 + summary["arms"].size());
  for (const Column& column : columns(summary)) {
    if (column.name != "arm" && column.speed != speed) continue;
    rows[0].push_back(column.name);
    for (std::size_t i = 0; i < summary["arms"].size(); ++i) {
      std::string cell = column.cell(summary["arms"][i]);
      if (column.name == "arm" && characters(cell) > 20) cell = cell.substr(0, 19) + "…";
      rows[i + 1].push_back(std::move(cell));
    }
  }
  return aligned(rows);
}

}  // namespace

std::string table(const Json& summary) {
  std::string text = block(summary, false) + "\n" + block(summary, true);
  for (const std::string& line : excluded_runs(summary)) text += "\nnot counted: " + line;
  if (!summary["excluded"].empty()) text += "\n";
  return text;
}

}  // namespace grapes::report
