#include "grapes/report/arms.h"

#include <algorithm>

namespace grapes::report {

const std::array<KnownArm, 6> known_arms = {
    {{"bp", "plain backpropagation: no modulation."},
     {"grapes", "the error of every unit is multiplied by its modulation factor, and the modulated error travels on."},
     {"grapes-local", "the same factors, but only on the layer’s own update; the error travels on unmodulated."},
     {"uniform",
      "every unit gets its layer’s mean factor: the same change of the learning rates, no difference between units."},
     {"shuffled",
      "the layer’s factors at random units, drawn anew each batch: the same distribution, not tied to the weights."},
     {"constant",
      "one fixed factor for every unit. <code>constant:2</code> doubles the error at every hidden layer, as the "
      "authors’ published notebook does."}}};

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

}  // namespace grapes::report
