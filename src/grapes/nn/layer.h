#pragma once

#include "grapes/credit/modulation.h"
#include "grapes/kernels/dense.h"
#include "grapes/nn/norm.h"
#include "grapes/nn/precision.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace grapes::nn {

using kernels::ErrorPath;

/// Settings of one forward pass.
struct Pass {
  bool training = false;
  bool gradients = false;         ///< in evaluation: keep the graph, as in training
  std::uint64_t seed = 0;         ///< root seed of the run; dropout and shuffles use streams of (seed, step)
  std::int64_t step = 0;          ///< number of the batch, from 0
  std::int64_t first = 0;         ///< place of the first example in its batch, if this is only a part of it: random
                                  ///< numbers belong to the example, not to the part
  at::Tensor examples = {};       ///< their numbers in the data set, int64 [batch]; undefined: not known
  std::vector<at::Tensor> masks;  ///< given dropout masks, per hidden layer [batch, unit]
  std::vector<at::Tensor>
      factor_weights;         ///< weights to compute factors from, in the order of parameters(); empty: the layers' own
  bool reference = false;     ///< use the factors of the modulation that the rule's modulation matches
  kernels::Learn learn = {};  ///< not empty: updates parameters in the backward pass; only if Network::updates_inside()
  double rate = 0;            ///< with `learn`: the learning rate, for layers that update themselves
  at::Tensor present = {};    ///< [batch, time] bool: false for missing time steps; undefined: all true
  std::shared_ptr<const Together> together =
      nullptr;         ///< the processes whose examples batch normalization counts; null: this process only
  bool plain = false;  ///< use the reference implementations of all fused layers, with tensor operations only
};

struct Named {
  std::string name;  ///< "weight"; in a network "layers.0.weight"
  at::Tensor value;
  /// Row sums that the code that writes the weight must keep up to date, if factors use them.
  std::shared_ptr<kernels::RowSums> sums = nullptr;
  std::shared_ptr<kernels::Storage> storage = nullptr;  ///< number format in which the weight is stored; null: as it is
  at::Tensor mask = {};  ///< of the weight's shape: 0 where no weight exists; undefined: all exist
};

/// A value in the forward pass of indirect feedback alignment, and two functions that carry an error upward past the
/// layer. Each function may be called once; it also accumulates the gradients of the layer's parameters.
struct Rising {
  using Way = std::function<at::Tensor(const at::Tensor& error)>;
  at::Tensor value;  ///< h', without a graph
  Way through;       ///< takes the error at the layer's input
  Way arrive;        ///< takes an error that arrives at the layer's value
};

/// A layer with parameters: z = affine(h), h' = dropout(activation(z)). It runs as one fused node if its tensors allow
/// that. Otherwise the operations of this class run, which are the reference of the fused form.
///   δ = m ⊙ φ'(z) ⊙ dL/dh'     dL/dh by an ErrorPath     dL/dW = rows ⊙ (δᵀ h) ⊙ columns
class Layer {
 public:
  virtual ~Layer() = default;
  at::Tensor weight;  ///< W, [unit, input, ...]
  at::Tensor bias;    ///< [unit], or undefined
  /// Of W's shape, or undefined: 1 where a weight exists, 0 where W is 0 and gets no gradient.
  at::Tensor weight_mask;
  credit::Factors factors;
  Rounding rounding;
  std::shared_ptr<kernels::Storage> storage;  ///< number format in which W is stored, or null

  /// Sets the options of the next batch. @param number  index of the layer in its network, from 0
  virtual void prepare(const Pass& pass, std::size_t number) = 0;
  /// @param h  released after it is read, if the caller moved it here
  /// @param path  how the error at z reaches h
  virtual at::Tensor forward(at::Tensor h, const ErrorPath& path) const;
  /// Whether the layer runs as a fused node for such an input.
  virtual bool fuses(const at::Tensor& h) const = 0;

  virtual bool updates_inside() const { return false; }  ///< see Pass::learn
  virtual bool requires_fused_update() const {
    return false;
  }  ///< the update is made in the backward pass; parameters receive no gradient

  /// Parameters that learn, W first.
  virtual std::vector<Named> parameters() const;
  virtual std::vector<Named> buffers() const { return {}; }
  /// Returns the responsibilities if they cannot be computed from W alone, else undefined.
  /// @param dim     0: [unit], summed over inputs; 1: [input], summed over units
  /// @param values  null, or values to use instead of parameters(), in their order
  virtual at::Tensor responsibility(std::int64_t /*dim*/, const credit::Rule&, const at::Tensor* /*values*/) const {
    return {};
  }
  /// The dropout mask of the prepared batch, [batch, unit]; undefined if nothing is dropped.
  virtual at::Tensor mask(std::int64_t /*batch*/) const { return {}; }

  /// @param masked  whether the dropout mask applies to the error
  virtual Rising rise(const at::Tensor& h, bool masked) const;

 protected:
  /// Returns the pre-activation. The gradients of W and b are multiplied by the row and column factors.
  virtual at::Tensor affine(const at::Tensor& h) const = 0;
  virtual at::Tensor activation(const at::Tensor& z) const = 0;
  virtual at::Tensor dropout(const at::Tensor& h) const { return h; }
  /// Returns z and sends its error to h through B.
  virtual at::Tensor fed_back(const at::Tensor& z, const at::Tensor& h, const at::Tensor& B) const;
  /// Returns dropout(activation(z)) and multiplies the error at z by the factor.
  virtual at::Tensor output(const at::Tensor& z) const;
  /// For rise(): W's product with an error, and the error at z carried to the value if pooling selects values.
  virtual at::Tensor carried(const at::Tensor& error) const;
  virtual at::Tensor chosen(const at::Tensor& error, const at::Tensor& /*z*/) const { return error; }
  /// Whether the factor applies after the activation. rise() then scales the error before it passes the activation.
  virtual bool scales_value() const { return false; }

  at::Tensor modulated(const at::Tensor& z) const;
  /// W and b for affine(), with the factors of the local version.
  std::pair<at::Tensor, at::Tensor> modulated_parameters() const;
};

}  // namespace grapes::nn
