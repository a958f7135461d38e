#pragma once

#include "grapes/parity/case.h"

#include <string>
#include <vector>

/// Parity with the authors' program: a recorded case is trained with the layers, rules, optimizers and loop of `grapes
/// train`, and the results are compared.
namespace grapes::parity {

struct Options {
  at::ScalarType dtype = at::kDouble;  ///< or kFloat
  bool plain = false;                  ///< use the reference implementations of all fused code
};

struct Result {
  struct Line {
    std::string what;       ///< "weights after 4 updates", "outputs", "factors"
    double difference = 0;  ///< largest absolute difference; infinite if a number is missing or NaN
  };
  std::vector<Line> lines;
  double tolerance = 0;  ///< 1e-12 in float64, 2e-6 in float32
  Snapshots weights;     ///< results of Grapes
  bool passed() const;
};
Result compare(const Case& recorded, const Options& options = {});

}  // namespace grapes::parity
