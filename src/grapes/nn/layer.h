#pragma once

#include "grapes/credit/modulation.h"
#include "grapes/kernels/dense.h"
#include "grapes/nn/precision.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace grapes::nn {

using kernels::ErrorPath;

/// What one forward pass needs to know besides its inputs.
struct Pass {
  bool training = false;
  bool gradients = false;                  ///< in evaluation: keep the graph, as training always does
  std::uint64_t seed = 0;                  ///< the run's root seed; dropout and shuffles are drawn from (seed, step)
  std::int64_t step = 0;                   ///< number of the batch, from 0
  std::vector<at::Tensor> masks;           ///< dropout masks given from outside, per hidden layer [batch, unit]
  std::vector<at::Tensor> factor_weights;  ///< in the order of parameters(): factors are taken from these, if given
  double fused_sgd = 0;  ///< not 0: the backward pass makes W -= fused_sgd · g by itself; only if Network::fuses_sgd()
  at::Tensor present = {};  ///< [batch, time] bool: steps of the sequences that are there; undefined: all
  bool plain = false;       ///< by the reference implementations of all fused layers: tensor operations only
};

struct Named {
  std::string name;  ///< "weight"; in a network "layers.0.weight"
  at::Tensor value;
  /// To be kept by whoever writes the weight, if the factors want them.
  std::shared_ptr<kernels::RowSums> sums = nullptr;
  std::shared_ptr<kernels::Storage> storage = nullptr;  ///< null: held as it comes
};

/// A value on its way up, and what an error that runs upwards beside it becomes: indirect feedback alignment. Each may
/// be called once, and lets the layer's parameters learn from the error at the pre-activation.
struct Rising {
  using Way = std::function<at::Tensor(const at::Tensor& error)>;
  at::Tensor value;  ///< h', without a graph
  Way through;       ///< from an error beside the layer's input
  Way arrive;        ///< from one that was brought to the layer's value
};

/// A layer that learns: z = affine(h), h' = dropout(activation(z)), by one fused node of the graph wherever its tensors
/// allow it, else by the operations that stand here, which are the fused form's reference.
///   δ = m ⊙ φ'(z) ⊙ dL/dh'     dL/dh by an ErrorPath     dL/dW = rows ⊙ (δᵀ h) ⊙ columns
class Layer {
 public:
  virtual ~Layer() = default;
  at::Tensor weight;  ///< W, [unit, input, ...]
  at::Tensor bias;    ///< [unit], or undefined
  credit::Factors factors;
  Rounding rounding;
  std::shared_ptr<kernels::Storage> storage;  ///< how W is held, or null

  /// Says how the coming batch is to be run. @param number  of the layer in its network, from 0
  virtual void prepare(const Pass& pass, std::size_t number) = 0;
  /// @param h  let go of as soon as it is read, if the caller gave it away
  /// @param path  of the error at z to h
  virtual at::Tensor forward(at::Tensor h, const ErrorPath& path) const;
  /// Whether it runs as a fused node on such an input.
  virtual bool fuses(const at::Tensor& h) const = 0;

  virtual bool fuses_sgd() const { return false; }              ///< see Pass::fused_sgd
  virtual bool requires_fused_update() const { return false; }  ///< no gradient is there for an update rule

  /// What learns, W first.
  virtual std::vector<Named> parameters() const;
  virtual std::vector<Named> buffers() const { return {}; }
  /// What the layer knows of its responsibilities better than W says, or undefined.
  /// @param dim     0: [unit], over inputs; 1: [input], over units
  /// @param values  null, or what to take in place of parameters(), in their order
  virtual at::Tensor responsibility(std::int64_t /*dim*/, const credit::Rule&, const at::Tensor* /*values*/) const {
    return {};
  }
  /// The dropout mask of the batch that was prepared, [batch, unit]; undefined where nothing is dropped.
  virtual at::Tensor mask(std::int64_t /*batch*/) const { return {}; }

  /// @param masked  whether the error goes through the dropout mask
  virtual Rising rise(const at::Tensor& h, bool masked) const;
  virtual bool rises() const { return false; }  ///< whether rise() is there

 protected:
  /// The pre-activation, with W's and b's gradients times the row and column factors.
  virtual at::Tensor affine(const at::Tensor& h) const = 0;
  virtual at::Tensor activation(const at::Tensor& z) const = 0;
  virtual at::Tensor dropout(const at::Tensor& h) const { return h; }
  /// z, its error sent to h through B.
  virtual at::Tensor fed_back(const at::Tensor& z, const at::Tensor& h, const at::Tensor& B) const;
  /// dropout(activation(z)), the error at z times the factor.
  virtual at::Tensor output(const at::Tensor& z) const;
  /// For rise(): W's product with an error, and what an error at z is at the value, where values were chosen from z.
  virtual at::Tensor carried(const at::Tensor& error) const;
  virtual at::Tensor chosen(const at::Tensor& error, const at::Tensor& /*z*/) const { return error; }
  /// Whether the factor stands behind the activation: rise() then scales the error before it goes through it.
  virtual bool scales_value() const { return false; }

  at::Tensor modulated(const at::Tensor& z) const;
  /// W and b as affine() is to use them.
  std::pair<at::Tensor, at::Tensor> modulated_parameters() const;
};

}  // namespace grapes::nn
