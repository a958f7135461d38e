#include "grapes/report/measures.h"

#include "grapes/report/runs.h"

#include <algorithm>
#include <utility>

namespace grapes::report {
using record::Run;

const Unit percent{100, 2, " %", " points"};

namespace {

std::pair<std::vector<double>, std::vector<double>> trajectory(const Run& run, const std::string& key) {
  std::pair<std::vector<double>, std::vector<double>> axes;
  for (const auto& [epoch, value] : row_points(run, key)) {
    axes.first.push_back(epoch);
    axes.second.push_back(value);
  }
  return axes;
}

std::optional<double> seconds_per_epoch(const Run& run) {
  const std::vector<double> seconds = trajectory(run, "seconds").second;
  return seconds.empty() ? std::nullopt : std::optional(mean(seconds));
}

}  // namespace

Score score_of(const std::string& key) {
  static const std::vector<Score> scores = {{"accuracy", "accuracy", "", percent, {0, 1}},
                                            {"r2", "R²", "", {}, {-std::numeric_limits<double>::infinity(), 1}},
                                            {"log_likelihood",
                                             "log-likelihood",
                                             "that of a step, summed over its bits, mean over all steps of a part",
                                             {},
                                             {-std::numeric_limits<double>::infinity(), 0}}};
  const auto found = std::find_if(scores.begin(), scores.end(), [&](const Score& score) { return score.key == key; });
  return found != scores.end() ? *found : Score{key, key, "", {}, {}};
}

std::vector<Measure> training_measures(const Score& score, const std::string& part, std::optional<double> target) {
  const std::string key = part + "_" + score.key;
  const auto fitted = [&](double Plateau::*field) {
    return [=](const Run& run) {
      const auto [epoch, value] = trajectory(run, key);
      const auto fit = plateau(epoch, value);
      return fit ? std::optional((*fit).*field) : std::nullopt;
    };
  };
  const auto until_target = [=](const Run& run) {
    const auto [epoch, value] = trajectory(run, key);
    return epochs_to(epoch, value, *target);
  };
  const auto at_end = [=](const Run& run) { return number(record::result_row(run), key); };
  const Bounds duration{0};
  using Better = Measure::Better;
  std::vector<Measure> all;
  all.push_back({key, part + " " + score.name,
                 "at the last epoch, or where training was stopped early at the best on validation", score.unit,
                 score.bounds, Better::more, at_end, true});
  all.push_back({"slowness", "slowness", "s of A·e/(s + e) fitted to each run’s curve: epochs to half of A", Unit{1, 3},
                 duration, Better::less, fitted(&Plateau::slowness)});
  all.push_back(
      {"asymptote", "asymptote", "A of that fit", score.unit, score.bounds, Better::more, fitted(&Plateau::asymptote)});
  if (target)
    all.push_back({"epochs_to_target", "epochs to " + score.unit.level(*target),
                   "the first epoch that reaches it, over the runs that do", Unit{1, 1}, duration, Better::less,
                   until_target});
  all.push_back({"seconds_per_epoch", "s/epoch", "seconds of training for an epoch, without evaluation", Unit{1, 2},
                 duration, Better::less, seconds_per_epoch});
  return all;
}

std::vector<Measure> task_measures() {
  const auto of = [](double Transfer::*field, bool of_joint = false) {
    return [=](const Run& run) -> std::optional<double> {
      const record::Json& start = run.epochs.front();
      if (!of_joint && start.value("method", "") == "joint") return std::nullopt;
      return transfer(accuracies(run), start.at("test_tasks").get<std::vector<double>>()).*field;
    };
  };
  using Better = Measure::Better;
  const Bounds level{0, 1}, change{-1, 1};
  return {
      {"average_accuracy", "average accuracy", "on all tasks after the last one: (1/T) Σ R[T,j]", percent, level,
       Better::more, of(&Transfer::average_accuracy, true), true},
      {"learning_accuracy", "learning accuracy", "on each task right after it: (1/T) Σ R[j,j]", percent, level,
       Better::more, of(&Transfer::learning_accuracy), true},
      {"forgetting", "forgetting", "from the best a task ever was to the end: (1/(T−1)) Σ (max R[i,j] − R[T,j])",
       percent, change, Better::less, of(&Transfer::forgetting), true},
      {"backward_transfer", "backward transfer", "what later tasks did to earlier ones: (1/(T−1)) Σ (R[T,j] − R[j,j])",
       percent, change, Better::more, of(&Transfer::backward_transfer)},
      {"forward_transfer", "forward transfer",
       "what earlier tasks did for later ones: (1/(T−1)) Σ (R[j−1,j] − untrained[j])", percent, change, Better::more,
       of(&Transfer::forward_transfer)}};
}

}  // namespace grapes::report
