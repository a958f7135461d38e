#pragma once

#include <cstdint>

namespace grapes {

/// Returns the number of bytes that this process can still allocate: what the system has available, within the limits
/// of its control group (version 2) and of its address space.
std::uint64_t available_memory();

}  // namespace grapes
