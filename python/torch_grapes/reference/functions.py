"""Operations whose value is one of their inputs, and whose backward pass is the learning rule."""
from __future__ import annotations

from typing import Any, Callable, Sequence, Tuple

import torch
from torch import Tensor

from ..context import TORCH


def require(holds: bool, message: Callable[[], str]) -> None:
    """Raise RuntimeError, as the compiled operations do, with a message that is only composed if it is needed."""
    if not holds:
        raise RuntimeError(message())


class Function(torch.autograd.Function):
    """Base of the functions below, which torch.func and torch.compile can transform.

    A subclass defines forward(*inputs), setup_context(ctx, inputs, output) and backward(ctx, error).
    """

    generate_vmap_rule = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if TORCH < (2, 0):  # forward and setup_context are one function there
            forward, setup = cls.forward, cls.setup_context

            def both(ctx: Any, *inputs: Any) -> Any:
                output = forward(*inputs)
                setup(ctx, inputs, output)
                return output

            cls.forward = staticmethod(both)  # type: ignore[method-assign]


def along(m: Tensor, axes: int, dim: int) -> Tensor:
    """Insert axes of size 1 into m so that it broadcasts along `dim` of a tensor, and along the batch if m has that axis."""
    shape = [1] * axes
    if m.dim() == 2:
        shape[0] = m.shape[0]
    shape[dim] = m.shape[-1]
    return m.view(shape)


