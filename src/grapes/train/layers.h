#pragma once

#include "grapes/nn/network.h"
#include "grapes/record/record.h"

#include <vector>

namespace grapes::train {

/// What was measured at the end of an epoch. What is empty was not measured.
struct Measured {
  std::vector<double> gradient_norms = {}, update_norms = {};  ///< of the last batch, per parameter
  bool evaluated = false;                                      ///< whether the model was evaluated
  std::vector<record::Json> alignment = {}, dose = {};         ///< per layer, see alignment() and dose()
};

/// Returns the "layers" of an epoch's row (see record.h): the norm of each weight, what was measured, and the
/// distribution of the factors of the last training pass. If the model was evaluated, spiking layers also have their
/// activity in the last evaluation pass.
record::Json describe_layers(const nn::Network& model, const Measured& measured);

/// Returns mean, standard deviation, range and histogram of factors: 20 counts over (0, 2]; the last one includes all
/// above 2.
record::Json describe_factor(const at::Tensor& factor);

}  // namespace grapes::train
