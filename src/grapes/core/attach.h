#pragma once

#include "grapes/core/compat.h"

#include <ATen/core/Tensor.h>

/// Modulation of a graph that others made: hooks on nodes that exist already, so the forward pass stays as it is.
namespace grapes {

/// Scale the error at z by its factor, from outside: z itself, and what was made of it, stay untouched.
///   dL/dz[..., n, ...] <- m[n] · dL/dz[..., n, ...]                        Dellaferrera et al. 2022
/// What modulate() does for one's own layers, for z that anybody's layer returned: a hook on the node that made z,
/// which an in-place activation after it does not undo. Where z is a view, that node is its base's, for an in-place
/// operation on a view throws the view's own node away. Nothing happens where z has no graph (torch::NoGradGuard, all
/// frozen).
/// @param z    what a layer returned, floating point; a view only of a whole tensor, not of a part
/// @param m    factor, [z.size(dim)], floating point; the product is rounded once, to z's dtype
/// @param dim  axis of the units
/// @throws c10::Error if a shape does not fit, z is a leaf, or a view of a part of a tensor
void attach(const at::Tensor& z, const at::Tensor& m, int64_t dim);

/// Scale the gradient that one stretch of the graph hands to a parameter, and nothing else: the local version for
/// anybody's layer. The stretch is what lies between the inputs of one call of a layer and its outputs, so that a
/// weight that serves elsewhere too gets its other gradients as they are. A stretch that was scaled before is left
/// alone.
/// @param outputs    what the layer returned
/// @param inputs     what it was given
/// @param parameter  its weight or bias, or whatever tensor it computed with
/// @param scale      broadcasts to the parameter: [unit, 1, ...] for a weight, [unit] for a bias
/// @return how many edges lead from the stretch to the parameter; 0: its gradient does not come from here
int64_t attach_parameter(at::TensorList outputs, at::TensorList inputs, const at::Tensor& parameter,
                         const at::Tensor& scale);

/// Scale the error at the product x Wᵀ + b inside a layer, where it is not what the layer returns: the input current of
/// a recurrent layer. The scaled error goes to W, to b and on to x. A frozen W is found where an error passes through
/// it to x; where none does, b's gradient is scaled.
/// @param outputs, inputs  as above
/// @param weight  W [unit, input]
/// @param bias    b [unit], or none
/// @param m       factor, [unit]
/// @return how many products were found; 0: W takes no part in this stretch, or is frozen and no error passes
/// @throws c10::Error where the layer runs as one fused node, which has no place for the factor
int64_t attach_product(at::TensorList outputs, at::TensorList inputs, const at::Tensor& weight,
                       const OptionalTensor& bias, const at::Tensor& m);

}  // namespace grapes