class Modulate(Function):
    """y = z,  dL/dz = m ⊙ dL/dy. m broadcasts to z. The product is rounded once, to the dtype of the error."""

    @staticmethod
    def forward(z: Tensor, m: Tensor) -> Tensor:
        return z.view_as(z)

    @staticmethod
    def setup_context(ctx: Any, inputs: Tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> Any:
        (m,) = ctx.saved_tensors
        return (error * m).to(error.dtype), None


class Scale(Modulate):
    """As Modulate, with a result of its own, so that the next operation may work in place. Compiled code makes no copy."""

    @staticmethod
    def forward(z: Tensor, m: Tensor) -> Tensor:
        return z.clone()


class Feedback(Function):
    """y = y,  dL/dx += dL/dy Bᵀ"""

    @staticmethod
    def forward(y: Tensor, x: Tensor, B: Tensor) -> Tensor:
        return y.view_as(y)

    @staticmethod
    def setup_context(ctx: Any, inputs: Tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[2])

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> Any:
        (B,) = ctx.saved_tensors
        return error, torch.matmul(error, B.t()), None


class FeedbackConvolution(Function):
    """y = y, and x receives the error of a convolution with the kernel B."""

    @staticmethod
    def forward(y: Tensor, x: Tensor, B: Tensor, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
        return y.view_as(y)

    @staticmethod
    def setup_context(ctx: Any, inputs: Tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[2])
        ctx.shape, ctx.options = inputs[1].shape, inputs[3:]

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> Any:
        (B,) = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.options
        x = error.new_empty(1).expand(ctx.shape)  # only its shape matters
        none = [0] * (len(ctx.shape) - 2)
        to_x = torch.ops.aten.convolution_backward(error, x, B, None, list(stride), list(padding), list(dilation), False, none, groups,
                                                   [True, False, False])[0]
        return error, to_x, None, None, None, None, None


class Mirror(Function):
    """W = W,  dL/dB += dL/dW, transposed for a matrix"""

    @staticmethod
    def forward(W: Tensor, B: Tensor) -> Tensor:
        return W.view_as(W)

    @staticmethod
    def setup_context(ctx: Any, inputs: Tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient, gradient.t() if gradient.dim() == 2 else gradient


def modulate(z: Tensor, m: Tensor, dim: int = 1) -> Tensor:
    """Return z, and multiply the error by m along `dim`. See torch_grapes.modulate."""
    require(z.is_floating_point(), lambda: f"modulate: z must be floating point; got {z.dtype}")
    require(0 <= dim < z.dim(), lambda: f"modulate: dim must be an axis of z; got {dim} for shape {list(z.shape)}")
    require(m.dim() == 1 or (m.dim() == 2 and dim == 1),
            lambda: f"modulate: factor must be [unit], or [batch, unit] for dim 1; got {list(m.shape)} for dim {dim}")
    require(m.shape[-1] == z.shape[dim],
            lambda: f"modulate: factor must have {z.shape[dim]} units, the size of axis {dim} of z; got {list(m.shape)}")
    require(m.dim() == 1 or m.shape[0] == z.shape[0],
            lambda: f"modulate: factor must have {z.shape[0]} rows, one per example; got {list(m.shape)}")
    require(m.dtype == z.dtype and m.device == z.device,
            lambda: f"modulate: factor must have the dtype and device of z, {z.dtype} on {z.device}; got {m.dtype} on {m.device}")
    return Modulate.apply(z, along(m.detach(), z.dim(), dim))


def feedback(y: Tensor, x: Tensor, B: Tensor) -> Tensor:
    """Return y, and send its error to x through B. See torch_grapes.feedback."""
    require(y.dim() >= 2 and x.dim() == y.dim() and y.shape[:-1] == x.shape[:-1],
            lambda: f"feedback: y and x must be [batch, unit] with the same batch; got {list(y.shape)} and {list(x.shape)}")
    require(B.dim() == 2 and B.shape[0] == x.shape[-1] and B.shape[1] == y.shape[-1],
            lambda: f"feedback: B must be [{x.shape[-1]}, {y.shape[-1]}] (units of x, units of y); got {list(B.shape)}")
    _same_kind("feedback", B, y)
    return Feedback.apply(y, x, B.detach())


def feedback_convolution(y: Tensor, x: Tensor, B: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
                         groups: int) -> Tensor:
    """Return y, and send its error to x as through a convolution. See torch_grapes.feedback_convolution."""
    axes = B.dim() - 2
    require(axes >= 1 and x.dim() == B.dim() and y.dim() == B.dim() and x.shape[0] == y.shape[0],
            lambda: "feedback_convolution: y and x must be [batch, channel, ...] with the same batch and the rank of B; got "
            f"{list(y.shape)}, {list(x.shape)} and B {list(B.shape)}")
    require(groups >= 1 and B.shape[0] == y.shape[1] and B.shape[1] * groups == x.shape[1],
            lambda: f"feedback_convolution: B must be [{y.shape[1]}, {x.shape[1]} / groups, ...]; got {list(B.shape)} with {groups} groups")
    require(len(stride) == len(padding) == len(dilation) == axes,
            lambda: f"feedback_convolution: stride, padding and dilation must have {axes} numbers each; got {list(stride)}, "
            f"{list(padding)} and {list(dilation)}")
    for k in range(axes):
        size = (x.shape[k + 2] + 2 * padding[k] - dilation[k] * (B.shape[k + 2] - 1) - 1) // stride[k] + 1
        require(y.shape[k + 2] == size, lambda: f"feedback_convolution: y must have size {size} along axis {k + 2}, the output size of this "
                f"convolution of x; got {list(y.shape)}")
    _same_kind("feedback_convolution", B, y)
    return FeedbackConvolution.apply(y, x, B.detach(), tuple(stride), tuple(padding), tuple(dilation), groups)


def mirror(W: Tensor, B: Tensor) -> Tensor:
    """Return W, and give its gradient to B too. See torch_grapes.mirror."""
    shape = W.t().shape if W.dim() == 2 else W.shape
    require(B.shape == shape, lambda: f"mirror: B must be {list(shape)}, for a weight of shape {list(W.shape)}; got {list(B.shape)}")
    _same_kind("mirror", B, W, "W")
    return Mirror.apply(W, B)


def _same_kind(what: str, B: Tensor, y: Tensor, other: str = "y") -> None:
    require(B.dtype == y.dtype and B.device == y.device,
            lambda: f"{what}: B must have the dtype and device of {other}, {y.dtype} on {y.device}; got {B.dtype} on {B.device}")
