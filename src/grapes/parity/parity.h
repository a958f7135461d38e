#pragma once

#include "grapes/parity/case.h"

#include <string>
#include <vector>

/// Parity with the authors' program: a case that they ran is trained by the layers, rules, optimizers and the loop of
/// `grapes train`, and what comes out is compared.
namespace grapes::parity {

struct Options {
  at::ScalarType dtype = at::kDouble;  ///< or kFloat
  bool plain = false;                  ///< by the plain reference of all fused code
};

struct Result {
  struct Line {
    std::string what;       ///< "weights after 4 updates", "outputs", "factors"
    double difference = 0;  ///< the largest in absolute value; infinite if a number is missing or not a number
  };
  std::vector<Line> lines;
  double tolerance = 0;  ///< 1e-12 in float64, 2e-6 in float32
  Snapshots weights;     ///< our own
  bool passed() const;
};
Result compare(const Case& recorded, const Options& options = {});

}  // namespace grapes::parity
