#pragma once

#include "grapes/data/dataset.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace grapes::data {

/// Two disjoint parts of the rows 0 ... n-1, each in ascending order, that together contain all rows.
struct Parts {
  at::Tensor taken;  ///< [count] int64
  at::Tensor rest;   ///< [n - count] int64
};

/// Draws `count` of n examples by seed. For class numbers ([n] int64) the draw is stratified: each class gives its
/// share, rounded by the largest remainders so that the shares sum to `count`. Otherwise it is random.
/// @param name  name of the random stream; draws with different names are independent
Parts draw(const at::Tensor& targets, std::int64_t count, std::uint64_t seed, std::string_view name);

/// Converts a part to a number of examples. A part is a fraction 0 <= part < 1 of n, or a whole number from 1 to n-1.
/// @param field  the setting, for messages @throws UsageError for that setting
std::int64_t part_of(std::int64_t n, double part, const std::string& field);

}  // namespace grapes::data
