#pragma once

#include <string>

/// A device that is not a CPU, for tests on machines without a GPU. LibTorch treats it as a separate device. Tensors
/// that were left on the CPU are detected, because every operation throws unless all tensors are on the device. Its
/// memory is the host's memory, and the CPU computes.
namespace grapes::testing {

/// Registers the device with LibTorch. @return its name, for nn::Options::device
std::string other_device();
/// Number of operations that it has executed.
long operations_there();

}  // namespace grapes::testing
