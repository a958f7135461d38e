#pragma once

#include "grapes/core/compat.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <tuple>

namespace grapes {

/// Runs a layer of spiking neural units over all time steps. This is the operation that PyTorch and TorchScript call;
/// C++ code uses nn::Snu. See nn/snu.h for the equations and nn/neuron.h for the named options.
/// @param x          [time, batch, in]
/// @param weight     W [unit, in]; recurrent: R [unit, unit], or none
/// @param decay      d, [1] or [unit]; threshold: θ, [unit]
/// @param membrane, output  initial state, [batch, unit]
/// @param present    [time, batch] bool, or none
/// @param m          factor [unit], or none; local: m scales only the gradients of W and R
/// @param feedback   B [in, unit], replaces Wᵀ for the error at x; or none
/// @param transport  whether x receives an error
/// @param slope      slope of g below 0; smooth: y is the sigmoid of s - θ instead of a step
/// @param current    initial synaptic current, [batch, unit], of c_t = synapse · c_{t-1} + W x_t + R y_{t-1}; or none
/// @param eprop      no error runs back in time through R
/// @return outputs and membranes, [time, batch, unit]; the last output; with a synapse, the last current
/// @throws c10::Error if a shape does not match, or a name is unknown
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> snu(
    const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& recurrent, const at::Tensor& decay,
    const at::Tensor& threshold, const at::Tensor& membrane, const at::Tensor& output, const OptionalTensor& present,
    const OptionalTensor& m, bool local, bool compounding, const OptionalTensor& feedback, bool transport, double slope,
    bool smooth, const std::string& reset, const std::string& surrogate, double width, bool detach_reset,
    int64_t truncate, const OptionalTensor& current, double synapse, bool eprop);

}  // namespace grapes
