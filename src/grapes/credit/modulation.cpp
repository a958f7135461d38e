#include "grapes/credit/modulation.h"

#include "grapes/core/responsibility.h"
#include "grapes/kernels/checked_row.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace grapes::credit {
namespace {

at::Tensor as_is(const at::Tensor& m, double, Random&) { return m; }
at::Tensor mean_everywhere(const at::Tensor& m, double, Random&) { return at::full_like(m, m.mean().item<double>()); }
at::Tensor permuted(const at::Tensor& m, double, Random& random) {
  return m.index_select(0, at::tensor(permutation(m.size(0), random), at::kLong).to(m.device()));
}
at::Tensor filled(const at::Tensor& m, double constant, Random&) { return at::full_like(m, constant); }

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
    try {
      return factor_of(known ? sums[matrix] : responsibility(weights_.layers[matrix], {}, dim, mask), rule_, layer,
                       random_);
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
  static const std::vector<Modulation> rows = {
      {"none", "the error is not scaled", false, nullptr},
      {"grapes", "multiplies the error by the unit's factor; earlier layers receive the scaled error", false, as_is},
      {"grapes-local",
       "multiplies only the layer's own update by the unit's factor; earlier layers receive the unscaled error", true,
       as_is},
      {"uniform", "control: every unit of a layer gets the layer's mean factor", false, mean_everywhere},
      {"shuffled", "control: the layer's factors, permuted among its units for every batch", false, permuted},
      {"constant",
       "control: constant:C gives all units the factor C; constant:C1,C2,... gives one factor per hidden layer", false,
       filled},
  };
  return rows;
}

const Modulation& modulation_of(const Rule& rule) { return checked_row(modulations(), "modulation", rule.modulation); }

at::Tensor factor_of(const at::Tensor& r, const Rule& rule, std::size_t layer, Random& random) {
  const Modulation& modulation = modulation_of(rule);
  if (modulation.transform == nullptr) return {};
  const double constant = rule.constants.empty() ? 1 : rule.constants[std::min(layer, rule.constants.size() - 1)];
  const at::Tensor m = factor_from(r, rule.gain, rule.clip.low, rule.clip.high);
  return stepped(modulation.transform(m, constant, random), rule.factor_bits);
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
