#pragma once

#include "grapes/base/random.h"
#include "grapes/record/record.h"
#include "grapes/report/report.h"
#include "grapes/report/summary.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

/// Runs that look like real ones but whose truth is known, for the tests of this room.
namespace grapes::report::synthetic {
using record::Json;

struct Truth {
  std::string arm;
  double gain = 0;  ///< of the asymptote, against bp
  double slowness = 0.06;
  std::vector<double> factor = {};  ///< mean factor of each hidden layer; none: not modulated
  double factor_sd = 0.05;
};

inline const std::vector<Truth> five_arms = {{"bp", 0, 0.085},
                                             {"grapes", 0.004, 0.062, {1.88, 1.82}},
                                             {"grapes-local", 0.003, 0.066, {1.88, 1.82}},
                                             {"uniform", 0.0038, 0.063, {1.88, 1.82}, 0},
                                             {"shuffled", 0.0036, 0.063, {1.88, 1.82}}};

inline Json factor_of(double center, double sd, Random& random) {
  std::vector<int> histogram(20, 0);
  double low = 2, high = 0;
  for (int node = 0; node < 256; ++node) {
    const double m = std::clamp(center + sd * random.normal(), 1.0, 2.0);
    low = std::min(low, m);
    high = std::max(high, m);
    ++histogram[static_cast<std::size_t>(std::min(19.0, std::floor(m * 10)))];
  }
  return {{"mean", center}, {"sd", sd}, {"min", low}, {"max", high}, {"histogram", histogram}};
}

inline record::Run run(const Truth& truth, std::uint64_t seed, int epochs, const std::string& score = "accuracy") {
  Random shared(stream_seed(seed, "seed"));  // what the runs of one seed have in common
  Random own(stream_seed(seed, truth.arm));
  const double level = 0.89 + truth.gain + 0.0025 * shared.normal();
  record::Run run;
  run.folder = "runs/" + truth.arm + "/seed-" + std::to_string(seed);
  run.identity = {truth.arm,     seed,  score == "r2" ? "housing" : "fashion-mnist",
                  "mlp:256,256", score, "same-but-the-arm"};
  run.config = "arm = \"" + truth.arm + "\"\nseed = " + std::to_string(seed) + "\nmodel = \"mlp:256,256\"\n";
  run.env = {{"cpu", "a processor"}, {"git", "0123456"}, {"threads", 2}};
  for (int e = 0; e <= epochs; ++e) {
    const double curve = e == 0 ? 0.1 : level * e / (truth.slowness + e) + 0.0012 * own.normal();
    Json layers = Json::array();
    for (std::size_t l = 0; l < 3; ++l) {
      Json layer = {{"name", std::to_string(l)},
                    {"weight_norm", 18.0 - 4.0 * static_cast<double>(l) + 0.3 * e + 0.05 * own.normal()}};
      if (e > 0)
        layer["gradient_norm"] = 0.4 / (1 + 0.2 * e) * (1 + 0.5 * static_cast<double>(l)) + 0.01 * own.uniform();
      if (l < truth.factor.size())
        layer["factor"] = factor_of(truth.factor[l] - std::min(0.3, 0.008 * e), truth.factor_sd, own);
      layers.push_back(layer);
    }
    run.epochs.push_back({{"epoch", e},
                          {"step", 938 * e},
                          {"learning_rate", 0.1},
                          {"train_loss", 0.25 + 0.35 / (0.4 + e) - 5 * truth.gain + 0.004 * own.normal()},
                          {"train_" + score, curve + 0.01},
                          {"test_loss", 0.33 + 0.3 / (0.4 + e) + 0.004 * own.normal()},
                          {"test_" + score, curve},
                          {"seconds", 1.8 + 0.1 * own.uniform()},
                          {"layers", layers}});
  }
  run.status = {record::State::finished, epochs, 938 * epochs, ""};
  return run;
}

inline std::vector<record::Run> runs(const std::vector<Truth>& arms = five_arms, std::uint64_t seeds = 5,
                                     int epochs = 10, const std::string& score = "accuracy") {
  std::vector<record::Run> all;
  for (const Truth& arm : arms)
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) all.push_back(run(arm, seed, epochs, score));
  return all;
}

/// One condition without a name, as read() gives it.
inline Records records(std::vector<record::Run> runs, Json tuning = nullptr) {
  Condition condition;
  condition.runs = share(std::move(runs));
  condition.tuning = std::move(tuning);
  return {{condition}, "", {}};
}
inline Summary summary(std::vector<record::Run> runs, const Options& options = {}) {
  return summarize(records(std::move(runs)), options);
}
/// All that is said, the lead first.
inline std::vector<std::string> said(const Summary& summary) {
  const Findings found = findings(summary);
  std::vector<std::string> all = {found.lead};
  for (const auto& [title, verdict, limits] : found.sections) {
    all.push_back(verdict);
    all.insert(all.end(), limits.begin(), limits.end());
  }
  all.insert(all.end(), found.all.begin(), found.all.end());
  return all;
}

/// The same runs as folders.
inline void write(const std::vector<record::Run>& runs, const std::filesystem::path& root) {
  for (const record::Run& run : runs) {
    auto writer = record::Writer::create(root / run.folder, run.identity, run.config, run.env);
    for (const Json& row : run.epochs) writer.epoch(row);
    writer.finish(run.status);
  }
}

inline Json tuning() {
  Json tuning = {{"grid", {0.02, 0.05, 0.1, 0.2, 0.4}}, {"epochs", 3}, {"seeds", 2}, {"arms", Json::object()}};
  double shift = 0;
  for (const Truth& truth : five_arms) {
    Json tried = Json::array();
    for (const double rate : tuning["grid"]) {
      const double value = 0.88 - 0.01 * std::pow(std::log(rate / 0.15) + shift, 2);
      tried.push_back(
          {{"learning_rate", rate}, {"validation_mean", value}, {"validation", {value - 0.001, value + 0.001}}});
    }
    tuning["arms"][truth.arm] = {{"chosen", truth.arm == "bp" ? 0.4 : 0.1}, {"tried", tried}};
    shift += 0.12;
  }
  return tuning;
}

}  // namespace grapes::report::synthetic
