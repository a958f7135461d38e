#pragma once

#include "grapes/report/summary.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

/// Makes the text that `grapes compare`, `continual` and `report` print, and the page, from records alone.
namespace grapes::report {

/// Reads the runs in these folders and their compare.json, which contains the tuning and, for several tasks, the given
/// and the chosen learning rate. The folder of a sweep (sweep.json) gives one condition for each value.
/// @throws DataError for invalid files, and for runs that cannot be compared on one page
Records read(const std::vector<std::filesystem::path>& folders);
/// Arranges runs that were read. @param comparisons  the content of each compare.json
Records arrange(std::vector<record::Run> runs, const std::vector<record::Json>& comparisons = {});

/// What a comparison shows and does not show, one sentence per entry. Names in back quotes are arms.
struct Findings {
  std::string lead;                                  ///< the verdict, two sentences
  std::string notice;                                ///< runs that are not counted, or empty
  std::vector<std::string> verdicts;                 ///< one for each condition; empty for a sweep
  std::vector<std::vector<std::string>> conditions;  ///< limits of the verdict, for each condition
  std::vector<std::string> all;                      ///< limits of the whole comparison: chance, data, excluded runs
};
Findings findings(const Summary& summary);
/// Returns the conclusion from the interval and the test: "higher by interval and test".
std::string reading(const Difference& one);

/// A table of a comparison, for the terminal and for the page.
struct Table {
  std::string title;
  std::vector<std::vector<std::string>> rows;                   ///< the first row and the first column are headings
  std::vector<std::pair<std::string, std::string>> terms = {};  ///< columns and rows with their meanings
};
/// Returns the measures of each arm and the comparisons between arms, in one condition or at all values of a sweep.
std::vector<Table> tables(const Summary& summary, const Condition& condition);
/// Returns the tables as text, at most 100 columns wide.
std::string table(const Summary& summary);

/// Returns one self-contained HTML page. It loads no script or style, and equal records give equal bytes.
std::string html(const Summary& summary);
/// Returns an SVG image for a README: the learning curves and the final scores.
std::string picture(const Summary& summary);

/// Writes report.html, summary.json and picture.svg; returns the path of the page.
std::filesystem::path write(const Summary& summary, const std::filesystem::path& folder);

}  // namespace grapes::report
