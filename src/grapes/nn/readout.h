#pragma once

#include "grapes/nn/neuron.h"

#include <string>
#include <vector>

namespace grapes::nn {

/// What a layer says after all steps.
struct Readout {
  std::string name;
  std::string summary;
  bool membrane;  ///< of s, else of y
  /// From [time, batch, node] to [batch, node]. @param present [time, batch], or undefined: steps that count
  at::Tensor (*reduce)(const at::Tensor& value, const at::Tensor& present);

  at::Tensor read(const SnuTrace& trace, const at::Tensor& present) const {
    return reduce(membrane ? trace.membrane : trace.output, present);
  }
};
/// mean_rate, last_membrane, max_membrane, integrated_membrane
const std::vector<Readout>& readouts();

}  // namespace grapes::nn
