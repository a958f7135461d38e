#include "grapes/report/runs.h"

#include "grapes/report/statistics.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace grapes::report {
using record::Json;
using record::Run;

Runs share(std::vector<Run> runs) {
  Runs shared;
  for (Run& run : runs) shared.push_back(std::make_shared<const Run>(std::move(run)));
  return shared;
}

std::optional<double> number(const Json& row, const std::string& key) {
  if (!row.is_object()) return std::nullopt;
  const std::size_t dot = key.find('.');
  const auto found = row.find(key.substr(0, dot));
  if (dot != std::string::npos) return found == row.end() ? std::nullopt : number(*found, key.substr(dot + 1));
  if (found == row.end() || !found->is_number() || !std::isfinite(found->get<double>())) return std::nullopt;
  return found->get<double>();
}

std::vector<std::string> layers_of(const Runs& runs) {
  std::vector<std::string> names;
  for (const RunPtr& run : runs)
    for (const Json& layer : run->epochs.back().value("layers", Json::array())) {
      const auto name = layer.value("name", std::string("?"));
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  return names;
}

const Json& layer_of(const Json& row, const std::string& name) {
  static const Json none;
  const auto layers = row.find("layers");
  if (layers == row.end()) return none;
  const auto found = std::find_if(layers->begin(), layers->end(),
                                  [&](const Json& layer) { return layer.value("name", std::string("?")) == name; });
  return found == layers->end() ? none : *found;
}

bool learns_tasks(const Run& run) { return !run.epochs.empty() && run.epochs.front().contains("scenario"); }

std::vector<std::vector<double>> accuracies(const Run& run) {
  std::vector<std::vector<double>> R;
  for (std::size_t i = 1; i < run.epochs.size(); ++i)
    R.push_back(run.epochs[i].at("test_tasks").get<std::vector<double>>());
  return R;
}

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

}  // namespace grapes::report
