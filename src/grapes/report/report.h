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
  struct OfSection {
    std::string title, verdict;
    std::vector<std::string> limits;  ///< of the verdict
  };
  std::string lead;                 ///< the last verdict, two sentences
  std::string notice;               ///< runs that are not counted, or empty
  std::vector<OfSection> sections;  ///< those of the summary
  std::vector<std::string> all;     ///< limits of the whole comparison: chance, data, excluded runs
};
Findings findings(const Summary& summary);
/// Returns the conclusion from the interval and the test: "higher by interval and test".
std::string reading(const Difference& one);

/// A table of a comparison, for the terminal and for the page.
struct Table {
  std::string title;
  std::vector<std::vector<std::string>> rows;                   ///< the first row and the first column are headings
  std::vector<std::pair<std::string, std::string>> terms = {};  ///< columns and rows with their meanings
  void add(const Measure& measure);                             ///< adds the heading and the meaning of a column
};
/// Returns the measures of each arm and the comparisons between arms of a section.
std::vector<Table> tables(const Summary& summary, Section section);
/// Returns the learning rates of each tuned arm: the chosen one, and how many were tried and are usable.
Table tuning_table(const Condition& condition, const Measure& score);
/// Returns a row for each part of each arm.
Table part_table(const Condition& condition, const PartKind& kind);
/// Returns the tables as text, at most 100 columns wide. They compare the first measure alone.
std::string table(const Summary& summary);

/// Returns one self-contained HTML page. It loads no script or style, and equal records give equal bytes.
std::string html(const Summary& summary);
/// Returns an SVG image for a README: the learning curves and the final scores.
std::string picture(const Summary& summary);

/// Writes report.html, summary.json and picture.svg; returns the path of the page.
std::filesystem::path write(const Summary& summary, const std::filesystem::path& folder);

}  // namespace grapes::report
