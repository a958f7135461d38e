#pragma once

#include "grapes/fixed/network.h"

#include <string>
#include <vector>

namespace grapes::embedded {

/// Returns an integer network as a C99 header of static functions: NAME_init, NAME_infer and, with learning,
/// NAME_learn. A comment in the header documents formats, costs and use. The code is network.c, preceded by the
/// network's settings and tables. It computes the same bits as fixed::infer and fixed::learn.
/// @param name   a C identifier, the prefix of all names
/// @param about  comment lines: origin, scaling of the inputs
/// @throws UsageError if the name is not an identifier, or the network is invalid (fixed::check)
std::string c_header(const fixed::Network& network, const std::string& name, const std::vector<std::string>& about);

/// Size of a state, and of the trained numbers in flash, in bytes, if uint32_t is aligned to 4.
struct CSize {
  std::size_t state = 0, constants = 0;
};
CSize c_size(const fixed::Network& network);

}  // namespace grapes::embedded
