#include "grapes/cost/table.h"

#include "grapes/plot/pictures.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace grapes::cost {
namespace {

constexpr double micro = 1e-6;  // converts picojoules to microjoules

std::string signed_text(double count) { return (count < 0 ? "−" : "") + count_text(std::abs(count)); }

}  // namespace

std::string count_text(double count) {
  static const char* const units[] = {"", " k", " M", " G", " T", " P"};
  std::size_t unit = 0;
  while (count >= 999.5 && unit + 1 < std::size(units)) count /= 1000, ++unit;
  const int decimals = unit == 0 && count == std::floor(count) ? 0 : count < 9.995 ? 2 : count < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", count, decimals, units[unit]);
}

std::string energy_text(double picojoules) {
  const double energy = picojoules * micro;
  const int before = energy > 0 ? static_cast<int>(std::floor(std::log10(energy))) + 1 : 1;
  return fmt::format("{:.{}f}", energy, std::max(0, 4 - before));
}

Table layer_table(const Arm& arm, const Prices& prices) {
  Table rows = {{"layer", "phase", "MACs", "other", "read", "written", "state", "sent", "energy µJ"}};
  std::vector<LayerCost> layers = arm.layers;
  layers.push_back(total(arm.layers));
  for (const LayerCost& layer : layers) {
    std::string name = layer.name;  // only in the first row
    const auto add = [&](const std::string& phase, const Work& work, const std::string& state,
                         const std::string& sent) {
      rows.push_back({std::exchange(name, ""), phase, count_text(work.macs), count_text(work.others()),
                      count_text(work.read()), count_text(work.written()), state, sent,
                      energy_text(prices.of(work).total())});
    };
    for (std::size_t phase = 0; phase < phases; ++phase)
      if (!layer.work[phase].accesses.empty()) add(name_of(static_cast<Phase>(phase)), layer.work[phase], "", "");
    add("all", layer.all(), count_text(layer.state()), count_text(layer.sent()));
  }
  return rows;
}

Table arm_table(const nlohmann::json& arms) {
  Table rows = {{"arm", "optimizer", "MACs", "other", "words", "state", "sent", "beyond bp", "energy µJ", "to bp"}};
  for (const nlohmann::json& arm : arms)
    rows.push_back({arm["arm"].get<std::string>(), arm["optimizer"].get<std::string>(), count_text(arm["macs"]),
                    count_text(arm["other_operations"]), count_text(arm["words"]), count_text(arm["state"]),
                    count_text(arm["sent"]), signed_text(arm["sent_beyond_bp"]), energy_text(arm["energy_pj"]),
                    fmt::format("{:.4f}", arm["to_bp"]["energy"].get<double>())});
  return rows;
}

std::string picture(const std::string& title, const nlohmann::json& arms) {
  std::vector<std::string> parts;
  for (std::size_t phase = 0; phase < phases; ++phase) parts.push_back(name_of(static_cast<Phase>(phase)));
  std::vector<plot::CostBar> bars;
  for (const nlohmann::json& arm : arms) {
    plot::CostBar& bar = bars.emplace_back();
    bar.label = arm["arm"].get<std::string>() + ", " + arm["optimizer"].get<std::string>();
    for (const std::string& part : parts) bar.parts.push_back(arm["energy_by_phase_pj"][part].get<double>() * micro);
  }
  return plot::cost_picture(title, "µJ", parts, bars);
}

}  // namespace grapes::cost
