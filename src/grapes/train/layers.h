#pragma once

#include "grapes/nn/network.h"
#include "grapes/record/record.h"

#include <vector>

namespace grapes::train {

/// Returns the "layers" of an epoch's row (see record.h): the norm of each weight, the norm of its gradient if
/// `gradient_norms` (one per parameter) is not empty, and the distribution of the factors of the last training pass. If
/// the model was `evaluated`, spiking layers also have their activity in the last evaluation pass.
/// @param alignment  see alignment(), or empty
record::Json describe_layers(const nn::Network& model, const std::vector<double>& gradient_norms, bool evaluated,
                             const std::vector<record::Json>& alignment = {});

/// Returns mean, standard deviation, range and histogram of factors: 20 counts over (0, 2]; the last one includes all
/// above 2.
record::Json describe_factor(const at::Tensor& factor);

}  // namespace grapes::train
