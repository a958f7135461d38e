"""Spiking neural units for your own models. All time steps are one operation, with the same bits as grapes::nn::Snu."""
from __future__ import annotations

import math
from typing import Any, NamedTuple, Optional, Tuple

import torch
from torch import Tensor
from torch import nn as torch_nn

from . import library
from .reference import spiking
from .routed import Routed
from .rule import one_of, routes

SLOPES = {"identity": 1.0, "relu": 0.0, "leaky_relu": 0.1}
OUTPUTS = ("step", "sigmoid")
RESETS, SURROGATES = spiking.RESETS, tuple(spiking.SURROGATES)
LEARN_DECAY = ("fixed", "per_layer", "per_node")


class SnuTrace(NamedTuple):
    """Outputs and states of a layer over all time steps."""

    output: Tensor  #: y, [time, batch, unit]
    membrane: Tensor  #: s, [time, batch, unit]
    last: Tuple[Tensor, ...]  #: s, y and, with a synapse, c after the last step, [batch, unit], to start the next call from


class Snu(Routed):
    """A layer of spiking neural units (Woźniak et al. 2020). x [time, batch, in] -> y [time, batch, unit].

        s_t = g(W x_t + R y_{t-1} + d s_{t-1} (1 - y_{t-1}))      y_t = h(s_t - θ)

    At each time step the factor scales the error at W x_t + R y_{t-1} once, for the gradients of W and R and for the error at
    x. The error that runs back in time is not scaled. Routes change only the error at x.

    | parameter           | default | symbol | meaning                                                                          |
    | recurrent           | False   | R      | whether the layer has recurrent weights, [unit, unit]                            |
    | decay               | 0.8     | d      | fraction of the membrane that remains after a step; learn_decay: fixed, per_layer, per_node |
    | threshold           | 1       | θ      | one per unit, in units of the membrane; learn_threshold: whether it is learned   |
    | membrane_activation | relu    | g      | identity, relu, leaky_relu (slope 0.1)                                           |
    | output              | step    | h      | step, whose derivative is the surrogate; sigmoid                                 |
    | reset               | hard    |        | effect of a spike on the membrane: hard, subtract, none, lateral                 |
    | surrogate           | tanh    |        | tanh, sigmoid, fast_sigmoid, arctan, triangular, rectangular; of (s - θ) / width |
    | surrogate_width     | 1       |        | width of the surrogate, in units of the membrane                                 |
    | detach_reset        | False   |        | treat y_{t-1} in the reset as a constant in the backward pass                    |
    | synapse             | 0       | α      | decay of the synaptic current c_t = α c_{t-1} + W x_t + R y_{t-1}; 0: no current |
    | truncate            | 0       |        | truncated backpropagation through time: cut before steps k, 2k, ...; 0: never    |
    | eprop               | False   |        | no error runs back in time through R (Bellec et al. 2020); always on for routes eprop |

    rule  the fields of torch_grapes.Rule: route, modulation, gain, clip, compounding, ...
    Parameters: weight, recurrent, and decay and threshold if they are learned. Routes with B add "feedback" [in, unit].
    Raises ValueError for an invalid option.
    """

    def __init__(self, in_features: int, out_features: int, *, recurrent: bool = False, decay: float = 0.8, learn_decay: str = "fixed",
                 threshold: float = 1.0, learn_threshold: bool = True, membrane_activation: str = "relu", output: str = "step",
                 reset: str = "hard", surrogate: str = "tanh", surrogate_width: float = 1.0, detach_reset: bool = False,
                 synapse: float = 0.0, truncate: int = 0, eprop: bool = False, dtype: Any = None, **rule: Any) -> None:
        super().__init__()
        for what, value, names in (("membrane_activation", membrane_activation, tuple(SLOPES)), ("output", output, OUTPUTS),
                                   ("reset", reset, RESETS), ("surrogate", surrogate, SURROGATES), ("learn_decay", learn_decay, LEARN_DECAY)):
            one_of(what, value, names)
        if surrogate_width <= 0 or truncate < 0:
            raise ValueError(
                f"torch_grapes.nn.Snu: surrogate_width must be above 0 and truncate at least 0; got {surrogate_width} and {truncate}")
        if not 0 <= synapse < 1:
            raise ValueError(f"torch_grapes.nn.Snu: synapse must be at least 0 and below 1; got {synapse}")
        self.in_features, self.out_features, self.synapse = in_features, out_features, synapse
        self.neuron = (SLOPES[membrane_activation], output == "sigmoid", reset, surrogate, surrogate_width, detach_reset, truncate)
        self._set_rule(rule, (in_features, out_features), out_features, dtype)
        self.eprop = eprop or routes[self.rule.route].local_in_time
        bound = 1 / math.sqrt(out_features if recurrent else in_features)
        self.weight = torch_nn.Parameter(torch.empty(out_features, in_features, dtype=dtype).uniform_(-bound, bound))
        self.recurrent = torch_nn.Parameter(torch.empty(out_features, out_features, dtype=dtype).uniform_(-bound, bound)) if recurrent else None
        self._constant("decay", torch.full((out_features if learn_decay == "per_node" else 1,), decay, dtype=dtype), learn_decay != "fixed")
        self._constant("threshold", torch.full((out_features,), threshold, dtype=dtype), learn_threshold)

    def _constant(self, name: str, value: Tensor, learns: bool) -> None:
        if learns:
            self.register_parameter(name, torch_nn.Parameter(value))
        else:
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x).output

    def run(self, x: Tensor, state: Optional[Tuple[Tensor, ...]] = None, present: Optional[Tensor] = None) -> SnuTrace:
        """Run all time steps.

        x        [time, batch, in], with at least one time step
        state    initial state: s, y and, with a synapse, c, [batch, unit] each; None: zeros
        present  [time, batch], bool; where it is false the state is kept and y is 0
        """
        if x.dim() != 3 or x.shape[0] == 0 or x.shape[2] != self.in_features:
            raise ValueError(
                f"torch_grapes.nn.Snu: x must be [time, batch, {self.in_features}], with at least one time step; got {list(x.shape)}")
        if state is None:
            state = tuple(x.new_zeros(x.shape[1], self.out_features) for _ in range(2 if self.synapse == 0 else 3))
        m = self._next_factor(self.weight, self.recurrent)
        passes, B = self._error_path(self.weight)
        output, membrane, last, current = library.snu(
            x, self._mirrored(self.weight), self.recurrent, self.decay, self.threshold, *state[:2], present, m, self.rule.row.local, self.rule.compounding,
            B, passes, *self.neuron, state[2] if self.synapse > 0 else None, self.synapse, self.eprop)
        return SnuTrace(output, membrane, (membrane[-1], last) if self.synapse == 0 else (membrane[-1], last, current))

    def extra_repr(self) -> str:
        return (f"in_features={self.in_features}, out_features={self.out_features}, recurrent={self.recurrent is not None}, "
                f"{super().extra_repr()}")
