"""Layers for your own models: PyTorch's Linear and Conv2d with a learning rule.

The forward pass gives the same bits as PyTorch's layers. The rule's route says which error a layer sends to the layer below:

    bp               W^T δ
    fa               B δ, with fixed random B (Lillicrap et al. 2016)
    kolen-pollack    B δ, where B receives W's gradient; use a weight decay above 0 (Akrout et al. 2019)
    sign-symmetric   sign(W)^T δ, at the mean magnitude of W (Liao et al. 2016)
    usf              sign(W)^T δ, with one fixed magnitude
    brsf             sign(W)^T δ, with random magnitudes that are drawn again for every batch
    frsf             sign(W)^T δ, with fixed random magnitudes (all three Liao et al. 2016)
    dfa              none: DirectFeedback sends each layer its error from the output (Nøkland 2016)

On every route the responsibility is computed from the layer's own weights. On dfa the authors' program and `grapes train --route dfa`
use outgoing weights, which a single layer does not know.
"""
from __future__ import annotations

import math
from typing import Any, Callable, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn import functional as F

from .context import is_traced, refuse_forward_mode
from .library import attach, feedback, feedback_convolution, modulate
from .reference.functions import Scale, along
from .routed import Routed, feedback_weights
from .snu import Snu, SnuTrace

__all__ = ["Conv2d", "DirectFeedback", "Linear", "Snu", "SnuTrace"]


class _Plain(Routed):
    """A layer that returns its pre-activation."""

    def _modulated(self, weight: Tensor, bias: Optional[Tensor], z: Callable[[Tensor, Optional[Tensor]], Tensor], dim: int,
                   fed_back: bool) -> Tensor:
        """Return z(W, b). Scale the error at its units, which lie along dim, or the gradients of W and b."""
        m = self._next_factor(weight)
        weight = self._mirrored(weight)
        if m is None:
            return z(weight, bias)
        if self.rule.row.local:
            return z(modulate(weight, m, 0), None if bias is None else modulate(bias, m, 0))
        y = z(weight, bias)
        if fed_back:
            return modulate(y, m, dim)  # a view: the next operation must not work in place
        if is_traced():
            return Scale.apply(y, along(m, y.dim(), dim))
        refuse_forward_mode(f"torch_grapes.nn.{type(self).__name__}", y)
        attach(y, m, dim)  # a hook is cheaper than modulate's node and allows in-place activations
        return y


class Linear(_Plain, torch_nn.Linear):
    """z = x W^T + b, x [..., in] -> z [..., out], as torch.nn.Linear. Routes with B add "feedback", [in, out].

    rule  the fields of torch_grapes.Rule: route, modulation, gain, clip, ...; modulation="none" for the output layer
    Raises ValueError for an invalid option, RuntimeError if the shape of x does not match.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, device: Any = None, dtype: Any = None, **rule: Any) -> None:
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        self._set_rule(rule, (in_features, out_features), out_features, dtype)
        self.to(device)

    def forward(self, x: Tensor) -> Tensor:
        passes, B = self._error_path(self.weight)
        below = x if passes and B is None else x.detach()
        if B is None:
            return self._modulated(self.weight, self.bias, lambda W, b: F.linear(below, W, b), max(x.dim() - 1, 0), False)
        rows = x.reshape(-1, x.shape[-1])
        z = self._modulated(self.weight, self.bias, lambda W, b: feedback(F.linear(below, W, b).reshape(-1, self.out_features), rows, B), 1, True)
        return z.view(*x.shape[:-1], self.out_features)


class Conv2d(_Plain, torch_nn.Conv2d):
    """torch.nn.Conv2d with zero padding, x [batch, in, height, width]. A unit is an output channel.

    Routes with B add "feedback", of W's shape: a buffer; on kolen-pollack a parameter.

    rule  the fields of torch_grapes.Rule: route, modulation, gain, clip, ...; modulation="none" for the output layer
    Raises ValueError for an invalid option or an x of another rank.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
                 groups: int = 1, bias: bool = True, *, device: Any = None, dtype: Any = None, **rule: Any) -> None:
        if isinstance(padding, str):
            raise ValueError(f"torch_grapes.nn.Conv2d: padding must be a number or a pair; got {padding!r}")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, device=device, dtype=dtype)
        self._set_rule(rule, self.weight.shape, out_channels * math.prod(self.kernel_size) // groups, dtype)
        self.to(device)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4:
            raise ValueError(f"torch_grapes.nn.Conv2d: x must be [batch, {self.in_channels}, height, width]; got {list(x.shape)}")
        options: Any = (self.stride, self.padding, self.dilation, self.groups)
        passes, B = self._error_path(self.weight)
        below = x if passes and B is None else x.detach()
        if B is None:
            return self._modulated(self.weight, self.bias, lambda W, b: F.conv2d(below, W, b, *options), 1, False)
        return self._modulated(self.weight, self.bias, lambda W, b: feedback_convolution(F.conv2d(below, W, b, *options), x, B, *options), 1, True)


class DirectFeedback(torch_nn.Module):
    """Returns the logits. In the backward pass, sends their error to each hidden activation h_l through fixed weights B_l (Nøkland 2016).

    Use it with layers of route dfa: logits = direct(logits, h_1, h_2, ...), with h_l after the activation function.

    sizes    number of elements of each hidden activation per example
    outputs  number of logits
    Raises ValueError if the number of hidden activations is not len(sizes).
    """

    def __init__(self, sizes: Sequence[int], outputs: int, dtype: Any = None) -> None:
        super().__init__()
        self.sizes: Tuple[int, ...] = tuple(sizes)
        for l, size in enumerate(self.sizes):
            self.register_buffer(f"feedback{l}", feedback_weights(size, outputs, units=outputs).to(dtype or torch.get_default_dtype()))

    def forward(self, logits: Tensor, *hidden: Tensor) -> Tensor:
        if len(hidden) != len(self.sizes):
            raise ValueError(f"torch_grapes.nn.DirectFeedback: {len(self.sizes)} hidden activations are expected; got {len(hidden)}")
        for l, h in enumerate(hidden):
            logits = feedback(logits, h.flatten(1), getattr(self, f"feedback{l}"))
        return logits
