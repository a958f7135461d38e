#pragma once

#include "grapes/data/open.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"
#include "grapes/record/record.h"

namespace grapes::train {

/// Returns the activity of a spiking network on the first few test examples, else validation, else training examples,
/// for plots; see samples.json in record.h. Null for other networks.
record::Json samples(nn::Network& model, const data::Splits& splits, const nn::Criterion& criterion);

/// Converts a chorale to the form of samples.json. @param bits, probabilities  [time, 88]; bits may be undefined
record::Json roll(const at::Tensor& bits, const at::Tensor& probabilities);

}  // namespace grapes::train
