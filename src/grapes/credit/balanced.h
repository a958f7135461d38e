#pragma once

#include "grapes/credit/modulation.h"

#include <ATen/core/Tensor.h>

#include <vector>

/// Responsibility on both sides of a unit.
///
/// A homogeneous unit (ReLU, leaky ReLU, identity) computes the same function if its incoming weights and its bias are
/// multiplied by c > 0 and its outgoing weights are divided by c. The gradient of the first is then divided by c, that
/// of the second multiplied by c, so gradient descent does not take the same steps in both networks. It does if the
/// gradients of the incoming weights are multiplied by a factor f that such a rescaling multiplies by c², and those of
/// the outgoing weights by 1 / f. For the weight from unit i to unit j, the step is then η (f_j / f_i) g.
///
/// The modulation `balanced` uses f = s². The scales s are those by which a balanced network would have to be rescaled
/// to get these weights: in the balanced network, with the weights W_ji s_i / s_j, the sum of the absolute incoming
/// weights of every hidden unit, with its bias, equals that of its outgoing weights:
///   s_j² = (Σ_i |W_ji| s_i + |b_j|) / (Σ_k |W_kj| / s_k),   s = 1 for inputs and outputs
/// There is one solution, because Σ |W_ji| s_i / s_j + Σ |b_j| / s_j, which it minimizes, is convex in log s (Stock et
/// al. 2019 use the same fact). So a step is that of gradient descent in the balanced network. The modulation
/// `balanced-once` is the first approximation of f, from s = 1: r_in / r_out, the ratio of a unit's own sums. It is the
/// solution if there is only one hidden layer. With more, a rescaling of one layer changes the sums of its neighbors,
/// and the steps of `balanced-once` are not those of the rescaled network.
namespace grapes::credit {

/// Returns f of every hidden layer, [unit], in float64. A unit on no path from an input to an output gets 1.
/// @param weights  a chain of layers, with weights [unit, input, ...] and perhaps biases
/// @throws c10::ValueError with the layer's number if a weight is not finite
std::vector<at::Tensor> balancing(const Weights& weights);
/// Returns r_in / r_out instead.
std::vector<at::Tensor> balancing_once(const Weights& weights);

/// Returns, for each of the L layers, f of its units as `rows`, and 1 / f of the units below as `columns`; the output
/// layer has only columns, the first layer only rows.
std::vector<Factors> balanced(const Weights& weights, Random& random);
std::vector<Factors> balanced_once(const Weights& weights, Random& random);
/// The same as balanced(), with f permuted among the units of each layer.
std::vector<Factors> balanced_shuffled(const Weights& weights, Random& random);

}  // namespace grapes::credit
