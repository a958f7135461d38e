#pragma once

#include "grapes/credit/modulation.h"

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// How the error reaches a node. A learning rule is a pair: route × modulation.
namespace grapes::credit {

/// One layer of a chain, as credit assignment sees it: z = affine(h, W, b), h = dropout(activation(z)).
struct Block {
  at::Tensor weight;    ///< W^l
  at::Tensor bias;      ///< or undefined
  at::Tensor feedback;  ///< B of this hidden layer, if the route needs one
  Factors factors;
  std::function<at::Tensor(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias)> affine;
  std::function<at::Tensor(const at::Tensor& z)> activation;
  std::function<at::Tensor(const at::Tensor& h)> dropout;  ///< identity where there is none
};

class Route {
 public:
  virtual ~Route() = default;
  /// Logits of the chain, with a graph whose backward pass follows the route. The value does not depend on the route.
  /// @param blocks  L of them, the last one the output layer (no activation, no dropout, no factors)
  /// @param inputs  h^0, [batch, ...]
  virtual at::Tensor forward(const std::vector<Block>& blocks, const at::Tensor& inputs) const = 0;
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
  bool lookahead;                 ///< whether their factors see Nesterov's look-ahead weights here
  /// Shape of B for hidden layer l (1 ... L-1) of a chain with `nodes` n_0 ... n_L; {0, 0}: none.
  std::pair<std::int64_t, std::int64_t> (*feedback)(const std::vector<std::int64_t>& nodes, std::size_t l);
  std::unique_ptr<Route> (*make)(const RouteOptions& options);
};
const std::vector<RouteRow>& routes();

/// `options` with by_route replaced by what the authors' program does on this route.
ModulationOptions resolve(ModulationOptions options, const RouteRow& route);

}  // namespace grapes::credit
