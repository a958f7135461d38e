#pragma once

#include "grapes/report/summary.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

/// From records alone: what `grapes compare`, `continual` and `report` print, and the page.
namespace grapes::report {

/// Runs, and what compare.json in these folders says of them: what was tuned, and for several tasks which learning rate
/// was given and which chosen. A folder of a sweep (sweep.json) gives a condition for each value.
/// @throws DataError for files that cannot be understood, and for runs that cannot stand on one page
Records read(const std::vector<std::filesystem::path>& folders);
/// The same from what was read. @param comparisons  what each compare.json holds
Records arrange(std::vector<record::Run> runs, const std::vector<record::Json>& comparisons = {});

/// What a comparison shows and what it does not, in plain words, one sentence an entry; `name` is an arm.
struct Findings {
  std::string lead;                                  ///< the verdict, two sentences
  std::string notice;                                ///< runs that do not count, or empty
  std::vector<std::string> verdicts;                 ///< of each condition; empty for a sweep
  std::vector<std::vector<std::string>> conditions;  ///< of each condition, what limits its verdict
  std::vector<std::string> all;                      ///< of all of it: chance, data, runs that were left out
};
Findings findings(const Summary& summary);
/// What the interval, and the test, say of a difference: "higher by interval and test".
std::string reading(const Difference& one);

/// A table of a comparison, once for the terminal and the page.
struct Table {
  std::string title;
  std::vector<std::vector<std::string>> rows;                   ///< the first row and the first column are headings
  std::vector<std::pair<std::string, std::string>> terms = {};  ///< columns and rows, and what they mean
};
/// The measures of each arm, then arm against arm: in a condition, or of a sweep at all values.
std::vector<Table> tables(const Summary& summary, const Condition& condition);
/// What a terminal shows, at most 100 columns wide.
std::string table(const Summary& summary);

/// One self-contained HTML page: no script or style from elsewhere; the same records give the same bytes.
std::string html(const Summary& summary);
/// The picture for a README, SVG: how the score came about, and how it ends.
std::string picture(const Summary& summary);

/// Writes report.html, summary.json and picture.svg; returns the path of the page.
std::filesystem::path write(const Summary& summary, const std::filesystem::path& folder);

}  // namespace grapes::report
