#pragma once

#include "grapes/credit/rule.h"
#include "grapes/kernels/dense.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

/// How the error reaches a unit. A learning rule is a pair: route × modulation.
namespace grapes::credit {

using kernels::ErrorPath;

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
  Feedback feedback;
  /// How the error at the pre-activation of a layer with the weight W goes to the layer below. @param B Feedback::above
  ErrorPath (*down)(const at::Tensor& W, const at::Tensor& B);

  bool upwards() const { return feedback == Feedback::first; }
};
const std::vector<Route>& routes();
/// @throws c10::ValueError for a name that is in no row
const Route& route_of(const Rule& rule);

}  // namespace grapes::credit
