#pragma once

#include "grapes/credit/block.h"

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

/// How the error reaches a node. A learning rule is a pair: route × modulation.
namespace grapes::credit {

class Route {
 public:
  virtual ~Route() = default;
  /// Logits of the chain, with a graph whose backward pass follows the route. The value does not depend on the route.
  /// @param blocks  L of them, the last one the output layer (no activation, no dropout, no factors)
  /// @param inputs  h^0, [batch, ...]
  virtual at::Tensor forward(const Blocks& blocks, const at::Tensor& inputs) const = 0;
};

struct RouteOptions {
  std::string name = "bp";      ///< a row of routes()
  bool unmasked_first = false;  ///< IFA oddity of the authors' program: the first layer's error ignores dropout
};

struct RouteRow {
  std::string name;
  std::string summary;
  Responsibility responsibility;  ///< GRAPES here, as the authors' program computes it
  bool clipped;                   ///< whether their factors are clipped here
  bool forgets;                   ///< no error runs back in time between nodes: only for networks over time
  bool lookahead;                 ///< whether their factors see Nesterov's look-ahead weights here
  /// Shape of B for hidden layer l (1 ... L-1) of a chain with `nodes` n_0 ... n_L; {0, 0}: none.
  std::pair<std::int64_t, std::int64_t> (*feedback)(const std::vector<std::int64_t>& nodes, std::size_t l);
  std::unique_ptr<Route> (*make)(const RouteOptions& options);
};
const std::vector<RouteRow>& routes();

/// `options` with by_route replaced by what the authors' program does on this route.
ModulationOptions resolve(ModulationOptions options, const RouteRow& route);

}  // namespace grapes::credit
