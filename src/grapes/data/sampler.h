#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace grapes::data {

/// The order in which an epoch visits 0 ... n-1, a pure function of (seed, epoch): nothing to remember to resume, and
/// no two epochs or seeds alike. [n] int64.
at::Tensor shuffled_order(std::int64_t n, std::uint64_t seed, std::int64_t epoch);
/// The order of the file: 0 ... n-1.
at::Tensor file_order(std::int64_t n);

}  // namespace grapes::data
