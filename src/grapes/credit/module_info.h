#pragma once

#include "grapes/credit/shard.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace torch::nn {
class Module;
}
namespace torch::jit {
struct Module;
}

/// Layers of an existing model: their weights, and how their units are counted.
namespace grapes::credit {

struct Rule;

/// Which elements of a weight belong to a unit.
struct Layout {
  std::int64_t axis =
      0;  ///< axis of the units: 0 for rows ([unit, input, ...]), 1 for columns ([input, unit], x.mm(W))
  std::int64_t groups = 1;  ///< groups of a transposed convolution, [input, unit / groups, ...] with axis 1; else 1
  bool operator==(const Layout&) const = default;
};

/// A layer that can be modulated: a weight with at least two axes, and the parameters that belong to it. weight_ih* and
/// weight_hh* of an RNN, LSTM or GRU form one layer. They are found by PyTorch's names, also in cells and with
/// `_reverse`.
struct ModuleInfo {
  std::string name;                  ///< of the module ("encoder.0", "lstm.l0_reverse") or of the parameter ("scale")
  std::vector<std::string> weights;  ///< names of its weights; a shared weight has several
  at::Tensor weight;                 ///< W, at least two axes
  at::Tensor bias;                   ///< b, found by name, or undefined
  at::Tensor recurrent;              ///< R, [gates · unit, unit], or undefined
  at::Tensor recurrent_bias;         ///< bias of R, or undefined
  std::int64_t gates = 1;            ///< number of blocks of rows: 1 for RNN, 4 for LSTM, 3 for GRU
  Layout layout;                     ///< depends on the type of the module; rows if the type is unknown
  std::optional<Shard> shard;        ///< if the weight is divided over processes
  std::string unsupported_reason;    ///< why it cannot be modulated ("an embedding"); empty if it can
};

/// Returns the layers of a model, in the order of its parameters.
std::vector<ModuleInfo> modules_of(const torch::nn::Module& model);
std::vector<ModuleInfo> modules_of(const torch::jit::Module& model);
/// @param parameters  pairs of name and tensor
std::vector<ModuleInfo> modules_of(const std::vector<std::pair<std::string, at::Tensor>>& parameters);

/// Whether a pattern matches this layer. A pattern is the name of a weight ("encoder.0.weight"), of its module or a
/// parent module ("encoder.0", "encoder"), or a shell pattern of such a name ("*.0").
bool matches(const ModuleInfo& module, const std::string& pattern);
bool matches_any(const ModuleInfo& module, const std::vector<std::string>& patterns);
/// Checks that each pattern matches a layer. @param what  name of the option in the message, "backward: include"
/// @throws c10::Error if one matches none
void require_matches(const std::vector<ModuleInfo>& modules, const std::vector<std::string>& patterns,
                     const std::string& what);

/// Returns the resolved rule for an existing model.
/// @param what  caller's name in the message, "backward"
/// @throws c10::ValueError if resolved() refuses the rule, the route is not bp, or the responsibility is neither
///   incoming nor input
Rule require_rule(const Rule& rule, const std::string& what);

/// Computes the factor of every unit of a weight. In a recurrent layer a unit's responsibility is summed over all of
/// its gates, and all gates get the same factor:
///   r[n] = Σ_g (Σ_i |W[g·N+n, i]| + Σ_j |R[g·N+n, j]|)                       after Dellaferrera et al. 2022
/// For 16-bit weights the factor is computed and returned in 32 bits. If the weight is divided over processes, all must
/// call this function; each receives the factors of its own part.
/// @param rule    as returned by resolved()
/// @param number  index of the layer, for constants and for the random stream of `shuffled`
/// @param batch   index of the batch, for the random stream of `shuffled`
/// @return [gates · unit], without a gradient; undefined for the modulation `none`
/// @throws c10::ValueError with the layer's name if a weight is not finite
at::Tensor layer_factor(const ModuleInfo& module, const Layout& layout, const Rule& rule, std::size_t number,
                        std::int64_t batch);

/// Reshapes m so that it scales the weight by unit. @return tensor that broadcasts to weight.sizes()
at::Tensor over_weight(const at::Tensor& m, const at::Tensor& weight, const Layout& layout);

}  // namespace grapes::credit
