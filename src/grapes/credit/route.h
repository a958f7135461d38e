#pragma once

#include "grapes/credit/rule.h"
#include "grapes/kernels/dense.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

/// How the error reaches a unit. A learning rule is a route and a modulation.
namespace grapes::credit {

using kernels::ErrorPath;

/// Which feedback weights a route has.
enum class Feedback {
  none,
  above,   ///< each layer sends its error to the layer below through B, which has the shape of the layer's own weight
  direct,  ///< the logits send their error to every hidden layer through B [units of the layer, outputs]
  first    ///< the logits send their error to the first layer only; from there it runs upward through the weights
};

/// What the feedback weights of a route are.
enum class FeedbackWeights {
  fixed,    ///< drawn once
  scale,    ///< a single number, the root mean square of a drawn B; see magnitude()
  redrawn,  ///< drawn again for every batch
  learned   ///< B receives the gradient of the weight that it replaces, and so the same update and decay; see mirror()
};

/// A row of the table of routes. Layers and networks need nothing else to follow a route.
struct Route {
  std::string name;
  std::string summary;
  Responsibility responsibility;  ///< the responsibility that the authors' program uses on this route
  bool clipped;                   ///< whether the authors' program clips factors on this route
  bool local_in_time;             ///< no error runs back in time between units; only for networks over time
  Feedback feedback;
  FeedbackWeights weights;
  /// Returns how the error at the pre-activation of a layer reaches the layer below. @param W  weight of the layer
  /// @param B  its feedback weight, with Feedback::above
  ErrorPath (*down)(const at::Tensor& W, const at::Tensor& B);

  bool upwards() const { return feedback == Feedback::first; }
};
const std::vector<Route>& routes();
/// Returns the number that FeedbackWeights::scale uses: the root mean square of a drawn B, [].
at::Tensor magnitude(const at::Tensor& B);
/// @throws c10::ValueError for an unknown name
const Route& route_of(const Rule& rule);

}  // namespace grapes::credit
