"""Layers for one's own models: PyTorch's Linear and Conv2d, with a route for the error and a modulation of it.

The value is that of PyTorch's layer, bit for bit; only what flows back differs. The route is how the layer hands the
error at its pre-activation to the layer below:

    bp               W^T δ
    fa               B δ, B fixed and random (Lillicrap et al. 2016)
    sign-symmetric   sign(W)^T δ, at W's mean magnitude (Liao et al. 2016)
    dfa              nothing: DirectFeedback brings every layer its error from the output (Nøkland 2016)

Responsibility is that of incoming weights on every route. The authors' program takes outgoing ones on dfa, for which a
layer must know the next: `grapes train --route dfa` has that form.
"""
from __future__ import annotations

import math
from typing import Any, Callable, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn import functional as F

from .library import factor, feedback, feedback_convolution, modulate, ops
from .modulations import Layer, Modulation, modulation_of
from .snu import Snu, SnuTrace

__all__ = ["Conv2d", "DirectFeedback", "Linear", "Snu", "SnuTrace"]

ROUTES = ("bp", "fa", "sign-symmetric", "dfa")
#: Routes on which the authors' program does not clip the factor.
UNCLIPPED = ("fa", "dfa")


def feedback_weights(*shape: int, nodes: int) -> Tensor:
    """Uniform in ±1/√nodes, the number of nodes they come from (Nøkland 2016)."""
    bound = 1 / math.sqrt(nodes)
    return torch.empty(*shape).uniform_(-bound, bound)


class _Routed(torch_nn.Module):
    """What the layers have in common."""

    modulates_itself = True

    def _configure(self, route: str, modulation: Union[str, Modulation, Callable[[Tensor], Tensor]], gain: float,
                   clip: Union[str, None, Tuple[float, float]], feedback_shape: Tuple[int, ...], nodes: int) -> None:
        if route not in ROUTES:
            raise ValueError(f"torch_grapes.nn: there is no route {route!r}; there are {', '.join(ROUTES)}")
        self.route, self.modulation, self.gain, self.batch = route, modulation_of(modulation), gain, 0
        if clip == "by-route":
            clip = None if route in UNCLIPPED else (1.0, 2.0)
        self.low, self.high = (0.0, gain) if clip is None else clip
        if route == "fa":
            self.register_buffer("feedback", feedback_weights(*feedback_shape, nodes=nodes).to(self.weight))

    def _modulated(self, z: Callable[[Tensor, Optional[Tensor]], Tensor]) -> Tensor:
        """z(W, b), with its error or W's and b's gradients times the factor."""
        weight, bias, modulation = self.weight, self.bias, self.modulation
        if modulation.shape is None or not torch.is_grad_enabled():
            return z(weight, bias)
        self.batch += 1
        m = factor(weight, gain=self.gain, low=self.low, high=self.high)
        m = modulation.shape(m, Layer("", 0, self.batch))
        if modulation.local:
            return z(modulate(weight, m, 0), None if bias is None else modulate(bias, m, 0))
        y = z(weight, bias)
        if self.route in ("fa", "sign-symmetric"):
            return modulate(y, m, 1)  # an activation after it must not work in place
        ops.attach(y, m, 1)  # a hook is cheaper than modulate's node, and an activation after it may work in place
        return y

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, route={self.route}, modulation={self.modulation.name}"

    def _signs(self) -> Tensor:
        weight = self.weight.detach()
        return weight.sign().mul(weight.abs().mean())


class Linear(_Routed, torch_nn.Linear):
    """z = x W^T + b, x [batch, in]. Parameters are named as torch.nn.Linear's; route fa adds the buffer "feedback" [in, out].

    modulation "none" for the output layer; clip "by-route": [1, 2], and none on fa and dfa, where the authors do not clip.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, route: str = "bp",
                 modulation: Union[str, Modulation, Callable[[Tensor], Tensor]] = "grapes", gain: float = 2.0,
                 clip: Union[str, None, Tuple[float, float]] = "by-route", device: Any = None, dtype: Any = None) -> None:
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        self._configure(route, modulation, gain, clip, (in_features, out_features), out_features)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 2:
            raise ValueError(f"torch_grapes.nn.Linear: x must be [batch, {self.in_features}]; got {list(x.shape)}")
        if self.route == "bp":
            return self._modulated(lambda W, b: F.linear(x, W, b))
        below = x.detach()
        if self.route == "dfa":
            return self._modulated(lambda W, b: F.linear(below, W, b))
        B = self.feedback if self.route == "fa" else self._signs().t()
        return self._modulated(lambda W, b: feedback(F.linear(below, W, b), x, B))


class Conv2d(_Routed, torch_nn.Conv2d):
    """torch.nn.Conv2d with zero padding; a node is an output channel. Route fa adds the buffer "feedback", shaped as W."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
                 groups: int = 1, bias: bool = True, *, route: str = "bp",
                 modulation: Union[str, Modulation, Callable[[Tensor], Tensor]] = "grapes", gain: float = 2.0,
                 clip: Union[str, None, Tuple[float, float]] = "by-route", device: Any = None, dtype: Any = None) -> None:
        if isinstance(padding, str):
            raise ValueError(f"torch_grapes.nn.Conv2d: padding must be a number or a pair; got {padding!r}")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, device=device, dtype=dtype)
        self._configure(route, modulation, gain, clip, tuple(self.weight.shape), out_channels * math.prod(self.kernel_size) // groups)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4:
            raise ValueError(f"torch_grapes.nn.Conv2d: x must be [batch, {self.in_channels}, height, width]; got {list(x.shape)}")
        options = (self.stride, self.padding, self.dilation, self.groups)
        if self.route == "bp":
            return self._modulated(lambda W, b: F.conv2d(x, W, b, *options))
        below = x.detach()
        if self.route == "dfa":
            return self._modulated(lambda W, b: F.conv2d(below, W, b, *options))
        B = self.feedback if self.route == "fa" else self._signs()
        return self._modulated(lambda W, b: feedback_convolution(F.conv2d(below, W, b, *options), x, B, *options))


class DirectFeedback(torch_nn.Module):
    """The logits, unchanged; each hidden activation h_l receives their error through fixed weights B_l (Nøkland 2016).

    For layers of route dfa: logits = direct(logits, h_1, h_2, ...), with h_l after its activation.
    sizes    nodes of each hidden activation, all axes but the batch together
    outputs  number of logits
    """

    def __init__(self, sizes: Sequence[int], outputs: int, dtype: Any = None) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        for l, size in enumerate(self.sizes):
            self.register_buffer(f"feedback{l}", feedback_weights(size, outputs, nodes=outputs).to(dtype or torch.get_default_dtype()))

    def forward(self, logits: Tensor, *hidden: Tensor) -> Tensor:
        if len(hidden) != len(self.sizes):
            raise ValueError(f"torch_grapes.nn.DirectFeedback: {len(self.sizes)} hidden activations are to be given; got {len(hidden)}")
        for l, h in enumerate(hidden):
            logits = feedback(logits, h.flatten(1), getattr(self, f"feedback{l}"))
        return logits
