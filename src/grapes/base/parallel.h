#pragma once

#include <cstdint>
#include <functional>

namespace grapes {

/// Calls `work` once for each number 0 ... count-1, on at most this many threads. The order is undefined.
/// @throws the exception for the smallest number that failed
void for_each_number(std::int64_t count, int threads, const std::function<void(std::int64_t)>& work);

}  // namespace grapes
