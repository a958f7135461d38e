#include "grapes/report/measures.h"

#include <cmath>
#include <limits>
#include <map>

namespace grapes::report {
using record::Json;
using record::Run;

const std::vector<KnownArm> known_arms = {
    {"bp", "plain backpropagation: no modulation."},
    {"grapes", "the error of every unit is multiplied by its modulation factor, and the modulated error travels on."},
    {"grapes-local", "the same factors, but only on the layer’s own update; the error travels on unmodulated."},
    {"uniform",
     "every unit gets its layer’s mean factor: the same change of the learning rates, no difference between units."},
    {"shuffled",
     "the layer’s factors at random units, drawn anew each batch: the same distribution, not tied to the weights."},
    {"constant",
     "one fixed factor for every unit. `constant:2` doubles the error at every hidden layer, as the "
     "authors’ published notebook does."}};

std::size_t place_of(const std::string& arm) {
  const std::string constant = "constant";
  const bool with_factor = arm.starts_with(constant + ":");
  return static_cast<std::size_t>(
      std::find_if(known_arms.begin(), known_arms.end(),
                   [&](const KnownArm& known) { return (with_factor ? constant : arm) == known.name; }) -
      known_arms.begin());
}

std::vector<Control> controls_of(const std::vector<std::string>& arms) {
  std::vector<Control> all = {
      {"grapes", "uniform", "effect of different factors within a layer"},
      {"grapes", "shuffled", "effect of the tie between factors and weights"},
  };
  const std::string grapes = "+grapes";
  for (const std::string& arm : arms)
    if (arm.ends_with(grapes))
      all.push_back({arm, arm.substr(0, arm.size() - grapes.size()), "effect of GRAPES on top"});
  const auto there = [&](const std::string& arm) { return std::find(arms.begin(), arms.end(), arm) != arms.end(); };
  std::erase_if(all, [&](const Control& control) { return !there(control.arm) || !there(control.against); });
  return all;
}

Runs share(std::vector<Run> runs) {
  Runs shared;
  for (Run& run : runs) shared.push_back(std::make_shared<const Run>(std::move(run)));
  return shared;
}

std::optional<double> number(const Json& row, std::string key) {
  std::ranges::replace(key, '.', '/');
  const Json::json_pointer at("/" + key);
  if (!row.contains(at) || !row[at].is_number() || !std::isfinite(row[at].get<double>())) return std::nullopt;
  return row[at].get<double>();
}

std::vector<std::string> layers_of(const Runs& runs) {
  std::vector<std::string> names;
  for (const RunPtr& run : runs)
    for (const Json& layer : run->epochs.back().value("layers", Json::array()))
      if (const std::string name = layer.at("name"); std::ranges::find(names, name) == names.end())
        names.push_back(name);
  return names;
}

const Json& layer_of(const Json& row, const std::string& name) {
  static const Json none;
  if (row.contains("layers"))
    for (const Json& layer : row["layers"])
      if (layer.at("name") == name) return layer;
  return none;
}

bool learns_tasks(const Run& run) { return !run.epochs.empty() && run.epochs.front().contains("scenario"); }

Points row_points(const Run& run, const std::string& key, const std::string& layer, double first) {
  Points points;
  for (const Json& row : run.epochs)
    if (const auto value = number(layer.empty() ? row : layer_of(row, layer), key); value && row["epoch"] >= first)
      points.emplace_back(row["epoch"].get<double>(), *value);
  return points;
}

Points task_points(const Run& run, std::size_t task) {
  Points points;
  for (const Json& row : run.epochs) {
    const auto learned = row["epoch"].get<double>();
    if (learned <= static_cast<double>(task)) continue;
    points.emplace_back(learned, row["test_tasks"][task]);
    for (const Json& point : row.value("curve", Json::array()))
      if (task < point["test"].size())
        points.emplace_back(learned - 1 + point["part"].get<double>(), point["test"][task]);
  }
  return points;
}

Curve curve(const Runs& runs, double factor, const std::function<Points(const Run&)>& points) {
  std::map<double, std::vector<double>> values;
  for (const RunPtr& run : runs)
    for (const auto& [x, y] : points(*run)) values[x].push_back(factor * y);
  Curve result;
  for (const auto& [x, y] : values) {
    const double center = mean(y), sd = standard_deviation(y);
    result.add(x, center, center - sd, center + sd);
  }
  return result;
}

namespace {

const Unit percent{100, 2, " %", " points"};

/// R[i][j], accuracy on task j after training on task i.
std::vector<std::vector<double>> accuracies(const Run& run) {
  std::vector<std::vector<double>> R;
  for (std::size_t i = 1; i < run.epochs.size(); ++i)
    R.push_back(run.epochs[i].at("test_tasks").get<std::vector<double>>());
  return R;
}

struct Trajectory {
  std::vector<double> epoch, value;
};
Trajectory trajectory(const Run& run, const std::string& key) {
  Trajectory found;
  for (const auto& [epoch, value] : row_points(run, key)) {
    found.epoch.push_back(epoch);
    found.value.push_back(value);
  }
  return found;
}

}  // namespace

Score score_of(const std::string& key) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  static const std::vector<Score> scores = {{"accuracy", "accuracy", "", percent, {0, 1}},
                                            {"r2", "R²", "", {}, {-infinity, 1}},
                                            {"log_likelihood",
                                             "log-likelihood",
                                             "that of a step, summed over its bits, mean over all steps of a part",
                                             {},
                                             {-infinity, 0}}};
  const auto found = std::ranges::find(scores, key, &Score::key);
  return found != scores.end() ? *found : Score{key, key, "", {}, {}};
}

std::vector<Measure> training_measures(const Score& score, const std::string& part, std::optional<double> target) {
  using Better = Measure::Better;
  const std::string key = part + "_" + score.key;
  const Bounds duration{0};
  const auto fitted = [&](double Plateau::*field) {
    return [=](const Run& run) {
      const auto [epoch, value] = trajectory(run, key);
      const auto fit = plateau(epoch, value);
      return fit ? std::optional((*fit).*field) : std::nullopt;
    };
  };
  std::vector<Measure> all = {
      {key, part + " " + score.name, "at the last epoch, or where training was stopped early at the best on validation",
       score.unit, score.bounds, Better::more, [=](const Run& run) { return number(record::result_row(run), key); },
       true},
      {"slowness", "slowness", "s of A·e/(s + e) fitted to each run’s curve: epochs to half of A", Unit{1, 3}, duration,
       Better::less, fitted(&Plateau::slowness)},
      {"asymptote", "asymptote", "A of that fit", score.unit, score.bounds, Better::more, fitted(&Plateau::asymptote)}};
  if (target)
    all.push_back({"epochs_to_target", "epochs to " + score.unit.level(*target),
                   "the first epoch that reaches it, over the runs that do", Unit{1, 1}, duration, Better::less,
                   [=](const Run& run) {
                     const auto [epoch, value] = trajectory(run, key);
                     return epochs_to(epoch, value, *target);
                   }});
  all.push_back({"seconds_per_epoch", "s/epoch", "seconds of training for an epoch, without evaluation", Unit{1, 2},
                 duration, Better::less, [](const Run& run) {
                   const std::vector<double> seconds = trajectory(run, "seconds").value;
                   return seconds.empty() ? std::nullopt : std::optional(mean(seconds));
                 }});
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
