#pragma once

#include "grapes/kernels/snu_rule.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

/// Spiking neurons as values: what is fixed (parameters), what changes (state), and one step of time. No step remembers
/// anything; layers over time are in nn/snu.h.
namespace grapes::nn {

/// What stands in for the derivative of the step, as a function of u = (s - θ) / width. Its height at u = 0 does not
/// depend on the width.
struct SurrogateRow {
  std::string name;
  std::string summary;  ///< equation and paper
  at::Tensor (*derivative)(const at::Tensor& u);
  kernels::Surrogate fused;
};
const std::vector<SurrogateRow>& surrogates();

/// 1 where x > 0, else 0; the error is multiplied by the surrogate's derivative at x / width.
at::Tensor spike(const at::Tensor& x, const SurrogateRow& surrogate, double width);

/// What a spike does to the membrane that goes into the next step.
struct ResetRow {
  std::string name;
  std::string summary;
  kernels::Reset fused;
};
const std::vector<ResetRow>& resets();

struct SnuOptions;

/// A neuron by the name people know it under: what it decides of a layer.
struct NeuronRow {
  std::string name;
  std::string summary;
  void (*decide)(SnuOptions& options);
};
const std::vector<NeuronRow>& neurons();

/// The spiking neural unit (Woźniak et al. 2020, doi 10.1038/s42256-020-0187-0).
///   s_t = g(c_t + d · s_{t-1} ⊙ (1 - y_{t-1}))         reset hard
///   s_t = g(c_t + d · s_{t-1} (1 - max_n y_{t-1,n}))   reset lateral: whoever fires silences all
///   s_t = g(c_t + d · (s_{t-1} - θ ⊙ y_{t-1}))         reset subtract
///   s_t = g(c_t + d · s_{t-1})                         reset none
///   y_t = h(s_t - θ)
/// h the step (SNU), whose derivative is a surrogate, or the sigmoid (sSNU), which has its own.
/// The derivative of max is shared alike among the nodes that attain it.
///
/// | parameter | default | symbol | meaning                                             |
/// | decay     | 0.8     | d      | what is left of the membrane after a step, [] or [node] |
/// | threshold | 1       | θ      | per node, in the unit of the membrane               |
/// | g         | relu    | g      | identity, relu, leaky_relu (slope 0.1)              |
/// | output    | step    | h      | step, sigmoid                                       |
/// | reset     | hard    |        | a row of resets()                                   |
/// | surrogate | tanh    |        | a row of surrogates(), with its width               |
struct SnuRule {
  std::string g = "relu";
  std::string output = "step";
  std::string reset = "hard";
  std::string surrogate = "tanh";
  double width = 1;
  bool detach_reset = false;  ///< y_{t-1} in the reset is a constant to the derivative
};
/// @throws UsageError that names the field and what it may be; width must be above 0
void require_possible(const SnuRule& rule);

struct SnuParameters {
  at::Tensor decay;      ///< [1] or [node]
  at::Tensor threshold;  ///< [node]
};
struct SnuState {
  at::Tensor membrane;      ///< s, [batch, node]
  at::Tensor output;        ///< y, [batch, node]
  at::Tensor current = {};  ///< c, [batch, node], of neurons with a synaptic current; else undefined
};
/// One step. @param current  c_t, [batch, node] @return state, its output being y_t
SnuState step(const at::Tensor& current, const SnuState& before, const SnuParameters& parameters, const SnuRule& rule);

}  // namespace grapes::nn
