#include "grapes/base/text.h"
#include "grapes/report/cells.h"
#include "grapes/report/report.h"

#include <algorithm>

namespace grapes::report {
using record::Json;
namespace {

std::size_t width(const std::string& text) {  // in characters, not bytes
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width(row[c]));
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string gap(widths[c] - width(row[c]), ' ');
      line += (c > 0 ? "  " : "") + (c == 0 ? row[c] + gap : gap + row[c]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

/// The columns that say how good, or those that say how fast: together they are wider than a terminal.
std::string block(const Json& summary, bool speed) {
  std::vector<std::vector<std::string>> rows(1 + summary["arms"].size());
  for (const Column& column : columns(summary)) {
    if (column.name != "arm" && column.speed != speed) continue;
    rows[0].push_back(column.name);
    for (std::size_t i = 0; i < summary["arms"].size(); ++i) {
      std::string cell = column.cell(summary["arms"][i]);
      if (column.name == "arm" && width(cell) > 20) cell = cell.substr(0, 19) + "…";
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
