#pragma once

#include "grapes/core/compat.h"

#include <ATen/core/Tensor.h>

/// Modulation of an existing graph. Hooks are added to its nodes, so the forward pass does not change.
namespace grapes {

/// Scales the error at z by the factor. z and the tensors computed from it stay unchanged.
///   dL/dz[..., n, ...] <- m[n] · dL/dz[..., n, ...]                        Dellaferrera et al. 2022
/// Unlike modulate(), it can be used on the output of any layer. It adds a hook to the node that computed z; an
/// in-place activation after it does not remove the hook. If z is a view, the hook goes to the node of its base,
/// because an in-place operation on a view replaces the view's own node. If z has no graph (torch::NoGradGuard, frozen
/// weights), nothing happens.
/// @param z    output of a layer, floating point; if a view, then of all elements of its base
/// @param m    factor, [z.size(dim)], floating point; the product is rounded once, to z's dtype
/// @param dim  axis of the units
/// @throws c10::Error if a shape does not match, z is a leaf, or z is a view of a part of a tensor
void attach(const at::Tensor& z, const at::Tensor& m, int64_t dim);

/// Scales the gradient that one call of a layer contributes to a parameter, and nothing else. This is the local version
/// for any layer. The call consists of the nodes between its inputs and its outputs. Contributions from other uses of
/// the parameter are not scaled. A call that has already been scaled is not scaled again.
/// @param outputs    outputs of the layer's call
/// @param inputs     inputs of the call
/// @param parameter  weight or bias of the layer, or the tensor that it used instead
/// @param scale      broadcastable to the parameter: [unit, 1, ...] for a weight, [unit] for a bias
/// @return number of edges from the call's nodes to the parameter; 0 if the call does not contribute to its gradient
int64_t attach_parameter(at::TensorList outputs, at::TensorList inputs, const at::Tensor& parameter,
                         const at::Tensor& scale);

/// Scales the error at the product x Wᵀ + b inside a layer, for example at the input current of a recurrent layer. The
/// gradients of W and b and the error at x are scaled. A frozen W is found if an error passes through it to x;
/// otherwise only b's gradient is scaled.
/// @param outputs, inputs  as in attach_parameter()
/// @param weight  W [unit, input]
/// @param bias    b [unit], or none
/// @param m       factor, [unit]
/// @return number of products found; 0 if the call does not use W, or W is frozen and no error passes through it
/// @throws c10::Error if the layer runs as one fused node, inside which the error cannot be scaled
int64_t attach_product(at::TensorList outputs, at::TensorList inputs, const at::Tensor& weight,
                       const OptionalTensor& bias, const at::Tensor& m);

}  // namespace grapes
