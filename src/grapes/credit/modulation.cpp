#include "grapes/credit/modulation.h"

#include "grapes/base/table.h"
#include "grapes/core/responsibility.h"

#include <ATen/ATen.h>

#include <cmath>

namespace grapes::credit {
namespace {

at::Tensor as_is(const at::Tensor& m, double, Random&) { return m; }
at::Tensor mean_everywhere(const at::Tensor& m, double, Random&) { return at::full_like(m, m.mean().item<double>()); }
at::Tensor permuted(const at::Tensor& m, double, Random& random) {
  return m.index_select(0, at::tensor(permutation(m.size(0), random), at::kLong).to(m.device()));
}
at::Tensor filled(const at::Tensor& m, double constant, Random&) { return at::full_like(m, constant); }

/// Never to 0, which would end all learning of a node: a factor has one step at least, of a factor of 0 bits 1.
at::Tensor stepped(const at::Tensor& m, int bits) {
  if (bits < 0) return m;
  const double steps = std::ldexp(1.0, bits);
  return (((m - 1) * steps + 0.5).floor() / steps + 1).clamp_min(1 / steps);
}

/// The factors of one network, one vector at a time, each through the modulation's shape.
class Maker {
 public:
  Maker(const Weights& weights, const ModulationOptions& options, Random& random)
      : weights_(weights),
        options_(options),
        row_(find_row(modulations(), "modulation", options.name)),
        random_(random),
        low_(options.clip == ModulationOptions::Clip::range ? options.low : 0),
        high_(options.clip == ModulationOptions::Clip::range ? options.high : options.gain) {}

  std::vector<Factors> make() {
    const std::size_t hidden = weights_.layers.size() - 1;
    std::vector<Factors> all(hidden);
    if (row_.shape == nullptr) return all;
    if (options_.responsibility == Responsibility::synaptic) {
      for (std::size_t l = 1; l < hidden; ++l) {  // l counts matrices from 0; W^1 and W^L stay out
        all[l].columns = shaped(l, 1, l);
        if (above(l) < hidden) all[l].error = shaped(above(l), 1, l);
      }
    } else {
      const bool outgoing = options_.responsibility == Responsibility::outgoing;
      for (std::size_t l = 0; l < hidden; ++l) all[l].error = outgoing ? shaped(above(l), 1, l) : shaped(l, 0, l);
    }
    if (row_.local)
      for (Factors& factors : all) std::swap(factors.error, factors.rows);
    return all;
  }

 private:
  std::size_t above(std::size_t l) const { return weights_.above.empty() ? l + 1 : weights_.above[l]; }

  /// The factor over axis `dim` of matrix `matrix`, for the nodes that hidden layer `layer` is concerned with.
  at::Tensor shaped(std::size_t matrix, std::int64_t dim, std::size_t layer) {
    const OptionalTensor mask = options_.first_sample_mask && matrix < weights_.masks.size()
                                    ? OptionalTensor(weights_.masks[matrix])
                                    : OptionalTensor();
    at::Tensor m;
    try {
      const std::vector<at::Tensor>& sums = dim == 0 ? weights_.incoming : weights_.outgoing;
      const bool known = !mask && matrix < sums.size() && sums[matrix].defined();
      m = factor_from(known ? sums[matrix] : responsibility(weights_.layers[matrix], {}, dim, mask), options_.gain,
                      low_, high_);
    } catch (const c10::ValueError& error) {
      TORCH_CHECK_VALUE(false, "layer ", matrix + 1, ": ", error.what_without_backtrace());
    }
    double constant = 0;
    if (!options_.constants.empty()) constant = options_.constants[std::min(layer, options_.constants.size() - 1)];
    return stepped(row_.shape(m, constant, random_), options_.bits);
  }

  const Weights& weights_;
  const ModulationOptions& options_;
  const Modulation& row_;
  Random& random_;
  double low_, high_;
};

}  // namespace

const std::vector<Modulation>& modulations() {
  static const std::vector<Modulation> rows = {
      {"none", "the error as the route brings it", false, nullptr},
      {"grapes", "times the node's factor, and travels on so (propagating)", false, as_is},
      {"grapes-local", "the layer's own update times the node's factor; the error travels on as it was", true, as_is},
      {"uniform", "control: every node gets its layer's mean factor, propagating", false, mean_everywhere},
      {"shuffled", "control: the layer's factors, permuted among its nodes each batch, propagating", false, permuted},
      {"constant", "control: constant:C, or constant:C1,C2,... one per hidden layer, propagating", false, filled},
  };
  return rows;
}

std::vector<Factors> factors(const Weights& weights, const ModulationOptions& options, Random& random) {
  const at::NoGradGuard no_grad;
  return Maker(weights, options, random).make();
}

void share_last_factor(std::vector<Factors>& factors, std::int64_t batch) {
  if (factors.empty() || !factors.back().error.defined()) return;
  const at::Tensor last = factors.back().error;
  for (std::size_t l = 0; l < factors.size(); ++l) {
    TORCH_CHECK(batch == 1 || factors[l].error.sizes() == last.sizes(),
                "single factor: all hidden layers must have equally many nodes; layer ", l + 1, " has ",
                factors[l].error.size(0), ", the last ", last.size(0));
    const at::Tensor own = factors[l].error.unsqueeze(0);
    factors[l].error = batch == 1 ? own : at::cat({own, last.expand({batch - 1, -1})});
  }
}

}  // namespace grapes::credit
