#pragma once

#include "grapes/fixed/activation.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

/// A chain of linear layers in integers, and its learning rule. `grapes export c` writes it as C, which computes the
/// same bits. This is the simple implementation: 64 bits for every sum, and responsibilities summed again at every
/// step.
namespace grapes::fixed {

/// Number formats. Every number is an integer times 2^-fraction; overflow saturates.
///
///   what                       bits     fraction
///   input x                    16       input
///   weight w, bias             8 or 16  of the layer, see Layer (a bias always 16)
///   pre-activation, h, logits  16       activation
///   error                      16       error
///   responsibility             32       that of the weights
struct Formats {
  int weight_bits = 16;  ///< 8 or 16
  int input = 12;        ///< 0 ... 15: -8 ... 8 in steps of 1/4096
  int activation = 10;   ///< 5 ... 14: -32 ... 32
  int error = 13;        ///< 5 ... 14: -4 ... 4
};

struct Layer {
  std::size_t inputs = 0, nodes = 0;
  std::vector<std::int32_t> weights;  ///< [unit, input]
  std::vector<std::int32_t> biases;   ///< [unit]
  int fraction = 0;                   ///< of both, 0 ... 15
};
/// Rounds weights and biases to the nearest, with the greatest fraction that leaves `headroom` bits for growth.
/// @param biases  [unit], or empty: 0
/// @throws UsageError with the layer, if a weight is not finite, or too large even without a fraction
Layer quantize(const std::vector<double>& weights, const std::vector<double>& biases, std::size_t inputs, int bits,
               int headroom, std::size_t number);

/// Plain SGD, one example at a time:
///   δ^L = softmax(z) - t      or, for squares (mean over the K outputs),  δ^L = 2 (z - t) / K
///   δ^l = modulate(⌊2^-f Σ_n w^{l+1}_n δ^{l+1}_n⌉ φ'(z^l), factor of r^l)                 l = L-1 ... 1
///   w^l_ni ← w^l_ni - ⌊2^-S (δ^l_n h^{l-1}_i + u)⌋,  u uniform in 0 ... 2^S - 1           rate 2^-rate_shift
/// All errors are computed before any weight changes. The factor is fixed::factor_steps of the same layer's weights;
/// the output layer has none. u is the upper S bits of the next number of xorshift32 (Marsaglia 2003, shifts 13, 17,
/// 5), drawn only if δ h is not 0. Small updates are therefore right on average instead of lost. A bias is the weight
/// of an input that is always 1.
struct Learning {
  enum class Loss { cross_entropy, squares };
  Loss loss = Loss::cross_entropy;
  bool grapes = false;
  int factor_bits = 4;  ///< 0 ... most_factor_bits
  int rate_shift = 7;
};

struct Network {
  Formats formats;
  const Activation* activation = nullptr;  ///< of the hidden layers; a row of activations()
  std::vector<Layer> layers;
  bool biases = false;  ///< whether biases are used and learned
  bool classes = true;  ///< whether the answer is the class with the greatest logit, or the logits themselves
  std::optional<Learning> learning;  ///< empty: inference only
};
/// Checks that the layers fit together and every shift is in its range.
/// @throws UsageError with the layer or the option and its valid values
void check(const Network& network);

/// Returns S of a layer's update: error + input + rate_shift - weight, in fractions; 1 ... 30.
int update_shift(const Network& network, std::size_t layer);
/// Returns the fraction of a layer's inputs: that of the network's input, or of activations.
int input_fraction(const Network& network, std::size_t layer);
/// Returns the width that sums of products need: 32 if no sum can overflow it, else 64. A sum of n weights of b bits
/// times 16-bit numbers is at most n · 2^(b-1) · 2^15. If weights never change, it is at most their responsibility,
/// Σ|w| · 2^15.
int accumulator_bits(const Network& network);

/// What changes during inference and learning.
struct State {
  std::vector<Layer> layers;
  std::vector<std::vector<std::int32_t>> values;  ///< per layer h; for the last layer the logits
  std::vector<std::vector<std::int32_t>> errors;  ///< per layer δ
  std::uint32_t random = 0;
};
constexpr std::uint32_t first_random = 2463534242u;  ///< Marsaglia's
State begin(const Network& network);

/// @param x  one 16-bit number per input of the first layer
/// @return the logits
const std::vector<std::int32_t>& infer(const Network& network, State& state, const std::vector<std::int32_t>& x);
/// Returns the index of the greatest logit; of equal ones the first.
std::size_t greatest(const std::vector<std::int32_t>& logits);

/// Takes one step with a class, or with a target per output (with the fraction of activations).
/// @param network  with `learning`
void learn(const Network& network, State& state, const std::vector<std::int32_t>& x, std::size_t label);
void learn(const Network& network, State& state, const std::vector<std::int32_t>& x,
           const std::vector<std::int32_t>& targets);

/// Returns the next number of xorshift32; 0 stays 0.
std::uint32_t next(std::uint32_t& random);

}  // namespace grapes::fixed
