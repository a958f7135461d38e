"""The public operations as operators of PyTorch 2.4 and later: torch.ops.torch_grapes.factor, modulate, ...

In a compiled or exported graph, an operator is a single call. Its result is never a view of an input, so modulate, feedback and
feedback_convolution copy what they return. The functions of the package make no copy.
"""
from __future__ import annotations

from typing import Any, Callable

import torch
from torch import Tensor

from . import reference
from .reference.functions import Feedback, FeedbackConvolution, Mirror, along

NAMESPACE = "torch_grapes"


def _units(weight: Tensor, recurrent: Any = None, dim: int = 0, *rest: Any) -> Tensor:
    return weight.new_empty(weight.shape[dim])


def _copy(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda value, *arguments: operation(value, *arguments).clone()


def _has_no_gradient(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.mark_non_differentiable(output)


def _nothing(ctx: Any, error: Tensor) -> Any:
    return (None,) * len(ctx.needs_input_grad)


def _keep_factor(ctx: Any, inputs: Any, output: Any) -> None:
    _, m, ctx.dim = inputs
    ctx.save_for_backward(m)


def _modulate_backward(ctx: Any, error: Tensor) -> Any:
    (m,) = ctx.saved_tensors
    return error * along(m, error.dim(), ctx.dim), None, None


def _register(schema: str, operation: Callable[..., Tensor], shape: Callable[..., Tensor], backward: Callable[..., Any],
              keep: Callable[..., None]) -> None:
    name, _, arguments = schema.partition("(")
    operator = torch.library.custom_op(f"{NAMESPACE}::{name}", operation, mutates_args=(), schema="(" + arguments)
    operator.register_fake(shape)
    operator.register_autograd(backward, setup_context=keep)


def register() -> None:
    """Register the operators. Their schemas are those of torch.ops.grapes."""
    _register("responsibility(Tensor weight, Tensor? recurrent=None, int dim=0, Tensor? mask=None, bool mean=False) -> Tensor",
              reference.responsibility, _units, _nothing, _has_no_gradient)
    _register("factor(Tensor weight, Tensor? recurrent=None, int dim=0, Tensor? mask=None, float gain=2.0, float low=1.0, "
              "float high=2.0) -> Tensor", reference.factor, _units, _nothing, _has_no_gradient)
    same = torch.empty_like
    _register("modulate(Tensor z, Tensor m, int dim=1) -> Tensor", _copy(reference.modulate), lambda z, *_: same(z), _modulate_backward,
              _keep_factor)
    _register("feedback(Tensor y, Tensor x, Tensor B) -> Tensor", _copy(reference.feedback), lambda y, *_: same(y), Feedback.backward,
              Feedback.setup_context)
    _register("feedback_convolution(Tensor y, Tensor x, Tensor B, int[] stride, int[] padding, int[] dilation, int groups) -> Tensor",
              _copy(reference.feedback_convolution), lambda y, *_: same(y), FeedbackConvolution.backward, FeedbackConvolution.setup_context)
    _register("mirror(Tensor W, Tensor B) -> Tensor", _copy(reference.mirror), lambda W, *_: same(W), Mirror.backward, Mirror.setup_context)
