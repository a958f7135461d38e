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
  virtual at::Tensor forward(const Blocks& blocks, const at::Tensor& inputs) const;

  // The same for networks that are no chains: they call each block with its transport and close() the logits.

  /// Whether the error runs from the first block upwards: then a network that is no chain has to see to it by itself.
  virtual bool upwards() const { return false; }

  /// How the error at block l (from 0) goes to what the block is made of.
  virtual Transport transport(const Blocks& blocks, std::size_t l) const = 0;
  /// The logits; the hidden blocks' values receive what the route sends them from there.
  /// @param values  of the hidden blocks, in their order, each [batch, ...]
  virtual at::Tensor close(const at::Tensor& logits, const Blocks& blocks, const std::vector<at::Tensor>& values) const;
};

struct RouteOptions {
  std::string name = "bp";      ///< a row of routes()
  bool unmasked_first = false;  ///< IFA oddity of the authors' program: the first layer's error ignores dropout
};

/// What B, the feedback weight of hidden block l, is shaped as.
enum class Feedback {
  none,
  above,   ///< block l+1's own weight (dense: transposed): it brings the error from there
  direct,  ///< [nodes of block l, outputs]: from the logits
  first    ///< the same, of the first block only
};

struct RouteRow {
  std::string name;
  std::string summary;
  Responsibility responsibility;  ///< GRAPES here, as the authors' program computes it
  bool clipped;                   ///< whether their factors are clipped here
  bool forgets;                   ///< no error runs back in time between nodes: only for networks over time
  bool lookahead;                 ///< whether their factors see Nesterov's look-ahead weights here
  Feedback feedback;
  std::unique_ptr<Route> (*make)(const RouteOptions& options);
};
const std::vector<RouteRow>& routes();

/// `options` with by_route replaced by what the authors' program does on this route.
ModulationOptions resolve(ModulationOptions options, const RouteRow& route);

}  // namespace grapes::credit
