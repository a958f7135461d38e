#include "grapes/report/measures.h"

#include <cmath>
#include <limits>
#include <map>

namespace grapes::report {
using record::Json;
using record::Run;

const std::vector<KnownArm> known_arms = {
    {"bp", "plain backpropagation: no modulation."},
    {"grapes",
     "the error of every unit is multiplied by its factor, and the layers below receive the multiplied error."},
    {"grapes-local",
     "the same factors, but they multiply only the layer’s own update; the layers below receive the unchanged error."},
    {"uniform",
     "every unit gets its layer’s mean factor: the same change of the learning rates, no difference between units."},
    {"shuffled",
     "the layer’s factors in random order, drawn again for each batch: the same factors, but not those of the units’ "
     "weights."},
    {"shuffled-fixed",
     "the layer’s factors in a random order that stays the same for the whole run: the same factors for the same "
     "units, "
     "but not those of the units’ weights."},
    {"inverse", "the unit with the largest factor gets the smallest one, and so on: max m + min m − m."},
    {"mean-one", "the factors, divided by the layer’s mean factor: a difference between units, no larger steps."},
    {"power", "the responsibility to the power that is given, divided by its mean in the layer, not clipped."},
    {"norm-matched",
     "one number per layer, with which the update is as large as with `grapes`: no difference between units."},
    {"balanced",
     "the updates of a unit’s incoming weights are multiplied by f and those of its outgoing weights by 1/f, so that "
     "it "
     "does not matter how its scale is divided between them."},
    {"balanced-once", "the same, with f the sum of the incoming over that of the outgoing absolute weights."},
    {"balanced-shuffled", "the f of `balanced` in a random order that stays the same for the whole run."},
    {"constant",
     "one fixed factor for every unit. `constant:2` doubles the error at every hidden layer, as the "
     "authors’ published notebook does."}};

std::size_t place_of(const std::string& arm) {
  const std::string name = arm.substr(0, arm.find(':'));  // without the numbers of constant:1.8
  return static_cast<std::size_t>(
      std::find_if(known_arms.begin(), known_arms.end(), [&](const KnownArm& known) { return name == known.name; }) -
      known_arms.begin());
}

std::string rule_below(const std::string& arm) {
  const std::string grapes = "+grapes";
  return arm.ends_with(grapes) ? arm.substr(0, arm.size() - grapes.size()) : "";
}

std::vector<Comparison> comparisons_of(const std::vector<std::string>& arms, const std::string& baseline) {
  std::vector<Comparison> all;
  for (const std::string& arm : arms) all.push_back({arm, baseline});
  all.push_back({"grapes", "uniform", "effect of different factors within a layer"});
  all.push_back({"grapes", "shuffled", "effect of which unit has which factor"});
  all.push_back({"grapes", "shuffled-fixed", "effect of which unit has which factor, for factors that last"});
  all.push_back({"grapes", "norm-matched", "effect of different factors, for updates of the same size"});
  all.push_back({"balanced", "balanced-shuffled", "effect of which unit has which factor"});
  all.push_back({"grapes", "inverse", "effect of larger factors for more responsible units"});
  for (const std::string& arm : arms) all.push_back({arm, rule_below(arm), "effect of GRAPES on top"});
  const auto there = [&](const std::string& arm) { return std::ranges::find(arms, arm) != arms.end(); };
  std::erase_if(all, [&](const Comparison& one) {
    return !there(one.arm) || !there(one.against) || (one.control() ? one.against : one.arm) == baseline;
  });
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

std::size_t tasks_of(const Run& run) { return learns_tasks(run) ? run.epochs.size() - 1 : 0; }

Points row_points(const Run& run, const std::string& key, const std::string& layer) {
  Points points;
  for (const Json& row : run.epochs)
    if (const auto value = number(layer.empty() ? row : layer_of(row, layer), key); value && row["epoch"] >= 1)
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

/// The mean of the values, if there are any.
std::optional<double> mean_of(const Points& points) {
  std::vector<double> values;
  for (const auto& [x, y] : points) values.push_back(y);
  return values.empty() ? std::nullopt : std::optional(mean(values));
}

/// R[i][j], accuracy on task j after training on task i.
std::vector<std::vector<double>> accuracies(const Run& run) {
  std::vector<std::vector<double>> R;
  for (std::size_t i = 1; i < run.epochs.size(); ++i)
    R.push_back(run.epochs[i].at("test_tasks").get<std::vector<double>>());
  return R;
}

}  // namespace

Measure score_of(const std::string& key) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  static const std::vector<Measure> scores = {
      {"accuracy", "accuracy", "", percent, Bounds{0, 1}},
      {"r2", "R²", "", Unit{}, Bounds{-infinity, 1}},
      {"log_likelihood", "log-likelihood",
       "summed over the bits of a time step and averaged over all time steps of a part", Unit{}, Bounds{-infinity, 0}}};
  const auto found = std::ranges::find(scores, key, &Measure::key);
  return found != scores.end() ? *found : Measure{key, key, "", {}, {}};
}

std::vector<Measure> training_measures(const Measure& score, const std::string& part, std::optional<double> target) {
  using Better = Measure::Better;
  const std::string key = part + "_" + score.key;
  const Bounds duration{0};
  const auto fitted = [&](double Plateau::*field) {
    return [=](const Run& run) {
      const auto fit = plateau(row_points(run, key));
      return fit ? std::optional((*fit).*field) : std::nullopt;
    };
  };
  std::vector<Measure> all = {
      {key, part + " " + score.name,
       "at the last epoch; with early stopping, at the epoch that was best on validation data", score.unit,
       score.bounds, Better::more, [=](const Run& run) { return number(record::result_row(run), key); }, true},
      {"slowness", "slowness",
       "the constant s of the curve A·e/(s + e), fitted to the scores of a run: the epochs until half of A", Unit{1, 3},
       duration, Better::less, fitted(&Plateau::slowness)},
      {"asymptote", "asymptote", "the constant A of this curve: the score that it approaches", score.unit, score.bounds,
       Better::more, fitted(&Plateau::asymptote)}};
  if (target)
    all.push_back({"epochs_to_target", "epochs to " + score.unit.level(*target),
                   "the first epoch that reaches this score, over the runs that reach it", Unit{1, 1}, duration,
                   Better::less, [=](const Run& run) { return epochs_to(row_points(run, key), *target); }});
  all.push_back({"seconds_per_epoch", "s/epoch", "seconds of training for an epoch, without evaluation", Unit{1, 2},
                 duration, Better::less, [](const Run& run) { return mean_of(row_points(run, "seconds")); }});
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
  return {{"average_accuracy", "average accuracy", "on all tasks after the last one: (1/T) Σ R[T,j]", percent, level,
           Better::more, of(&Transfer::average_accuracy, true), true},
          {"learning_accuracy", "learning accuracy", "on each task right after it: (1/T) Σ R[j,j]", percent, level,
           Better::more, of(&Transfer::learning_accuracy), true},
          {"forgetting", "forgetting", "from a task’s best accuracy to its last: (1/(T−1)) Σ (max R[i,j] − R[T,j])",
           percent, change, Better::less, of(&Transfer::forgetting), true},
          {"backward_transfer", "backward transfer",
           "from a task’s accuracy right after it to its last: (1/(T−1)) Σ (R[T,j] − R[j,j])", percent, change,
           Better::more, of(&Transfer::backward_transfer)},
          {"forward_transfer", "forward transfer",
           "from a task’s accuracy before training to that right before the task: (1/(T−1)) Σ (R[j−1,j] − "
           "untrained[j])",
           percent, change, Better::more, of(&Transfer::forward_transfer)}};
}

namespace {

std::vector<Measure> factor_measures(const std::string& layer) {
  const auto row = [&](const char* key, const char* name, Bounds bounds) {
    const auto of = [=](const Run& run) { return number(layer_of(run.epochs.back(), layer), key); };
    return Measure{key, name, "", Unit{1, 3}, bounds, Measure::Better::neither, of};
  };
  return {row("factor.mean", "mean", {0}), row("factor.sd", "standard deviation", {0}),
          row("factor.min", "smallest", {0})};
}

/// What the last task did to the weights, see record.h.
Json weight_rows(const Json& row) { return row.value("forgetting", Json::object()).value("weights", Json::array()); }

std::vector<std::string> weights_of(const Runs& runs) {
  std::vector<std::string> names;
  for (const Json& weight : weight_rows(runs.front()->epochs.back())) names.push_back(weight.at("name"));
  return names;
}

std::vector<Measure> weight_measures(const std::string& weight) {
  const auto row = [&](const char* key, const char* name, const char* meaning, const char* share_of = nullptr) {
    const auto of = [=](const Run& run) {
      Points tasks;
      for (const Json& epoch : run.epochs)
        for (const Json& one : weight_rows(epoch))
          if (const auto value = number(one, key); value && one["name"] == weight)
            tasks.emplace_back(epoch["epoch"], *value / (share_of != nullptr ? one[share_of].get<double>() : 1));
      return mean_of(tasks);
    };
    return Measure{key, name, meaning, Unit{1, 3}, {}, Measure::Better::neither, of};
  };
  return {row("weight_change", "weight change", "norm of the change during a task, relative to the weight’s norm",
              "weight_norm"),
          row("overlap", "overlap", "cosine between the changes in successive tasks"),
          row("overlap_size", "overlap of sizes",
              "the same for the absolute values of the changes; 1 if the same weights change in both tasks"),
          row("loss_increase", "loss increase", "how much the change raised the loss on earlier tasks"),
          row("factor_change", "factor and change",
              "rank correlation over units between the factor (unclipped, from the weights before the task, in every "
              "arm) and the norm of the change of the unit’s weights"),
          row("factor_loss_increase", "factor and loss increase", "the same for the unit’s part of the loss increase")};
}

}  // namespace

const PartKind layer_factors = {"layer", layers_of, factor_measures};
const PartKind weight_changes = {"weight", weights_of, weight_measures};

}  // namespace grapes::report
