#pragma once

#include "grapes/credit/rule.h"
#include "grapes/nn/network.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

/// What one training step costs on a chip: counted, not measured.
///
/// W weights, N nodes, K inputs and P positions of a layer (nn::LayerShape), B examples in the batch. Of a layer:
///   forward         W P B multiply-accumulates                       z = h Wᵀ
///   dgrad           W P B, through Wᵀ, or through B on fa            dL/dh = δ W   (not for the first layer)
///                   values · outputs · B on dfa, through B^l         dL/dh = e Bᵀ  (hidden layers)
///   wgrad           W P B                                            dL/dW = δᵀ h
///   modulation      W additions of |w| every so many batches; N comparisons for max r; the factor; one multiplication
///                   for each node, position and example              δ <- m ⊙ δ    Dellaferrera et al. 2022
///   update          a few operations per weight, see update_rules()
/// A recurrent weight adds its own N² in every step; no error goes back through it before the first step, nor on
/// e-prop. Positions at the edge of a picture count in full, and zeros (silent nodes, spikes that are not there) as
/// numbers: what skips them may cost less.
///
/// Memory: each operand of a phase is read once in a step, whatever its use within the phase, and each result is
/// written once. What is done to one number at a time (bias, activation and its slope, pooling, the factor at the
/// error) is done as that number passes, without another access. Sums of |w| are taken as the update writes the
/// weights: no extra read.
///
/// Not counted: the loss, normalization, dropout, sums and pooling that stand between layers, encoders, evaluating
/// tanh, sigmoid or a surrogate's slope (a look-up), random numbers.
namespace grapes::cost {

enum class Phase { forward, dgrad, wgrad, modulation, update };
constexpr std::size_t phases = 5;
/// "forward", "dgrad", ...
const std::string& name_of(Phase phase);

/// An array that a phase goes through.
struct Access {
  std::string array;  ///< "weights", "inputs", "errors", ...
  double size = 0;    ///< words that it has: what decides where it can be
  double read = 0;    ///< words per step
  double written = 0;
};

/// What is done in a step: numbers of operations, fractions where something is not done in every step.
struct Work {
  double macs = 0;  ///< multiply-accumulates of the products
  double multiplications = 0, additions = 0, comparisons = 0;
  double divisions = 0;  ///< and square roots
  std::vector<Access> accesses = {};

  double others() const { return multiplications + additions + comparisons + divisions; }
  double read() const;
  double written() const;
  Work& operator+=(const Work& other);
};

struct LayerCost {
  std::string name;
  std::array<Work, phases> work;
  // Words that plain backpropagation by plain descent would not keep.
  double feedback = 0;         ///< B
  double optimizer_state = 0;  ///< velocities and moments
  double factor_state = 0;     ///< responsibilities r and factors m
  // Words that go from layer to layer in a step.
  double up = 0;       ///< values it gives on
  double error = 0;    ///< errors that leave it on bp's way, or arrive at it by a route's own
  double factors = 0;  ///< factors that it needs of another layer's weights

  const Work& operator[](Phase phase) const { return work[static_cast<std::size_t>(phase)]; }
  Work& operator[](Phase phase) { return work[static_cast<std::size_t>(phase)]; }
  Work all() const;
  double state() const { return feedback + optimizer_state + factor_state; }
  double sent() const { return up + error + factors; }
};

/// How the layers learn.
struct Learning {
  credit::Rule rule;                ///< resolved: nn::Network::rule()
  std::string optimizer = "sgd";    ///< a row of update_rules()
  bool decays = false;              ///< with weight decay
  std::string activation = "relu";  ///< of hidden layers that do not spike
  std::int64_t batch = 64;
};

/// One layer after the other. @throws UsageError for a name that is in no table
std::vector<LayerCost> cost_of(const std::vector<nn::LayerShape>& shapes, const Learning& learning);
/// All layers together.
LayerCost total(const std::vector<LayerCost>& layers);

/// Operations and accesses of an update rule, per number that learns; its equation is that of kernels/update.h.
struct UpdateRule {
  std::string name;
  std::string equation;
  double multiplications, additions, divisions;  ///< square roots are divisions here
  double state;                                  ///< words
  double read, written;  ///< words: weight, gradient and state; those that are moved twice in a step count twice
};
const std::vector<UpdateRule>& update_rules();

}  // namespace grapes::cost
