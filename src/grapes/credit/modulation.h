#pragma once

#include "grapes/base/random.h"
#include "grapes/credit/rule.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

/// How the error is scaled at a unit. A modulation is a function that computes factors from a layer's weights. The
/// controls are modulations too.
namespace grapes::credit {

/// The factors of one hidden layer. An undefined tensor means a factor of 1 everywhere.
struct Factors {
  at::Tensor error;    ///< [unit] or [batch, unit]: multiplies the error, also for the layers below (propagating)
  at::Tensor rows;     ///< [unit]: multiplies the rows of the layer's own weight gradient (local)
  at::Tensor columns;  ///< [input]: multiplies the columns of the layer's own weight gradient (input unit)
};

/// What a modulation computes the factors of a layer from.
struct FactorSource {
  at::Tensor m;     ///< [unit], the factors of GRAPES: m = clip(gain r / max r, low, high)
  at::Tensor r;     ///< [unit], the responsibilities: r_n = Σ_i |W_ni|, or another sum, see Responsibility
  double constant;  ///< the number of this layer, for a modulation with numbers: C of constant:C, P of power:P
  Random& random;   ///< for draws
};

struct Weights;

/// A row of the table of modulations: how it changes the factor of GRAPES. Code that treats modulations differently
/// reads these fields; it never compares names.
struct Modulation {
  enum class Draws { never, once, every_batch };  ///< once: the same draws in the whole run
  enum class Numbers { none, positive, any };     ///< the numbers that follow the name, as in constant:1.8

  /// Operations that turn m or r into the factors, counted by cost/cost.h.
  struct Work {
    double additions = 0, comparisons = 0, multiplications = 0, powers = 0;  ///< per unit
    double divisions = 0;                                                    ///< per layer
  };

  std::string name;
  std::string summary;
  bool local = false;  ///< scales only the layer's own update, not the error for the layers below
  at::Tensor (*transform)(const FactorSource&) = nullptr;  ///< returns the factors [unit]; null: no factors
  Draws draws = Draws::never;
  Numbers numbers = Numbers::none;
  std::string symbol = {};   ///< of its numbers in texts: "C" stands for constant:C1,C2,...
  bool from_weights = true;  ///< the factors depend on the weights
  bool one_factor = false;   ///< all units of a layer share one factor
  bool clips = true;         ///< the factors are made from m, with its clip, and not from r
  Work work = {};
  /// Instead of `transform`: returns the factors of all L layers from the weights of the whole network.
  std::vector<Factors> (*whole)(const Weights&, Random&) = nullptr;
  /// Instead of factors: the modulation with which the gradient of every layer has the same norm, see
  /// nn::Network::matches().
  std::string matches = {};

  bool makes_factors() const { return transform != nullptr || whole != nullptr; }
  /// Whether a layer alone has all that the modulation needs.
  bool is_of_layer() const { return whole == nullptr && matches.empty(); }
};
const std::vector<Modulation>& modulations();
/// @throws c10::ValueError for an unknown name
const Modulation& modulation_of(const Rule& rule);

/// Returns why a modulation cannot have these numbers ("constants must be above 0; got 0"), or "" if it can.
std::string fault_of(const Modulation& modulation, const std::vector<double>& numbers);

/// @param what  caller's name in the message, "backward"
/// @throws c10::ValueError if the modulation needs more than a layer's own weights and error
void require_of_layer(const Rule& rule, const std::string& what);

/// Returns the number of the batch whose draws a rule uses in this batch: its own, or 0 if it draws once.
std::uint64_t drawn_batch(const Rule& rule, std::int64_t batch);

/// Computes factors from responsibilities: clip(gain r / max r), then the modulation, then rounding to `factor_bits`.
/// @param r      [unit]
/// @param rule   as returned by resolved()
/// @param layer  index of the layer, for `constants`
/// @return [unit], without a gradient; undefined for the modulation `none`
/// @throws c10::ValueError if r is not finite
at::Tensor factor_of(const at::Tensor& r, const Rule& rule, std::size_t layer, Random& random);

/// Inputs of the factors: the weights and biases, and the masks of Compatibility::first_sample_mask.
struct Weights {
  std::vector<at::Tensor> layers;    ///< W^1 ... W^L, [unit, input, ...]
  std::vector<at::Tensor> biases;    ///< b^1 ... b^L, [unit], undefined where there is none; or empty
  std::vector<at::Tensor> masks;     ///< per hidden layer, the dropout mask of the first example [unit]; or empty
  std::vector<at::Tensor> incoming;  ///< per layer, the responsibility of its rows [unit], if already known; or empty
  std::vector<at::Tensor>
      outgoing;                    ///< per layer, the responsibility of its columns [input], if already known; or empty
  std::vector<std::size_t> above;  ///< per hidden layer, the index of the layer that takes its output, if the network
                                   ///< is not a chain; or empty
};

/// Computes the factors of the L-1 hidden layers, or of all L layers by Modulation::whole. For `synaptic`, c^l is the
/// factor over the columns of W^l. For 2 <= l
/// <= L-1, column i of the gradient of W^l is multiplied by c^l[i]; for 2 <= l <= L-2, row j is multiplied by
/// c^{l+1}[j]. W^1 and W^L are not modulated. If the network is not a chain, l+1 is the layer above.
/// @param rule  as returned by resolved()
/// @throws c10::ValueError with the layer's number if a weight is not finite
std::vector<Factors> factors(const Weights& weights, const Rule& rule, Random& random);

/// Applies Compatibility::single_factor. Every error factor becomes [batch, unit]: the first example keeps its own, all
/// others get the last hidden layer's.
/// @throws c10::Error if hidden layers have different numbers of units and batch > 1
void share_last_factor(std::vector<Factors>& factors, std::int64_t batch);

}  // namespace grapes::credit
