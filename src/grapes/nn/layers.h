#pragma once

#include "grapes/credit/rule.h"

#include <ATen/core/Tensor.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/options/conv.h>
#include <torch/nn/options/linear.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace grapes::kernels {
struct ErrorPath;
}
namespace grapes::credit {
struct Factors;
struct Route;
}  // namespace grapes::credit

/// Layers for models of one's own, beside torch::nn's: the value is that of torch::nn's layer, bit for bit (but for
/// convolutions that run fused, which sum in another order), and what flows back takes a route and a modulation. They
/// are those of the built-in models, fused inside; a fused layer is not differentiable twice.
///
///   auto hidden = grapes::nn::Linear(784, 256), output = grapes::nn::Linear(256, 10, grapes::nn::plain());
///   auto aligned = grapes::nn::Linear(784, 256, grapes::Rule{.route = "fa"});
namespace grapes::nn {

using credit::plain;

class Layer;

/// What the layers have in common. Of a rule they take the route down to the layer below:
///   bp              Wᵀ δ
///   fa              B δ, B fixed and random, the buffer "feedback" (Lillicrap et al. 2016)
///   sign-symmetric  sign(W)ᵀ δ at W's mean magnitude (Liao et al. 2016)
///   dfa             nothing: DirectFeedback brings every layer its error from the output (Nøkland 2016)
/// Responsibility is that of the layer's own weights on every route, incoming or input.
class Routed {
 public:
  const Rule& rule() const { return rule_; }  ///< resolved
  /// The factors that the weights as they stand give, [node]; undefined for the modulation `none`.
  at::Tensor factor() const;

  at::Tensor weight;    ///< W, [node, input] or [channel out, channel in / groups, ...]
  at::Tensor bias;      ///< b, [node], or undefined
  at::Tensor feedback;  ///< B, where the route has one for the layer below, uniform in ±1/√(nodes it comes from); else
                        ///< undefined

 protected:
  /// @throws c10::ValueError for a rule that cannot be, c10::Error for one that a layer by itself cannot follow
  explicit Routed(Rule rule, std::string kind);
  const credit::Route& route() const { return *route_; }
  bool feeds_back_through_B() const;
  at::Tensor factor(const at::Tensor& recurrent) const;
  /// The factor of a forward pass; undefined where there is no graph to modulate.
  at::Tensor next_factor(const at::Tensor& recurrent = {});
  /// m where the rule's modulation has it: on the error, or on the layer's own gradient.
  credit::Factors factors(const at::Tensor& m) const;
  /// Where the error at the pre-activation goes, besides to W and b.
  kernels::ErrorPath down() const;
  /// One pass through `layer`, whose weights are these. @param axis  of the units in z; negative: from the end
  at::Tensor through(Layer& layer, const at::Tensor& x, const at::Tensor& m, std::int64_t axis) const;

 private:
  Rule rule_;
  const credit::Route* route_;
  std::string kind_;
  std::int64_t batch_ = 0;  // forward passes with a graph so far
  at::Tensor factor_;       // of the last one
};

/// B, uniform in ±1/√(units it comes from).
at::Tensor feedback_weights(at::IntArrayRef shape, std::int64_t units);

/// z = x Wᵀ + b. x [..., in].
class LinearImpl : public torch::nn::Cloneable<LinearImpl>, public Routed {
 public:
  LinearImpl(std::int64_t in, std::int64_t out, Rule rule = {})
      : LinearImpl(torch::nn::LinearOptions(in, out), std::move(rule)) {}
  explicit LinearImpl(const torch::nn::LinearOptions& options, Rule rule = {});
  void reset() override;
  at::Tensor forward(const at::Tensor& x);

 private:
  torch::nn::LinearOptions options_;
  std::shared_ptr<Layer> layer_;
};
TORCH_MODULE(Linear);

/// A convolution with zero padding; a node is an output channel. x [batch, in, height, width]. B is shaped as W.
class Conv2dImpl : public torch::nn::Cloneable<Conv2dImpl>, public Routed {
 public:
  /// @throws c10::Error for a padding that is not numbers, or a padding mode that is not zeros
  explicit Conv2dImpl(const torch::nn::Conv2dOptions& options, Rule rule = {});
  void reset() override;
  at::Tensor forward(const at::Tensor& x);

 private:
  torch::nn::Conv2dOptions options_;
  std::shared_ptr<Layer> layer_;
};
TORCH_MODULE(Conv2d);

/// y_t = tanh(W x_t + R y_{t-1} + b), y_0 = 0. x [time, batch, in] -> [time, batch, node]. At each step the error at
/// the pre-activation is scaled once on its way to W, b, R and, by the route, to x; what runs back in time through R is
/// not, for it would compound. r sums W and R.
class RecurrentImpl : public torch::nn::Cloneable<RecurrentImpl>, public Routed {
 public:
  RecurrentImpl(std::int64_t in, std::int64_t nodes, Rule rule = {});
  void reset() override;
  at::Tensor forward(const at::Tensor& x);
  at::Tensor factor() const { return Routed::factor(recurrent); }

  at::Tensor recurrent;  ///< R, [node, node]

 private:
  std::int64_t in_, nodes_;
  std::shared_ptr<Layer> current_;
};
TORCH_MODULE(Recurrent);

/// The logits, unchanged; each hidden activation h_l receives their error through fixed weights B_l (Nøkland 2016), the
/// buffers "feedback0", ... For layers of route dfa: logits = direct(logits, {h_1, h_2, ...}), h_l after its
/// activation.
class DirectFeedbackImpl : public torch::nn::Cloneable<DirectFeedbackImpl> {
 public:
  /// @param sizes    nodes of each hidden activation, all axes but the batch together
  /// @param outputs  number of logits
  DirectFeedbackImpl(std::vector<std::int64_t> sizes, std::int64_t outputs);
  void reset() override;
  at::Tensor forward(at::Tensor logits, const std::vector<at::Tensor>& hidden);

 private:
  std::vector<std::int64_t> sizes_;
  std::int64_t outputs_;
  std::vector<at::Tensor> feedback_;
};
TORCH_MODULE(DirectFeedback);

}  // namespace grapes::nn
