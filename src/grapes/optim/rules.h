#pragma once

#include "grapes/optim/optimizer.h"

#include <memory>
#include <vector>

namespace grapes::optim {

// The rows' makers, one file each.
std::unique_ptr<Optimizer> make_sgd(const Options& options, std::vector<Parameter> parameters);
std::unique_ptr<Optimizer> make_momentum(const Options& options, std::vector<Parameter> parameters);
std::unique_ptr<Optimizer> make_nag(const Options& options, std::vector<Parameter> parameters);
std::unique_ptr<Optimizer> make_rmsprop(const Options& options, std::vector<Parameter> parameters);
std::unique_ptr<Optimizer> make_adam(const Options& options, std::vector<Parameter> parameters);

/// One zero tensor per parameter, for velocities and moments.
std::vector<at::Tensor> zeros_for(const std::vector<Parameter>& parameters);
/// Named "NAME.0", "NAME.1", ... for a checkpoint.
void add_state(std::vector<Optimizer::State>& state, const char* name, const std::vector<at::Tensor>& tensors);

}  // namespace grapes::optim
