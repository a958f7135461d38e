"""Spiking neural units for one's own models, all time steps in one operation: grapes::nn::Snu, bit for bit."""
from __future__ import annotations

import math
from typing import Any, Callable, NamedTuple, Optional, Tuple, Union

import torch
from torch import Tensor
from torch import nn as torch_nn

from .library import factor, ops
from .modulations import Layer, Modulation, modulation_of

SLOPES = {"identity": 1.0, "relu": 0.0, "leaky_relu": 0.1}
OUTPUTS = ("step", "sigmoid")
RESETS = ("hard", "subtract", "none", "lateral")
SURROGATES = ("tanh", "sigmoid", "fast_sigmoid", "arctan", "triangular", "rectangular")
LEARN_DECAY = ("fixed", "per_layer", "per_node")


class SnuTrace(NamedTuple):
    """What a layer did over all steps."""

    output: Tensor  #: y, [time, batch, node]
    membrane: Tensor  #: s, [time, batch, node]
    last: Tuple[Tensor, ...]  #: s, y and, with a synapse, c after the last step, [batch, node], for a call that goes on


def _one_of(what: str, value: str, names: Any) -> None:
    if value not in names:
        raise ValueError(f"torch_grapes.nn.Snu: {what} must be one of {', '.join(names)}; got {value!r}")


class Snu(torch_nn.Module):
    """A layer of spiking neural units (Woźniak et al. 2020). x [time, batch, in] -> y [time, batch, node].

        s_t = g(W x_t + R y_{t-1} + d s_{t-1} (1 - y_{t-1}))      y_t = h(s_t - θ)

    The error at W x_t + R y_{t-1} is scaled by the node's factor once per step on its way to W, R and x, not again on its
    way back in time. src/grapes/nn/snu.h and neuron.h say what each option means. Parameters: weight, recurrent, decay and
    threshold where they learn; route fa adds the buffer "feedback" [in, node].
    """

    modulates_itself = True

    def __init__(self, in_features: int, nodes: int, *, recurrent: bool = False, decay: float = 0.8, learn_decay: str = "fixed",
                 threshold: float = 1.0, learn_threshold: bool = True, g: str = "relu", output: str = "step", reset: str = "hard",
                 surrogate: str = "tanh", width: float = 1.0, detach_reset: bool = False, truncate: int = 0, synapse: float = 0.0, eprop: bool = False,
                 route: str = "bp", modulation: Union[str, Modulation, Callable[[Tensor], Tensor]] = "grapes", gain: float = 2.0,
                 clip: Union[str, None, Tuple[float, float]] = "by-route", compounding: bool = False, dtype: Any = None) -> None:
        super().__init__()
        for what, value, names in (("g", g, SLOPES), ("output", output, OUTPUTS), ("reset", reset, RESETS),
                                   ("surrogate", surrogate, SURROGATES), ("learn_decay", learn_decay, LEARN_DECAY),
                                   ("route", route, ("bp", "fa", "sign-symmetric", "dfa"))):
            _one_of(what, value, names)
        if width <= 0 or truncate < 0:
            raise ValueError(f"torch_grapes.nn.Snu: width must be above 0 and truncate not below; got {width} and {truncate}")
        if not 0 <= synapse < 1:
            raise ValueError(f"torch_grapes.nn.Snu: synapse must be at least 0 and below 1; got {synapse}")
        self.synapse, self.eprop = synapse, eprop
        self.in_features, self.nodes, self.route, self.modulation = in_features, nodes, route, modulation_of(modulation)
        self.rule = (SLOPES[g], output == "sigmoid", reset, surrogate, width, detach_reset, truncate)
        self.gain, self.compounding, self.batch = gain, compounding, 0
        if clip == "by-route":
            clip = None if route in ("fa", "dfa") else (1.0, 2.0)
        self.low, self.high = (0.0, gain) if clip is None else clip
        bound = 1 / math.sqrt(nodes if recurrent else in_features)
        self.weight = torch_nn.Parameter(torch.empty(nodes, in_features, dtype=dtype).uniform_(-bound, bound))
        self.recurrent = torch_nn.Parameter(torch.empty(nodes, nodes, dtype=dtype).uniform_(-bound, bound)) if recurrent else None
        self._constant("decay", torch.full((nodes if learn_decay == "per_node" else 1,), decay, dtype=dtype), learn_decay != "fixed")
        self._constant("threshold", torch.full((nodes,), threshold, dtype=dtype), learn_threshold)
        if route == "fa":
            fed = 1 / math.sqrt(nodes)
            self.register_buffer("feedback", torch.empty(in_features, nodes, dtype=dtype).uniform_(-fed, fed))

    def _constant(self, name: str, value: Tensor, learns: bool) -> None:
        if learns:
            self.register_parameter(name, torch_nn.Parameter(value))
        else:
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x).output

    def run(self, x: Tensor, state: Optional[Tuple[Tensor, ...]] = None, mask: Optional[Tensor] = None) -> SnuTrace:
        """From `state` (s, y and, with a synapse, c, [batch, node]; None: zeros). Where mask [time, batch] is false the state is held and y is 0."""
        if x.dim() != 3 or x.shape[0] == 0 or x.shape[2] != self.in_features:
            raise ValueError(
                f"torch_grapes.nn.Snu: x must be [time, batch, {self.in_features}], with a step at least; got {list(x.shape)}")
        if state is None:
            zeros = x.new_zeros(x.shape[1], self.nodes)
            state = (zeros, zeros) if self.synapse == 0 else (zeros, zeros, zeros)
        m = None
        if self.modulation.shape is not None and torch.is_grad_enabled():
            self.batch += 1
            m = factor(self.weight, self.recurrent, gain=self.gain, low=self.low, high=self.high)
            m = self.modulation.shape(m, Layer("", 0, self.batch))
        fed = None
        if self.route == "fa":
            fed = self.feedback
        elif self.route == "sign-symmetric":
            weight = self.weight.detach()
            fed = weight.sign().mul(weight.abs().mean()).t()
        current = state[2] if self.synapse > 0 else None
        output, membrane, last, current = ops.snu(
            x, self.weight, self.recurrent, self.decay, self.threshold, *state[:2], mask, m,
            self.modulation.local, self.compounding, fed, self.route != "dfa", *self.rule, current, self.synapse, self.eprop)
        return SnuTrace(output, membrane, (membrane[-1], last) if self.synapse == 0 else (membrane[-1], last, current))

    def extra_repr(self) -> str:
        return (f"in_features={self.in_features}, nodes={self.nodes}, recurrent={self.recurrent is not None}, "
                f"route={self.route}, modulation={self.modulation.name}")
