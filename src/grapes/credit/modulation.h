#pragma once

#include "grapes/base/random.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

/// What happens to the error at a node. A modulation is a function of a layer's weights that gives factors; the
/// controls of the paper's claim are modulations too.
namespace grapes::credit {

/// The factors of one hidden layer; an undefined tensor stands for 1 everywhere.
struct Factors {
  at::Tensor error;    ///< [node] or [batch, node]: multiplies the error, which travels on multiplied (propagating)
  at::Tensor rows;     ///< [node]: multiplies the layer's own weight gradient by row (local)
  at::Tensor columns;  ///< [input]: multiplies the layer's own weight gradient by column (presynaptic node)
};

/// Whose weights make a node responsible.
enum class Responsibility {
  by_route,  ///< what the authors' program does on this route
  incoming,  ///< the weights that arrive: rows of W^l
  outgoing,  ///< the weights that leave: columns of W^{l+1}
  synaptic   ///< the authors' form on DFA: outgoing ones of a node and of its presynaptic nodes, see factors()
};

struct ModulationOptions {
  std::string name = "none";      ///< a row of modulations()
  std::vector<double> constants;  ///< for `constant`: one for all hidden layers, or one each
  Responsibility responsibility = Responsibility::by_route;
  double gain = 2;
  enum class Clip { by_route, none, range } clip = Clip::by_route;
  double low = 1, high = 2;  ///< of the range
  std::int64_t every = 1;    ///< recompute every so many batches
  /// Bits of the factor's fraction, whatever the modulation: m to the nearest 1 + j / 2^k, a half upwards, as
  /// fixed/factor.h has it. 0: {1, 2}, a shift. Below 0: exact.
  int bits = -1;
  // Oddities of the authors' program, each off by default; `grapes replay` sets them.
  bool first_sample_mask =
      false;                   ///< rows are masked by the dropout of the batch's first sample before they are summed
  bool single_factor = false;  ///< all samples but the first take the last hidden layer's factor, in every layer
};

/// A way to scale the error: what it makes of GRAPES' own factor.
struct Modulation {
  std::string name;
  std::string summary;
  bool local = false;  ///< scales the layer's own update only, not the error that travels on
  /// The factor used in place of m [node]; `constant` is the value for this layer; `random` for draws. Null: no factor.
  at::Tensor (*shape)(const at::Tensor& m, double constant, Random& random) = nullptr;
};
const std::vector<Modulation>& modulations();

/// What factors may depend on: the weights, and for the oddity the masks.
struct Weights {
  std::vector<at::Tensor> layers;    ///< W^1 ... W^L, [node, input, ...]
  std::vector<at::Tensor> masks;     ///< per hidden layer the first sample's dropout mask [node]; or empty
  std::vector<at::Tensor> incoming;  ///< per layer the responsibility of its rows [node], if known already; or empty
  std::vector<at::Tensor> outgoing;  ///< per layer that of its columns [input]; likewise
  std::vector<std::size_t> above;  ///< per hidden layer the one that takes its value, where they are no chain; or empty
};

/// Factors of the L-1 hidden layers, by `options` with everything by_route resolved (see resolve()).
/// synaptic: for 2 <= l <= L-1 column i of the gradient of W^l is times c^l[i], and for l <= L-2 row j is times
/// c^{l+1}[j], with c^l the factor over the columns of W^l; W^1 and W^L are not modulated. Where the layers are no
/// chain, the one above stands for l+1.
/// @throws c10::ValueError naming the layer, if a weight is not finite
std::vector<Factors> factors(const Weights& weights, const ModulationOptions& options, Random& random);

/// The oddity single_factor: every error factor becomes [batch, node], its own for the first sample and the last hidden
/// layer's for all others. @throws c10::Error unless all hidden layers have equally many nodes, or there are no others
void share_last_factor(std::vector<Factors>& factors, std::int64_t batch);

}  // namespace grapes::credit
