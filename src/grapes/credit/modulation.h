#pragma once

#include "grapes/base/random.h"
#include "grapes/credit/rule.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

/// What happens to the error at a unit. A modulation is a function of a layer's weights that gives factors; the
/// controls of the paper's claim are modulations too.
namespace grapes::credit {

/// The factors of one hidden layer; an undefined tensor stands for 1 everywhere.
struct Factors {
  at::Tensor error;    ///< [unit] or [batch, unit]: multiplies the error, which travels on multiplied (propagating)
  at::Tensor rows;     ///< [unit]: multiplies the layer's own weight gradient by row (local)
  at::Tensor columns;  ///< [input]: multiplies the layer's own weight gradient by column (presynaptic unit)
};

/// A way to scale the error: what it makes of GRAPES' own factor.
struct Modulation {
  std::string name;
  std::string summary;
  bool local = false;  ///< scales the layer's own update only, not the error that travels on
  /// The factor used in place of m [unit]; `constant` is the value for this layer; `random` for draws. Null: no factor.
  at::Tensor (*transform)(const at::Tensor& m, double constant, Random& random) = nullptr;
};
const std::vector<Modulation>& modulations();
/// @throws c10::ValueError for a name that is in no row
const Modulation& modulation_of(const Rule& rule);

/// The factors that responsibilities give by a rule: clip(gain r / max r), through the modulation, in `factor_bits`.
/// @param r      [unit]
/// @param rule   resolved()
/// @param layer  which one it is, for `constants`
/// @return [unit], no gradient; undefined for the modulation `none`
/// @throws c10::ValueError if r is not finite
at::Tensor factor_of(const at::Tensor& r, const Rule& rule, std::size_t layer, Random& random);

/// What factors may depend on: the weights, and the masks of Compatibility::first_sample_mask.
struct Weights {
  std::vector<at::Tensor> layers;    ///< W^1 ... W^L, [unit, input, ...]
  std::vector<at::Tensor> masks;     ///< per hidden layer the first sample's dropout mask [unit]; or empty
  std::vector<at::Tensor> incoming;  ///< per layer the responsibility of its rows [unit], if known already; or empty
  std::vector<at::Tensor> outgoing;  ///< per layer that of its columns [input]; likewise
  std::vector<std::size_t> above;  ///< per hidden layer the one that takes its value, where they are no chain; or empty
};

/// Factors of the L-1 hidden layers.
/// synaptic: for 2 <= l <= L-1 column i of the gradient of W^l is times c^l[i], and for l <= L-2 row j is times
/// c^{l+1}[j], with c^l the factor over the columns of W^l; W^1 and W^L are not modulated. Where the layers are no
/// chain, the one above stands for l+1.
/// @param rule  resolved()
/// @throws c10::ValueError naming the layer, if a weight is not finite
std::vector<Factors> factors(const Weights& weights, const Rule& rule, Random& random);

/// Compatibility::single_factor: every error factor becomes [batch, unit], its own for the first sample and the last
/// hidden layer's for all others. @throws c10::Error unless all hidden layers have equally many units, or there are no
/// others
void share_last_factor(std::vector<Factors>& factors, std::int64_t batch);

}  // namespace grapes::credit
