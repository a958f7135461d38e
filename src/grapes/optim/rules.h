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
std::unique_ptr<Optimizer> make_lars(const Options& options, std::vector<Parameter> parameters);
std::unique_ptr<Optimizer> make_lamb(const Options& options, std::vector<Parameter> parameters);
std::unique_ptr<Optimizer> make_nero(const Options& options, std::vector<Parameter> parameters);
std::unique_ptr<Optimizer> make_path_sgd(const Options& options, std::vector<Parameter> parameters);
std::unique_ptr<Optimizer> make_eg(const Options& options, std::vector<Parameter> parameters);

/// Returns the trust ratio of LARS and LAMB, |W| / |step|. It is 1 if one of the norms is 0, and for a parameter with
/// one axis: a bias starts at 0, so its norm says nothing about the size of its steps.
double trust_ratio(const at::Tensor& W, double norm, double norm_of_step);
/// Returns one zero tensor per parameter, for velocities and moments.
std::vector<at::Tensor> zeros_for(const std::vector<Parameter>& parameters);

}  // namespace grapes::optim
