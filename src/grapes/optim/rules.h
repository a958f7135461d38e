#pragma once

#include "grapes/optim/optimizer.h"

#include <memory>
#include <vector>

namespace grapes::optim {

// Constructors of the rows, one per file.
std::unique_ptr<Optimizer> make_sgd(const Options& options, std::vector<Parameter> parameters);
std::unique_ptr<Optimizer> make_momentum(const Options& options, std::vector<Parameter> parameters);
std::unique_ptr<Optimizer> make_nag(const Options& options, std::vector<Parameter> parameters);
std::unique_ptr<Optimizer> make_rmsprop(const Options& options, std::vector<Parameter> parameters);
std::unique_ptr<Optimizer> make_adam(const Options& options, std::vector<Parameter> parameters);

/// Returns one zero tensor per parameter, for velocities and moments.
std::vector<at::Tensor> zeros_for(const std::vector<Parameter>& parameters);
/// Adds tensors named "NAME.0", "NAME.1", ... to the state of a checkpoint.
void add_state(std::vector<Optimizer::State>& state, const char* name, const std::vector<at::Tensor>& tensors);

}  // namespace grapes::optim
