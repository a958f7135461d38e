#pragma once

#include "grapes/core/compat.h"

#include <ATen/core/Tensor.h>

#include <string>
#include <tuple>

namespace grapes {

/// A layer of spiking neural units over all time steps, for those who reach Grapes by its operations; in C++ it is
/// nn::Snu, whose header has the equations, and nn/neuron.h the rules by name.
/// @param x          [time, batch, in]
/// @param weight     W [node, in]; recurrent: R [node, node], or none
/// @param decay      [1] or [node]; threshold: [node]
/// @param membrane, output  where to begin, [batch, node]
/// @param present    [time, batch] bool, or none
/// @param m          factor [node], or none; local: of W's and R's own gradient only
/// @param feedback   B [in, node], in place of Wᵀ on the way to x; or none
/// @param transport  whether the error goes on to x at all
/// @param slope      of g below 0; smooth: y the sigmoid of s - θ, else a step
/// @param current    of a synaptic current c_t = synapse · c_{t-1} + W x_t + R y_{t-1}, where to begin, [batch, node];
/// or none
/// @param eprop      no error goes back in time through R
/// @return outputs and membranes, [time, batch, node], and the last output and, with a synapse, the last current
/// @throws c10::Error if a shape does not fit, or a name is not known
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> snu(
    const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& recurrent, const at::Tensor& decay,
    const at::Tensor& threshold, const at::Tensor& membrane, const at::Tensor& output, const OptionalTensor& present,
    const OptionalTensor& m, bool local, bool compounding, const OptionalTensor& feedback, bool transport, double slope,
    bool smooth, const std::string& reset, const std::string& surrogate, double width, bool detach_reset,
    int64_t truncate, const OptionalTensor& current, double synapse, bool eprop);

}  // namespace grapes
