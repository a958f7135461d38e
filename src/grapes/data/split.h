#pragma once

#include "grapes/data/dataset.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace grapes::data {

/// Two parts of the rows 0 ... n-1, each in ascending order, together all of them.
struct Parts {
  at::Tensor taken;  ///< [count] int64
  at::Tensor rest;   ///< [n - count] int64
};

/// Draw `count` of n examples by seed. Class numbers ([n] int64) are drawn from stratified: each class gives its share,
/// rounded by largest remainder so that the shares add up to `count`. Other targets: at random.
/// @param name  of the random stream, so that two draws with the same seed are independent
Parts draw(const at::Tensor& targets, std::int64_t count, std::uint64_t seed, std::string_view name);

/// A part as people write it: a fraction 0 <= part < 1 of n, or a whole number >= 1 that leaves something over.
/// @param field  the setting that it is the value of. @throws UsageError of that field
std::int64_t part_of(std::int64_t n, double part, const std::string& field);

}  // namespace grapes::data
