#pragma once

#include "grapes/nn/network.h"

namespace grapes::nn {

/// Checks that the options are valid and fit the stages. @param rule  as returned by credit::resolved()
/// @throws UsageError with the first option that is invalid or not supported
void require_possible(const Options& options, const Stages& stages, const Signature& signature,
                      const credit::Rule& rule);

}  // namespace grapes::nn
