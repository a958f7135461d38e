#pragma once

#include "grapes/record/record.h"

#include <filesystem>
#include <string>
#include <vector>

/// From records alone: what `grapes compare` prints, and the page.
namespace grapes::report {

struct Options {
  std::string baseline =
      "bp";           ///< the arm against which the others are paired; the first arm if there is none of that name
  double target = 0;  ///< score for "epochs to target"; 0: 98 % of the baseline's final mean
  std::string title;
  record::Json tuning;  ///< what was tried per arm, from compare.json; null if nothing was tuned
};

/// All numbers of a comparison as one JSON document (summary.json, `--json`): per arm n, final test score mean, sd,
/// 95 % interval, every seed; learning rate; difference to the baseline with interval, p, Holm p; slowness, asymptote;
/// epochs to target; seconds per epoch; diverged runs counted.
record::Json summarize(const std::vector<record::Run>& runs, const Options& options);
/// The same as a table for the terminal, at most 100 columns wide.
std::string table(const record::Json& summary);
/// What the comparison shows and what it does not, in plain words, one sentence an entry.
std::vector<std::string> findings(const record::Json& summary);
/// One self-contained HTML page: no script or style from elsewhere; deterministic: the same records give the same
/// bytes.
std::string html(const std::vector<record::Run>& runs, const record::Json& summary, const Options& options);
/// The picture for a README: learning curves and final scores side by side, SVG.
std::string picture(const std::vector<record::Run>& runs, const record::Json& summary);

/// What compare.json in these folders says of the tuning; null if it is not there, or there is more than one: runs that
/// were tuned apart have no one grid.
record::Json tuning_of(const std::vector<std::filesystem::path>& folders);

/// Reads, summarizes, writes report.html, summary.json and picture.svg into `out`; returns the path of the page.
std::filesystem::path write(const std::vector<std::filesystem::path>& folders, const std::filesystem::path& out,
                            Options options);

}  // namespace grapes::report
