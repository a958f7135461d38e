#pragma once

#include "grapes/nn/network.h"

namespace grapes::nn {

/// @param rule  resolved
/// @throws UsageError for what fits no network, or none of these stages
void require_possible(const Options& options, const Stages& stages, const Signature& signature,
                      const Precision& precision, const credit::Rule& rule);

}  // namespace grapes::nn
