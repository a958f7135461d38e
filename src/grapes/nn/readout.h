#pragma once

#include "grapes/nn/neuron.h"

#include <string>
#include <vector>

namespace grapes::nn {

/// Computes a layer's answer from all time steps.
struct Readout {
  std::string name;
  std::string summary;
  bool membrane;  ///< uses the membrane s instead of y
  /// Maps [time, batch, unit] to [batch, unit]. @param present  [time, batch], steps that count; undefined: all
  at::Tensor (*reduce)(const at::Tensor& value, const at::Tensor& present);

  at::Tensor read(const SnuTrace& trace, const at::Tensor& present) const {
    return reduce(membrane ? trace.membrane : trace.output, present);
  }
};
/// mean_rate, last_membrane, max_membrane, integrated_membrane
const std::vector<Readout>& readouts();

}  // namespace grapes::nn
