#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace torch::nn {
class Module;
}
namespace torch::jit {
struct Module;
}

/// A model that somebody else wrote, as credit assignment sees it: its layers, their weights, and how their units are
/// counted.
namespace grapes::credit {

struct Rule;

/// How the units of a weight are counted.
struct Layout {
  std::int64_t axis = 0;    ///< of the weight: 0 rows ([unit, input, ...]); 1 columns ([input, unit], x.mm(W))
  std::int64_t groups = 1;  ///< of a transposed convolution, [input, unit / groups, ...] with axis 1; else 1
  bool operator==(const Layout&) const = default;
};

/// What can be modulated: a weight with two axes or more and what belongs to it. weight_ih* and weight_hh* of one RNN,
/// LSTM or GRU (PyTorch's names, cells and `_reverse` included) are one.
struct ModuleInfo {
  std::string name;                  ///< of the module, "encoder.0"; "lstm.l0_reverse"; a weight's own name, "scale"
  std::vector<std::string> weights;  ///< names of its weights; a shared weight has several
  at::Tensor weight;                 ///< W, at least two axes
  at::Tensor bias;                   ///< or undefined; found by name
  at::Tensor recurrent;              ///< R, [gates · unit, unit], or undefined
  at::Tensor recurrent_bias;         ///< or undefined
  std::int64_t gates = 1;            ///< blocks of rows: 1 for RNN, 4 for LSTM, 3 for GRU
  Layout layout;                     ///< by the type of its module, rows where that says nothing
  std::string unsupported_reason;    ///< why it cannot be modulated, "an embedding"; empty if it can
};

/// The layers of a model, in the order of its parameters.
std::vector<ModuleInfo> modules_of(const torch::nn::Module& model);
std::vector<ModuleInfo> modules_of(const torch::jit::Module& model);
/// @param parameters  (name, tensor)
std::vector<ModuleInfo> modules_of(const std::vector<std::pair<std::string, at::Tensor>>& parameters);

/// Whether a pattern means this layer: the name of a weight ("encoder.0.weight"), of the module that it belongs to or
/// lies in ("encoder.0", "encoder"), or a shell pattern of such a name ("*.0").
bool matches(const ModuleInfo& module, const std::string& pattern);
bool matches_any(const ModuleInfo& module, const std::vector<std::string>& patterns);
/// @throws c10::Error unless each pattern means a layer; `what` is the option that holds them, "backward: include"
void require_matches(const std::vector<ModuleInfo>& modules, const std::vector<std::string>& patterns,
                     const std::string& what);

/// The rule of a model that somebody else wrote, resolved.
/// @param what  who asks, "backward"
/// @throws c10::ValueError unless it can be: a known modulation, its constants, the route bp, responsibility incoming
///         or input
Rule require_rule(const Rule& rule, const std::string& what);

/// The factor of every row of a weight (of every unit, for a Layout that is not rows).
/// A recurrent unit's responsibility is the sum over all of its gates, and all of them get its factor:
///   r[n] = Σ_g (Σ_i |W[g·N+n, i]| + Σ_j |R[g·N+n, j]|)                       after Dellaferrera et al. 2022
/// Of weights in 16 bits the factor is made and returned in 32.
/// @param rule    a resolved one
/// @param number  which layer it is, for constants and for the stream of `shuffled`
/// @param batch   for the stream of `shuffled`
/// @return [gates · unit], no gradient; undefined for the modulation `none`
/// @throws c10::ValueError naming the layer, if a weight is not finite
at::Tensor layer_factor(const ModuleInfo& module, const Layout& layout, const Rule& rule, std::size_t number,
                        std::int64_t batch);

/// m so that it multiplies a tensor of the weight's shape unit by unit. @return broadcastable to weight.sizes()
at::Tensor over_weight(const at::Tensor& m, const at::Tensor& weight, const Layout& layout);

}  // namespace grapes::credit
