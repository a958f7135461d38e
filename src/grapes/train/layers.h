#pragma once

#include "grapes/nn/network.h"
#include "grapes/record/record.h"

#include <vector>

namespace grapes::train {

/// The "layers" of an epoch's row (see record.h): norms of each weight, and of its gradient where `gradient_norms` (one
/// per parameter) has them, and the distribution of the factors that the last training pass used; of spiking layers, if
/// the model was `evaluated`, what they did in the last of these passes.
record::Json describe_layers(const nn::Network& model, const std::vector<double>& gradient_norms, bool evaluated);

/// Mean, standard deviation, range and histogram of factors: 20 counts over (0, 2], the last one also for all above.
record::Json describe_factor(const at::Tensor& factor);

}  // namespace grapes::train
