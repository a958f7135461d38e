#pragma once

#include "grapes/data/open.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"
#include "grapes/record/record.h"

namespace grapes::train {

/// What a spiking network does with the first few test examples (else validation, else training ones), for pictures:
/// see record.h, samples.json. Null for other networks.
record::Json samples(nn::Network& model, const data::Splits& splits, const nn::Criterion& criterion);

/// A chorale as samples.json has it. @param bits, probabilities  [time, 88]; the first of them may be undefined
record::Json roll(const at::Tensor& bits, const at::Tensor& probabilities);

}  // namespace grapes::train
