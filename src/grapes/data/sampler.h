#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace grapes::data {

/// Returns the order in which an epoch visits 0 ... n-1, [n] int64. It is a pure function of (seed, epoch), so no state
/// must be saved to resume.
at::Tensor shuffled_order(std::int64_t n, std::uint64_t seed, std::int64_t epoch);
/// Returns the order of the file: 0 ... n-1.
at::Tensor file_order(std::int64_t n);

}  // namespace grapes::data
