#pragma once

#include "grapes/report/inference.h"
#include "grapes/report/summary.h"

#include <filesystem>
#include <string>
#include <vector>

/// One question that was asked on several data sets: the arms that all studies have, over all studies.
namespace grapes::report {

/// The scores of several studies. More is better.
struct Aggregated {
  struct Arm {
    std::string name;
    TaskScores scores = {};  ///< [studies][runs]
    Aggregate middle = {};   ///< interquartile mean
    Aggregate wins = {};     ///< probability of improvement over the baseline; not of the baseline itself
  };
  Measure measure;
  std::string baseline;
  std::vector<std::string> studies = {};   ///< folders, in the given order
  std::vector<std::string> data = {};      ///< their data sets
  std::vector<Arm> arms = {};              ///< the baseline first, then as in a report
  std::vector<std::string> left_out = {};  ///< arms that only some studies have
};

/// Reads studies, one folder each. Of a study with several conditions the last one counts: with several tasks, each arm
/// at its own best learning rate.
/// @param baseline  arm that the others are compared with; if no study has it, bp, else the first arm
/// @throws UsageError for fewer than two studies
/// @throws DataError for invalid records, a sweep, studies with different scores, or without an
///   arm in common beside the baseline
Aggregated aggregate(const std::vector<std::filesystem::path>& studies, const std::string& baseline = "bp");

/// Returns a row for each arm, as text.
std::string table(const Aggregated& all);
/// {"score", "confidence", "baseline", "studies": [{"folder", "data"}], "arms": [{"arm", "n" (runs of each study),
/// "interquartile_mean", "interquartile_interval", "probability_of_improvement", "improvement_interval" (null for the
/// baseline)}], "left_out"}
record::Json to_json(const Aggregated& all);

}  // namespace grapes::report
