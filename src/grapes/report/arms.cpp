#include "grapes/report/arms.h"

#include "grapes/report/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace grapes::report {
using record::Json;
using record::Run;
namespace {

constexpr std::array<std::string_view, 3> parts = {"test", "validation", "train"};

bool counts(const Run& run) {
  if (run.status.state != record::State::finished || run.epochs.empty()) return false;
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
    return number(record::result_row(run), std::string(part) + "_" + run.identity.score).has_value();
  });
}

int place(const std::string& arm, const std::string& baseline) {
  static const std::vector<std::string> order = {"bp", "grapes", "grapes-local", "uniform", "shuffled", "constant"};
  if (arm == baseline) return -1;
  return static_cast<int>(std::find(order.begin(), order.end(), family(arm)) - order.begin());
}

std::optional<double> reach(const Json& row, const std::string& key) {
  const std::size_t dot = key.find('.');
  if (dot == std::string::npos) return number(row, key);
  const auto inner = row.find(key.substr(0, dot));
  return inner == row.end() || !inner->is_object() ? std::nullopt : number(*inner, key.substr(dot + 1));
}

}  // namespace

std::string family(const std::string& arm) {
  const std::string constant = "constant";
  const bool one = arm.starts_with(constant) && arm.size() > constant.size() &&
                   (arm[constant.size()] == ':' || arm[constant.size()] == '-');
  return one ? constant : arm;
}

std::optional<double> number(const Json& row, const std::string& key) {
  if (!row.is_object()) return std::nullopt;
  const auto found = row.find(key);
  if (found == row.end() || !found->is_number() || !std::isfinite(found->get<double>())) return std::nullopt;
  return found->get<double>();
}

std::vector<Arm> arms_of(const std::vector<Run>& runs, const std::string& baseline) {
  std::vector<Arm> arms;
  for (const Run& run : runs) {
    if (!counts(run)) continue;
    auto arm = std::find_if(arms.begin(), arms.end(), [&](const Arm& a) { return a.name == run.identity.arm; });
    if (arm == arms.end()) arm = arms.insert(arm, Arm{run.identity.arm, {}});
    arm->runs.push_back(&run);
  }
  std::stable_sort(arms.begin(), arms.end(),
                   [&](const Arm& a, const Arm& b) { return place(a.name, baseline) < place(b.name, baseline); });
  for (Arm& arm : arms)
    std::stable_sort(arm.runs.begin(), arm.runs.end(),
                     [](const Run* a, const Run* b) { return a->identity.seed < b->identity.seed; });
  return arms;
}

std::string part_of(const std::vector<Arm>& arms) {
  for (const std::string_view part : parts) {
    const std::string key = score_key(arms, std::string(part));
    if (std::all_of(arms.begin(), arms.end(), [&](const Arm& arm) {
          return std::all_of(arm.runs.begin(), arm.runs.end(),
                             [&](const Run* run) { return number(record::result_row(*run), key).has_value(); });
        }))
      return std::string(part);
  }
  throw DataError("the runs have no part in common (test, validation or train) on which all of them were scored");
}

std::string score_key(const std::vector<Arm>& arms, const std::string& part) {
  return part + "_" + arms.front().runs.front()->identity.score;
}

double final_number(const Run& run, const std::string& key) { return number(record::result_row(run), key).value(); }

Curve curve(const Arm& arm, const std::string& key, const std::string& layer) {
  std::map<double, std::vector<double>> values;
  for (const Run* run : arm.runs)
    for (const Json& row : run->epochs)
      if (const auto value = layer.empty() ? number(row, key) : reach(layer_of(row, layer), key))
        values[row["epoch"].get<double>()].push_back(*value);
  Curve result;
  for (const auto& [epoch, at] : values) {
    result.epoch.push_back(epoch);
    result.mean.push_back(mean(at));
    result.sd.push_back(standard_deviation(at));
  }
  return result;
}

Curve trained(const Arm& arm, const std::string& key, double factor, const std::string& layer) {
  const Curve all = curve(arm, key, layer);
  Curve result;
  for (std::size_t i = 0; i < all.epoch.size(); ++i)
    if (all.epoch[i] > 0) {
      result.epoch.push_back(all.epoch[i]);
      result.mean.push_back(factor * all.mean[i]);
      result.sd.push_back(factor * all.sd[i]);
    }
  return result;
}

std::vector<std::string> layers_of(const std::vector<Arm>& arms) {
  std::vector<std::string> names;
  for (const Arm& arm : arms)
    for (const Run* run : arm.runs)
      if (const auto layers = run->epochs.back().find("layers"); layers != run->epochs.back().end())
        for (const Json& layer : *layers) {
          const auto name = layer.value("name", std::string("?"));
          if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
        }
  return names;
}

const Json& layer_of(const Json& row, const std::string& name) {
  static const Json none;
  const auto layers = row.find("layers");
  if (layers == row.end()) return none;
  for (const Json& layer : *layers)
    if (layer.value("name", "") == name) return layer;
  return none;
}

}  // namespace grapes::report
