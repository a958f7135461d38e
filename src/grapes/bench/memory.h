#pragma once

#include "grapes/bench/step.h"

#include <cstdint>
#include <vector>

namespace grapes::bench {

/// Returns the most tensor memory that exists at one time in a training step, in bytes, with weights and inputs.
std::int64_t peak_bytes(const Step& step);

/// Memory of a training step.
struct MemoryPoint {
  std::int64_t time_steps = 0;  ///< 0: the model has no time steps
  std::int64_t stored = 0;      ///< peak if activations are stored, in bytes
  std::int64_t recomputed = 0;  ///< peak with recompute; 0: only convolutional networks have it
};

/// Measures the memory of a training step on `batch` random examples of the data that step.info describes. A model with
/// time steps is measured at a quarter, a half, one and two times this number of time steps.
std::vector<MemoryPoint> memory_of(Step step, std::int64_t batch, std::int64_t time_steps);

}  // namespace grapes::bench
