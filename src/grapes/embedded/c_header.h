#pragma once

#include "grapes/fixed/network.h"

#include <string>
#include <vector>

namespace grapes::embedded {

/// A network in integers as one C99 header of static functions: NAME_init, NAME_infer and, where it learns, NAME_learn;
/// its formats, its costs and how it is used stand in the header itself. The code is network.c, after the settings that
/// choose its parts and the network's tables; it computes what fixed::infer and fixed::learn compute, bit for bit.
/// @param name   a C identifier: what all names begin with
/// @param about  lines for its reader: where it comes from, how its inputs are scaled
/// @throws UsageError if the name is none, or the network cannot be (fixed::check)
std::string c_header(const fixed::Network& network, const std::string& name, const std::vector<std::string>& about);

/// Bytes a state takes, and the trained numbers in flash, on a machine where uint32_t is aligned to 4.
struct CSize {
  std::size_t state = 0, constants = 0;
};
CSize c_size(const fixed::Network& network);

}  // namespace grapes::embedded
