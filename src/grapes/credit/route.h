#pragma once

#include "grapes/credit/block.h"
#include "grapes/credit/rule.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

/// How the error reaches a unit. A learning rule is a pair: route × modulation.
namespace grapes::credit {

/// Which fixed feedback weights a route has.
enum class Feedback {
  none,
  above,   ///< each layer above a hidden one brings it its error through B, shaped as the layer's own weight
  direct,  ///< the logits bring every hidden layer its error, through B [units of the layer, outputs]
  first    ///< the same, of the first layer only; from there the error runs upwards, through the weights
};

/// A way for the error: a row of routes() is all that a layer or a network needs to know of it.
struct Route {
  std::string name;
  std::string summary;
  Responsibility responsibility;  ///< GRAPES here, as the authors' program computes it
  bool clipped;                   ///< whether their factors are clipped here
  bool local_in_time;             ///< no error runs back in time between units: only for networks over time
  bool lookahead;                 ///< whether their factors see Nesterov's look-ahead weights here
  Feedback feedback;
  /// How the error at the pre-activation of a layer with the weight W goes to the layer below. @param B Feedback::above
  ErrorPath (*down)(const at::Tensor& W, const at::Tensor& B);

  bool upwards() const { return feedback == Feedback::first; }
};
const std::vector<Route>& routes();
/// @throws UsageError for a name that is in no row
const Route& route_of(const Rule& rule);

/// How the error at block l (from 0) goes to the block below.
ErrorPath transport(const Route& route, const Blocks& blocks, std::size_t l);
/// Logits of a chain, with a graph whose backward pass follows the route. The value does not depend on the route.
/// @param blocks  L of them, the last one the output layer (no activation, no dropout, no factors)
/// @param inputs  h^0, [batch, ...]
at::Tensor forward(const Route& route, const Blocks& blocks, const at::Tensor& inputs, bool unmasked_first = false);
/// The logits; the hidden blocks' values receive what a direct route sends them from there.
/// @param values  of the hidden blocks, in their order, each [batch, ...]
at::Tensor close(const Route& route, const at::Tensor& logits, const Blocks& blocks,
                 const std::vector<at::Tensor>& values);

}  // namespace grapes::credit
