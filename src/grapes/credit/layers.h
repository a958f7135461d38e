#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace torch::nn {
class Module;
}
namespace torch::jit {
struct Module;
}

/// A model that somebody else wrote, as credit assignment sees it: named weights, which of them belong together, and
/// how their nodes are counted.
namespace grapes::credit {

/// How the nodes of a weight are counted.
struct Layout {
  std::int64_t axis = 0;    ///< of the weight: 0 rows ([node, input, ...]); 1 columns ([input, node], x.mm(W))
  std::int64_t groups = 1;  ///< of a transposed convolution, [input, node / groups, ...] with axis 1; else 1
  bool operator==(const Layout&) const = default;
};

/// One layer of a foreign model.
struct Layer {
  std::vector<std::string> names;  ///< of its weight; a shared weight has several
  at::Tensor weight;               ///< at least two axes
  at::Tensor bias;                 ///< or undefined; found by name
  std::string recurrent_name;      ///< of an RNN, LSTM or GRU: "...weight_hh..."
  at::Tensor recurrent;            ///< R, [gates · node, node], or undefined
  at::Tensor recurrent_bias;       ///< or undefined
  std::int64_t gates = 1;          ///< blocks of rows: 1 for RNN, 4 for LSTM, 3 for GRU
  Layout layout;                   ///< by the type of its module, rows where that says nothing
  std::string strange;             ///< why it has no responsibility, if it has none: "an embedding", ...; else empty
};

/// What a model's parameters are called, and what is known from the types of its modules.
struct Foreign {
  std::vector<std::pair<std::string, at::Tensor>> parameters;
  std::map<std::string, Layout> layouts;       ///< by name of the parameter, where it is not rows
  std::map<std::string, std::string> strange;  ///< by name of the parameter: see Layer::strange
};
Foreign foreign(const torch::nn::Module& model);
Foreign foreign(const torch::jit::Module& model);

/// Its layers, in the order of its parameters: every weight with two or more axes. weight_ih* and weight_hh* of one
/// RNN, LSTM or GRU (PyTorch's names, cells and `_reverse` included) are one layer.
std::vector<Layer> layers_of(const Foreign& model);

/// "fc.weight", or "lstm.weight_ih_l0 + lstm.weight_hh_l0".
std::string name_of(const Layer& layer);
/// Whether `name` means this layer: the name of its weight ("encoder.0.weight") or of a module that it lies in
/// ("encoder.0", "encoder").
bool is_named(const Layer& layer, const std::string& name);
/// @throws c10::Error unless each of `names` means a layer; `what` is the option that holds them, "backward: include"
void require_names(const std::vector<Layer>& layers, const std::vector<std::string>& names, const std::string& what);
/// Whether any of `names` means this layer.
bool is_listed(const Layer& layer, const std::vector<std::string>& names);

/// What makes a factor of weights.
struct FactorOptions {
  std::string modulation = "grapes";  ///< a row of modulations()
  std::vector<double> constants;      ///< of `constant`: one for all layers, or one each
  double gain = 2, low = 1, high = 2;
  bool input_only = false;  ///< r = Σ|W| without Σ|R|
  bool per_gate = false;    ///< every gate a node of its own, normalized over its own gate
  std::uint64_t seed = 0;   ///< of `shuffled`
};

/// The factor of every row (of every node, for a Layout that is not rows), by the modulation of `options`.
/// A recurrent node's responsibility is the sum over all of its gates, and all of them get its factor:
///   r[n] = Σ_g (Σ_i |W[g·N+n, i]| + Σ_j |R[g·N+n, j]|)                       after Dellaferrera et al. 2022
/// @param number  which layer it is, for constants and for the stream of `shuffled`
/// @param batch   for the stream of `shuffled`
/// @return [gates · node], no gradient; undefined for `none`
/// @throws c10::ValueError naming the layer, if a weight is not finite
at::Tensor layer_factor(const Layer& layer, const Layout& layout, const FactorOptions& options, std::size_t number,
                        std::int64_t batch);

/// m so that it multiplies a tensor of the weight's shape node by node. @return broadcastable to weight.sizes()
at::Tensor over_weight(const at::Tensor& m, const at::Tensor& weight, const Layout& layout);

}  // namespace grapes::credit
