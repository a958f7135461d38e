#pragma once

#include "grapes/record/record.h"

#include <filesystem>
#include <string>
#include <vector>

/// The report on runs that learn several tasks one after the other: from records alone.
namespace grapes::report {

/// Whether these are such runs. @throws DataError if some are and some are not
bool has_tasks(const std::vector<record::Run>& runs);

struct ContinualOptions {
  std::string baseline = "bp";
  std::string title;
};

/// A number that a matrix of accuracies gives, see transfer.h.
struct Measure {
  std::string key;      ///< "average_accuracy"
  std::string name;     ///< "average accuracy"
  std::string meaning;  ///< one line, for the page
  bool more_is_better;
};
const std::vector<Measure>& measures();

/// Which learning rate of each arm belongs together.
struct Rates {
  record::Json given;   ///< arm -> rate, as the comparison was asked for
  record::Json chosen;  ///< arm -> rate, each arm's own best; null if none were chosen
  record::Json tuning;  ///< see compare.json; null
};
/// From compare.json in these folders; else the rates of the runs. @throws DataError if an arm has two
Rates rates_of(const std::vector<std::filesystem::path>& folders, const std::vector<record::Run>& runs);

/// All numbers as one JSON document: {"title", "data", "model", "scenario", "tasks", "epochs", "optimizer_state",
/// "baseline", "tuning", "excluded", "settings": one for the rates as given, one for those chosen:
///   [{"name": "given" | "chosen", "title", "arms": [{"arm", "method", "rate", "n", "seeds", per measure {"n", "mean",
///     "sd", "interval", "each"} (null where it has no meaning), "differences": {measure: see paired()} (null for the
///     baseline), "matrix": {"mean", "half_width": of the 95 % interval, or null}, "untrained", "why": [{"name",
///     "weight_change" (‖ΔW‖/‖W‖), "overlap", "overlap_size", "loss_increase", "factor_change", "factor_loss_increase":
///     each a spread over seeds of the mean over tasks, or null}]}], "controls": [paired() of average accuracy and
///     forgetting, grapes against uniform and shuffled, uniform against the baseline; METHOD+grapes against METHOD]}]}
record::Json summarize_continual(const std::vector<record::Run>& runs, const Rates& rates,
                                 const ContinualOptions& options);
/// For the terminal, at most 100 columns wide.
std::string table_continual(const record::Json& summary);
/// What it shows and what it does not, in plain words, one sentence an entry.
struct Findings {
  std::string lead;                                ///< the first thing to know
  std::vector<std::vector<std::string>> settings;  ///< of each of summary["settings"]
  std::vector<std::string> all;                    ///< of all of it: reasons, chance, edges of the grid
};
Findings findings_continual(const record::Json& summary);
/// One self-contained page.
std::string html_continual(const std::vector<record::Run>& runs, const record::Json& summary);
/// For a README: accuracy on each task over time, and the average accuracies, SVG.
std::string picture_continual(const std::vector<record::Run>& runs, const record::Json& summary);

/// Reads, summarizes, writes report.html, summary.json and picture.svg into `out`; returns the path of the page.
std::filesystem::path write_continual(const std::vector<std::filesystem::path>& folders,
                                      const std::filesystem::path& out, const ContinualOptions& options);

}  // namespace grapes::report
