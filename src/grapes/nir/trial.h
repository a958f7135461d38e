#pragma once

#include <functional>

namespace grapes::nir {

/// Whether `act`, done in a process of its own, comes to an end: it does not crash, and does not take more than so many
/// seconds of a processor, or twice as many of the clock. An exception is an end like any other. Nothing that it does
/// is seen here.
bool survives(const std::function<void()>& act, int seconds);

}  // namespace grapes::nir
