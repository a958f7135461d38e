#pragma once

#include <string>

/// A device that is no CPU, for tests on machines that have no GPU. LibTorch takes it for a device of its own: what is
/// kept here is found out by that, and every operation refuses tensors that are not all on it. In truth its memory is
/// the host's, and the CPU computes.
namespace grapes::testing {

/// Makes it known to LibTorch. @return its name, for nn::Options::device
std::string other_device();
/// Operations that it has been asked for so far.
long operations_there();

}  // namespace grapes::testing
