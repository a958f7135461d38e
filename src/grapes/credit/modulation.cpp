#include "grapes/credit/modulation.h"

#include "grapes/base/text.h"
#include "grapes/core/responsibility.h"
#include "grapes/credit/balanced.h"
#include "grapes/kernels/checked_row.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace grapes::credit {
namespace {

at::Tensor as_is(const FactorSource& from) { return from.m; }
at::Tensor mean_everywhere(const FactorSource& from) { return at::full_like(from.m, from.m.mean().item<double>()); }
at::Tensor permuted(const FactorSource& from) {
  return from.m.index_select(0, at::tensor(permutation(from.m.size(0), from.random), at::kLong).to(from.m.device()));
}
at::Tensor reflected(const FactorSource& from) { return from.m.max() + from.m.min() - from.m; }
at::Tensor of_mean_one(const FactorSource& from) { return from.m / from.m.mean(); }
at::Tensor filled(const FactorSource& from) { return at::full_like(from.m, from.constant); }

/// r^p, with a mean of 1. A unit without weights counts as a thousandth of the largest one if p is negative, since its
/// factor would be infinite.
at::Tensor to_a_power(const FactorSource& from) {
  at::Tensor r = factor_from(from.r, 1, 0, 1);  // of the largest; checks that all are finite
  if (from.constant < 0) r = r.clamp_min(1e-3);
  const at::Tensor power = r.pow(from.constant);
  return power / power.mean();
}

/// Rounds m to `bits`. The result is never 0, which would stop a unit's learning. The smallest factor is one step, or 1
/// for 0 bits.
at::Tensor stepped(const at::Tensor& m, int bits) {
  if (bits < 0) return m;
  const double steps = std::ldexp(1.0, bits);
  return (((m - 1) * steps + 0.5).floor() / steps + 1).clamp_min(1 / steps);
}

/// Computes the factors of one network, one vector at a time.
class Maker {
 public:
  Maker(const Weights& weights, const Rule& rule, Random& random) : weights_(weights), rule_(rule), random_(random) {}

  std::vector<Factors> make() {
    const std::size_t hidden = weights_.layers.size() - 1;
    const Modulation& modulation = modulation_of(rule_);
    std::vector<Factors> all(hidden);
    if (modulation.whole != nullptr) return modulation.whole(weights_, random_);
    if (modulation.transform == nullptr) return all;
    if (rule_.responsibility == Responsibility::synaptic) {
      for (std::size_t l = 1; l < hidden; ++l) {  // l counts matrices from 0; W^1 and W^L are not modulated
        all[l].columns = of(l, 1, l);
        if (above(l) < hidden) all[l].error = of(above(l), 1, l);
      }
    } else {
      const bool outgoing = rule_.responsibility == Responsibility::outgoing;
      for (std::size_t l = 0; l < hidden; ++l) all[l].error = outgoing ? of(above(l), 1, l) : of(l, 0, l);
    }
    if (modulation.local)
      for (Factors& factors : all) std::swap(factors.error, factors.rows);
    return all;
  }

 private:
  std::size_t above(std::size_t l) const { return weights_.above.empty() ? l + 1 : weights_.above[l]; }

  /// The factor along axis `dim` of matrix `matrix`. `layer` is the hidden layer that its units belong to.
  at::Tensor of(std::size_t matrix, std::int64_t dim, std::size_t layer) {
    const OptionalTensor mask =
        matrix < weights_.masks.size() ? OptionalTensor(weights_.masks[matrix]) : OptionalTensor();
    const std::vector<at::Tensor>& sums = dim == 0 ? weights_.incoming : weights_.outgoing;
    const bool known = !mask && matrix < sums.size() && sums[matrix].defined();
    const bool mean = rule_.reduction == Reduction::mean;
    try {
      return factor_of(known ? sums[matrix] : responsibility(weights_.layers[matrix], {}, dim, mask, mean), rule_,
                       layer, random_);
    } catch (const c10::ValueError& error) {
      TORCH_CHECK_VALUE(false, "layer ", matrix + 1, ": ", error.what_without_backtrace());
    }
  }

  const Weights& weights_;
  const Rule& rule_;
  Random& random_;
};

}  // namespace

