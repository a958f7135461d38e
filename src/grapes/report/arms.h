#pragma once

#include "grapes/record/record.h"

#include <optional>
#include <string>
#include <vector>

/// Runs seen as arms of a comparison, and their rows as curves.
namespace grapes::report {

/// The runs that count under one label: finished, with a score in their last row; by seed.
struct Arm {
  std::string name;
  std::vector<const record::Run*> runs;
};

/// The arms that have a run that counts: the baseline first, then the paper's order (bp, grapes, grapes-local, uniform,
/// shuffled, constant), then as they come. The runs must outlive what is returned.
std::vector<Arm> arms_of(const std::vector<record::Run>& runs, const std::string& baseline);

/// The name without its constants: "constant" of "constant:1.85" and "constant:2".
std::string family(const std::string& arm);

/// A number of a row, or nothing if it is absent or not finite (JSON holds null for these).
std::optional<double> number(const record::Json& row, const std::string& key);

/// The part that final scores are taken from: "test" if every arm's runs have it, else "validation", else "train".
std::string part_of(const std::vector<Arm>& arms);
/// Key of a part's score in the rows: "test_accuracy".
std::string score_key(const std::vector<Arm>& arms, const std::string& part);

/// A number at the end of a run; where it was stopped early, at the epoch that was best on validation.
double final_number(const record::Run& run, const std::string& key);

/// Mean and standard deviation over the runs that have a row at that epoch.
struct Curve {
  std::vector<double> epoch, mean, sd;
};
/// `layer` empty: a number of the row itself; else of the layer of that name; "factor.mean" reaches into the factor.
Curve curve(const Arm& arm, const std::string& key, const std::string& layer = "");

/// The same without epoch 0, before training, and multiplied by `factor`: what is drawn.
Curve trained(const Arm& arm, const std::string& key, double factor, const std::string& layer = "");

/// The names of the layers, in order, over all runs.
std::vector<std::string> layers_of(const std::vector<Arm>& arms);
/// The layer of that name in a row, or null.
const record::Json& layer_of(const record::Json& row, const std::string& name);

}  // namespace grapes::report
