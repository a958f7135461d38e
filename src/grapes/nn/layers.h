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

/// Layers with a learning rule. You can use them like the layers of torch::nn. A forward pass gives the same bits,
/// except for fused convolutions, which sum in another order. The backward pass follows a route and a modulation. The
/// built-in models consist of the same layers. The layers run as fused operations, which cannot be differentiated
/// twice.
///
///   auto hidden = grapes::nn::Linear(784, 256), output = grapes::nn::Linear(256, 10, grapes::nn::plain());
///   auto aligned = grapes::nn::Linear(784, 256, grapes::Rule{.route = "fa"});
namespace grapes::nn {

using credit::plain;

class Layer;

/// Base of all layers. Here the rule's route says which error the layer sends to the layer below:
///   bp              Wᵀ δ
///   fa              B δ, with fixed random B (Lillicrap et al. 2016)
///   kolen-pollack   B δ, where B receives W's gradient; use a weight decay above 0 (Akrout et al. 2019)
///   sign-symmetric  sign(W)ᵀ δ at the mean magnitude of W (Liao et al. 2016)
///   usf             sign(W)ᵀ δ with one fixed magnitude
///   brsf            sign(W)ᵀ δ with random magnitudes that are drawn again for every batch
///   frsf            sign(W)ᵀ δ with fixed random magnitudes (all three Liao et al. 2016)
///   dfa             none: DirectFeedback sends each layer its error from the output (Nøkland 2016)
/// On every route the responsibility is computed from the layer's own weights; it may be incoming or input.
class Routed {
 public:
  const Rule& rule() const { return rule_; }  ///< as returned by credit::resolved()
  /// Computes the factors from the current weights, [unit]. Undefined for the modulation `none`.
  at::Tensor factor() const;

  at::Tensor weight;  ///< W, [unit, input] or [channel out, channel in / groups, ...]
  at::Tensor bias;    ///< b, [unit], or undefined
  /// B, uniform in ±1/√n, where n is the number of units that send an error. It is the buffer "feedback", or on
  /// kolen-pollack a parameter. Undefined on routes without B.
  at::Tensor feedback;

 protected:
  /// @throws c10::ValueError for an invalid rule; c10::Error for a rule that a single layer does not support
  explicit Routed(Rule rule, std::string kind);
  const credit::Route& route() const { return *route_; }
  /// Draws B and registers it, if the route has one. @param units  number of units that send the error
  template <class Module>
  void add_feedback(Module& module, at::IntArrayRef shape, std::int64_t units) {
    at::Tensor B = drawn_feedback(shape, units);
    if (B.defined())
      feedback = B.requires_grad() ? module.register_parameter("feedback", B) : module.register_buffer("feedback", B);
  }
  /// The weight to compute with: on kolen-pollack its gradient goes to B too.
  at::Tensor mirrored() const;
  at::Tensor factor(const at::Tensor& recurrent) const;
  /// Returns the factor for a forward pass. Undefined if the pass has no graph.
  at::Tensor next_factor(const at::Tensor& recurrent = {});
  /// Assigns m to the error or to the layer's own gradient, depending on the modulation.
  credit::Factors factors(const at::Tensor& m) const;
  /// Which error goes to the layer below.
  kernels::ErrorPath down() const;
  at::Tensor drawn_feedback(at::IntArrayRef shape, std::int64_t units);
  /// Runs `layer` with this layer's weights. @param axis  axis of the units in z; negative: counted from the end
  at::Tensor through(Layer& layer, const at::Tensor& x, const at::Tensor& m, std::int64_t axis) const;

 private:
  Rule rule_;
  const credit::Route* route_;
  std::string kind_;
  std::int64_t batch_ = 0;  // number of forward passes with a graph
  at::Tensor factor_;       // of the last such pass
  std::int64_t units_ = 0;  // number of units that send an error through B
};

/// Draws feedback weights, uniform in ±1/√units. @param units  number of units that send the error
at::Tensor feedback_weights(at::IntArrayRef shape, std::int64_t units);

/// A linear layer: z = x Wᵀ + b. @param x  [..., in] @return z [..., out]
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

/// A convolution with zero padding. A unit is an output channel. B has the shape of W.
/// @param x  [batch, in, height, width] @return z [batch, out, ...]
class Conv2dImpl : public torch::nn::Cloneable<Conv2dImpl>, public Routed {
 public:
  /// @throws c10::Error if the padding is given by name, or the padding mode is not zeros
  explicit Conv2dImpl(const torch::nn::Conv2dOptions& options, Rule rule = {});
  void reset() override;
  at::Tensor forward(const at::Tensor& x);

 private:
  torch::nn::Conv2dOptions options_;
  std::shared_ptr<Layer> layer_;
};
TORCH_MODULE(Conv2d);

/// A recurrent layer: y_t = tanh(W x_t + R y_{t-1} + b), y_0 = 0. r sums W and R. At each time step the error at the
/// pre-activation is scaled once for the gradients of W, b and R and for the error at x. The error that runs back in
/// time through R is not scaled, because it would be scaled again at every time step.
/// @param x  [time, batch, in] @return y [time, batch, unit]
class RecurrentImpl : public torch::nn::Cloneable<RecurrentImpl>, public Routed {
 public:
  RecurrentImpl(std::int64_t in, std::int64_t nodes, Rule rule = {});
  void reset() override;
  at::Tensor forward(const at::Tensor& x);
  at::Tensor factor() const { return Routed::factor(recurrent); }

  at::Tensor recurrent;  ///< R, [unit, unit]

 private:
  std::int64_t in_, nodes_;
  std::shared_ptr<Layer> current_;
};
TORCH_MODULE(Recurrent);

/// Returns the logits and, in the backward pass, sends their error to each hidden activation h_l through fixed random
/// weights B_l, the buffers "feedback0", ... (Nøkland 2016). Use it with layers of route dfa:
///   logits = direct(logits, {h_1, h_2, ...})
/// h_l is taken after the activation function.
class DirectFeedbackImpl : public torch::nn::Cloneable<DirectFeedbackImpl> {
 public:
  /// @param sizes    number of elements of each hidden activation per example
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