const std::vector<Modulation>& modulations() {
  using Draws = Modulation::Draws;
  using Numbers = Modulation::Numbers;
  static const std::vector<Modulation> rows = {
      {.name = "none", .summary = "the error is not scaled", .from_weights = false},
      {.name = "grapes",
       .summary = "multiplies the error by the unit's factor; earlier layers receive the scaled error",
       .transform = as_is},
      {.name = "grapes-local",
       .summary =
           "multiplies only the layer's own update by the unit's factor; earlier layers receive the unscaled error",
       .local = true,
       .transform = as_is},
      {.name = "uniform",
       .summary = "control: every unit of a layer gets the layer's mean factor",
       .transform = mean_everywhere,
       .one_factor = true,
       .work = {.additions = 1, .divisions = 1}},
      {.name = "shuffled",
       .summary = "control: the layer's factors, permuted among its units for every batch",
       .transform = permuted,
       .draws = Draws::every_batch},
      {.name = "shuffled-fixed",
       .summary = "control: the layer's factors, permuted among its units in the same way for the whole run",
       .transform = permuted,
       .draws = Draws::once},
      {.name = "inverse",
       .summary = "control: max m + min m - m, so the most responsible unit gets the smallest factor",
       .transform = reflected,
       .work = {.additions = 1, .comparisons = 1}},
      {.name = "mean-one",
       .summary = "control: m / mean m, so factors differ within a layer, and their mean is 1",
       .transform = of_mean_one,
       .work = {.additions = 1, .multiplications = 1, .divisions = 1}},
      {.name = "power",
       .summary =
           "control: power:P gives each unit the factor r^P / mean r^P, without a clip; power:P1,P2,... gives one "
           "exponent per hidden layer",
       .transform = to_a_power,
       .numbers = Numbers::any,
       .symbol = "P",
       .clips = false,
       .work = {.additions = 1, .multiplications = 1, .powers = 1, .divisions = 1}},
      {.name = "constant",
       .summary =
           "control: constant:C gives all units the factor C; constant:C1,C2,... gives one factor per hidden layer",
       .transform = filled,
       .numbers = Numbers::positive,
       .symbol = "C",
       .from_weights = false,
       .one_factor = true},
      {.name = "norm-matched",
       .summary = "control: one number per layer, with which the norm of the layer's gradient equals that with the "
                  "modulation grapes in the same batch",
       .local = true,
       .matches = "grapes"},
      {.name = "balanced",
       .summary =
           "multiplies the updates of a unit's incoming weights by f and those of its outgoing weights by 1/f, so "
           "that steps do not depend on how a unit's scale is divided between them",
       .local = true,
       .clips = false,
       .whole = balanced},
      {.name = "balanced-once",
       .summary =
           "the first approximation of balanced: f is the sum of a unit's absolute incoming weights over that of "
           "its outgoing weights",
       .local = true,
       .clips = false,
       .whole = balanced_once},
      {.name = "balanced-shuffled",
       .summary = "control: the f of balanced, permuted among the units of a layer in the same way for the whole run",
       .local = true,
       .draws = Draws::once,
       .clips = false,
       .whole = balanced_shuffled},
  };
  return rows;
}

std::string fault_of(const Modulation& modulation, const std::vector<double>& numbers) {
  using Numbers = Modulation::Numbers;
  if (modulation.numbers == Numbers::none) return "";  // it ignores them
  if (numbers.empty()) return "the modulation " + modulation.name + " must have constants; got none";
  std::vector<std::string> words;
  for (const double number : numbers) words.push_back(shortest(number));
  const std::string got = "; got " + join(words, ", ");
  const auto all = [&](auto holds) { return std::all_of(numbers.begin(), numbers.end(), holds); };
  if (!all([](double x) { return std::isfinite(x); })) return "constants must be finite" + got;
  if (modulation.numbers == Numbers::positive && !all([](double x) { return x > 0; }))
    return "constants must be above 0" + got;
  return "";
}

void require_of_layer(const Rule& rule, const std::string& what) {
  TORCH_CHECK_VALUE(modulation_of(rule).is_of_layer(), what, ": the modulation ", rule.modulation,
                    " needs the whole network, and is only supported by nn::Network and the program");
}

std::uint64_t drawn_batch(const Rule& rule, std::int64_t batch) {
  return modulation_of(rule).draws == Modulation::Draws::once ? 0 : static_cast<std::uint64_t>(batch);
}

const Modulation& modulation_of(const Rule& rule) { return checked_row(modulations(), "modulation", rule.modulation); }

at::Tensor factor_of(const at::Tensor& r, const Rule& rule, std::size_t layer, Random& random) {
  const Modulation& modulation = modulation_of(rule);
  if (modulation.transform == nullptr) return {};
  const double constant = rule.constants.empty() ? 1 : rule.constants[std::min(layer, rule.constants.size() - 1)];
  const at::Tensor m = factor_from(r, rule.gain, rule.clip.low, rule.clip.high);
  return stepped(modulation.transform({m, r, constant, random}), rule.factor_bits);
}

std::vector<Factors> factors(const Weights& weights, const Rule& rule, Random& random) {
  const at::NoGradGuard no_grad;
  return Maker(weights, rule, random).make();
}

void share_last_factor(std::vector<Factors>& factors, std::int64_t batch) {
  if (factors.empty() || !factors.back().error.defined()) return;
  const at::Tensor last = factors.back().error;
  for (std::size_t l = 0; l < factors.size(); ++l) {
    TORCH_CHECK(batch == 1 || factors[l].error.sizes() == last.sizes(),
                "single factor: all hidden layers must have the same number of units; layer ", l + 1, " has ",
                factors[l].error.size(0), ", the last ", last.size(0));
    const at::Tensor own = factors[l].error.unsqueeze(0);
    factors[l].error = batch == 1 ? own : at::cat({own, last.expand({batch - 1, -1})});
  }
}

}  // namespace grapes::credit
