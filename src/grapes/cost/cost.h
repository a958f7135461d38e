#pragma once

#include "grapes/credit/rule.h"
#include "grapes/nn/network.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

/// Cost of one training step on a chip: counted, not measured.
///
/// A layer has W weights, N units, K inputs and P positions (nn::LayerShape); the batch has B examples. Per layer:
///   forward         W P B multiply-accumulates                       z = h Wᵀ
///   dgrad           W P B, through Wᵀ, or through B on fa            dL/dh = δ W   (not for the first layer)
///                   values · outputs · B on dfa, through B^l         dL/dh = e Bᵀ  (hidden layers)
///   wgrad           W P B                                            dL/dW = δᵀ h
///   modulation      W additions of |w| whenever factors are computed; N comparisons for max r; the factor; one
///                   multiplication per unit, position and example    δ <- m ⊙ δ    Dellaferrera et al. 2022
///   update          a few operations per weight, see update_rules()
/// Recurrent weights add N² at every time step; no error runs back through them before the first step, nor on e-prop.
/// Positions at the border of an image count in full, and zeros (silent units, missing spikes) count as numbers;
/// hardware that skips them may cost less.
///
/// Memory: each operand of a phase is read once per step, however often it is used in the phase, and each result is
/// written once. Element-wise operations (bias, activation and its slope, pooling, the factor on the error) are applied
/// while the number passes, without another access. Sums of |w| are accumulated while the update writes the weights,
/// without an extra read.
///
/// Not counted: the loss, normalization, dropout, sums and pooling between layers, encoders, evaluations of tanh,
/// sigmoid or a surrogate's slope (look-ups), random numbers.
namespace grapes::cost {

enum class Phase { forward, dgrad, wgrad, modulation, update };
constexpr std::size_t phases = 5;
/// Returns "forward", "dgrad", ...
const std::string& name_of(Phase phase);

/// An array that a phase accesses.
struct Access {
  std::string array;  ///< "weights", "inputs", "errors", ...
  double size = 0;    ///< size in words, which determines the memory that can hold it
  double read = 0;    ///< words per step
  double written = 0;
};

/// Work of a step: numbers of operations, with fractions if something is not done in every step.
struct Work {
  double macs = 0;  ///< multiply-accumulates of the products
  double multiplications = 0, additions = 0, comparisons = 0;
  double divisions = 0;  ///< including square roots, logarithms and exponentials
  std::vector<Access> accesses = {};

  double others() const { return multiplications + additions + comparisons + divisions; }
  double read() const;
  double written() const;
  Work& operator+=(const Work& other);
};

struct LayerCost {
  std::string name;
  std::array<Work, phases> work;
  // Words in addition to those of plain backpropagation with plain SGD.
  double feedback = 0;         ///< B
  double optimizer_state = 0;  ///< velocities and moments
  double factor_state = 0;     ///< responsibilities r and factors m
  // Words that are sent between layers in a step.
  double up = 0;       ///< values that it sends up
  double error = 0;    ///< errors that it sends down on bp, or that arrive by another route
  double factors = 0;  ///< factors that it needs of another layer's weights

  const Work& operator[](Phase phase) const { return work[static_cast<std::size_t>(phase)]; }
  Work& operator[](Phase phase) { return work[static_cast<std::size_t>(phase)]; }
  Work all() const;
  double state() const { return feedback + optimizer_state + factor_state; }
  double sent() const { return up + error + factors; }
};

/// How the layers learn.
struct Learning {
  credit::Rule rule;                ///< as returned by nn::Network::rule()
  std::string optimizer = "sgd";    ///< a name in update_rules()
  bool decays = false;              ///< with weight decay
  std::string activation = "relu";  ///< of hidden layers without spikes
  std::int64_t batch = 64;
};

/// Returns the cost of each layer. @throws UsageError for an unknown name, or a modulation whose cost is not modeled
std::vector<LayerCost> cost_of(const std::vector<nn::LayerShape>& shapes, const Learning& learning);
/// Returns the sum over all layers.
LayerCost total(const std::vector<LayerCost>& layers);

/// Operations and accesses of an update rule per parameter. kernels/update.h has its equation.
struct UpdateRule {
  std::string name;
  std::string equation;
  double multiplications, additions, divisions;  ///< square roots and exponentials count as divisions
  double state;                                  ///< words
  double read, written;  ///< words: weight, gradient and state; those that are accessed twice per step count twice
  /// Whether it needs sums over paths, from a forward and a backward pass with one example. Their products are counted
  /// as multiply-accumulates of the update.
  bool follows_paths = false;
  double state_per_unit = 0;  ///< words for each unit of a weight matrix, and for each bias
};
const std::vector<UpdateRule>& update_rules();

}  // namespace grapes::cost
