"""A layer of spiking neural units over all time steps, in plain tensor operations. torch_grapes.nn.Snu has the equations."""
from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from ..context import is_compiling, is_transformed
from .functions import Function, require


class Neuron(NamedTuple):
    """The settings of a layer."""

    local: bool  # m scales the gradients of W and R only
    compounding: bool
    transport: bool  # whether x receives an error
    slope: float  # of g below 0
    smooth: bool  # y is the sigmoid of s - θ instead of a step
    reset: str
    surrogate: str
    width: float
    detach_reset: bool
    truncate: int
    synapse: float
    eprop: bool


_LN2_HIGH, _LN2_LOW = float.fromhex("0x1.62e42fefa38p-1"), float.fromhex("0x1.ef35793c7673p-45")
_TAYLOR = [1 / math.factorial(k) for k in range(13, -1, -1)]


def _exponential(x: Tensor) -> Tensor:
    """e^x for x <= 0. In float64 it is 2^k p(r) with Taylor's polynomial p, the function of grapes/kernels/snu_body.h."""
    if x.dtype != torch.float64:
        return x.exp()
    x = x.clamp(min=-700.0)
    k = (x * 1.4426950408889634).round()
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    p = torch.full_like(r, _TAYLOR[0])
    for coefficient in _TAYLOR[1:]:
        p = p * r + coefficient
    return torch.ldexp(p, k)


def _logistic(x: Tensor) -> Tensor:
    e = _exponential(-x.abs())
    return torch.where(x >= 0, torch.ones_like(e), e) / (1 + e)


def _tanh_slope(u: Tensor) -> Tensor:
    e = _exponential(-2 * u.abs())
    return 4 * e / ((1 + e) * (1 + e))


def _sigmoid_slope(u: Tensor) -> Tensor:
    e = _exponential(-u.abs())
    return e / ((1 + e) * (1 + e))


#: The surrogate, which replaces the derivative of the step, as a function of u = (s - θ) / width.
SURROGATES: Dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": _tanh_slope,
    "sigmoid": _sigmoid_slope,
    "fast_sigmoid": lambda u: 1 / ((1 + u.abs()) * (1 + u.abs())),
    "arctan": lambda u: 1 / (1 + math.pi * math.pi * u * u),
    "triangular": lambda u: torch.where(u.abs() < 1, 1 - u.abs(), torch.zeros_like(u)),
    "rectangular": lambda u: (u.abs() < 0.5).to(u.dtype),
}
RESETS = ("hard", "subtract", "none", "lateral")


def _kept(neuron: Neuron, threshold: Tensor, state: Tensor, output: Tensor) -> Tensor:
    """Return what the reset leaves of the membrane: s (1 - y), s - θ y, s, or s (1 - max y)."""
    if neuron.reset == "hard":
        return state * (1 - output)
    if neuron.reset == "subtract":
        return state - threshold * output
    if neuron.reset == "lateral":
        return state * (1 - output.max(1, keepdim=True).values)
    return state


def _to_largest(output: Tensor, product: Tensor) -> Tensor:
    """The derivative of lateral inhibition: the sum of `product` is divided among the units with the largest y."""
    top = output == output.max(1, keepdim=True).values
    share = -product.cumsum(1)[:, -1:] / top.sum(1, keepdim=True)
    return torch.where(top, share, torch.zeros_like(product))


class Spiking(Function):
    """Returns y and s of all steps, [time, batch, unit], and the synaptic current after the last step."""

    @staticmethod
    def forward(x: Tensor, W: Tensor, R: Optional[Tensor], decay: Tensor, threshold: Tensor, membrane: Tensor,
                output: Tensor, current: Optional[Tensor], present: Optional[Tensor], m: Optional[Tensor], B: Optional[Tensor],
                neuron: Neuron) -> Tuple[Tensor, Tensor, Tensor]:
        s, y, c = membrane, output, current
        outputs, membranes = [], []
        for t, a in enumerate(torch.mm(x.reshape(-1, x.shape[2]), W.t()).view(x.shape[0], x.shape[1], -1).unbind(0)):
            if R is not None:
                a = torch.addmm(a, y, R.t())
            if c is not None:
                a = a + neuron.synapse * c
            before = a + decay * _kept(neuron, threshold, s, y)
            new_s = torch.where(before > 0, before, neuron.slope * before)
            u = new_s - threshold
            new_y = _logistic(u) if neuron.smooth else (u > 0).to(u.dtype)
            if present is not None:
                runs = present[t].unsqueeze(1)
                new_s, new_y = torch.where(runs, new_s, s), torch.where(runs, new_y, y)
                a = a if c is None else torch.where(runs, a, c)
            s, y, c = new_s, new_y, None if c is None else a
            outputs.append(y)
            membranes.append(s)
        return torch.stack(outputs), torch.stack(membranes), x.new_empty(0) if c is None else c

    @staticmethod
    def setup_context(ctx: Any, inputs: Tuple[Any, ...], output: Any) -> None:
        *tensors, ctx.neuron = inputs
        ctx.save_for_backward(*tensors, *output[:2])
        ctx.mark_non_differentiable(output[2])
        ctx.set_materialize_grads(True)

    @staticmethod
    def backward(ctx: Any, error: Tensor, membrane_error: Tensor, _: Any) -> Any:
        x, W, R, decay, threshold, membrane0, output0, current, present, m, B, outputs, membranes = ctx.saved_tensors
        neuron: Neuron = ctx.neuron
        second = error.requires_grad or membrane_error.requires_grad if is_transformed() else torch.is_grad_enabled()
        if second and not is_compiling():
            raise RuntimeError("snu: the layer is not differentiable twice")
        factor = torch.ones_like(threshold) if m is None or neuron.local else m
        recurs = R is not None and not neuron.eprop
        zeros = torch.zeros_like(membrane0)
        to_s, to_y, later, to_decay, to_threshold = zeros, zeros, zeros, zeros, zeros
        through, traces = 0.0 if neuron.detach_reset else 1.0, []
        slope_of = SURROGATES[neuron.surrogate]
        for t in range(x.shape[0] - 1, -1, -1):
            s, y = membranes[t], outputs[t]
            s_before, y_before = (membranes[t - 1], outputs[t - 1]) if t > 0 else (membrane0, output0)
            h = y * (1 - y) if neuron.smooth else slope_of((s - threshold) * (1 / neuron.width))
            at_y = (error[t] + to_y) * h
            delta = (at_y + to_s + membrane_error[t]) * torch.where(s > 0, torch.ones_like(s), neuron.slope * torch.ones_like(s))
            at_kept = back = delta * decay
            at_threshold, reset = -at_y, zeros
            if neuron.reset == "hard":
                back, reset = at_kept * (1 - y_before), -at_kept * s_before * through
            elif neuron.reset == "subtract":
                reset, at_threshold = -at_kept * threshold * through, at_threshold - at_kept * y_before
            elif neuron.reset == "lateral":
                back = at_kept * (1 - y_before.max(1, keepdim=True).values)
                reset = _to_largest(y_before, at_kept * s_before * through)
            at_decay = delta * _kept(neuron, threshold, s_before, y_before)
            if current is not None:
                delta = delta + neuron.synapse * later
            trace, new_later = factor * delta, delta
            if present is not None:
                runs = present[t].unsqueeze(1)
                back, reset = torch.where(runs, back, to_s + membrane_error[t]), torch.where(runs, reset, to_y + error[t])
                delta, trace, new_later = delta * runs, trace * runs, torch.where(runs, delta, later)
                at_decay, at_threshold = at_decay * runs, at_threshold * runs
            to_s, to_y, later = back, reset, new_later
            to_decay, to_threshold = to_decay + at_decay, to_threshold + at_threshold
            if recurs:
                to_y = torch.addmm(to_y, trace if neuron.compounding else delta, R)
            if neuron.truncate > 0 and t > 0 and t % neuron.truncate == 0:
                to_s = to_y = later = zeros
            traces.append(trace)
        return (*Spiking._products(ctx, torch.stack(traces[::-1]).flatten(0, 1)),
                (to_decay.sum(0).sum().view(1) if decay.numel() == 1 else to_decay.sum(0)) if ctx.needs_input_grad[3] else None,
                to_threshold.sum(0), to_s, to_y, None, None, None, None, None)

    @staticmethod
    def _products(ctx: Any, trace: Tensor) -> List[Optional[Tensor]]:
        """The errors at x, W and R from trace = factor · δ of all steps, [time · batch, unit]."""
        x, W, R, _, _, _, output0, _, _, m, B, outputs, _ = ctx.saved_tensors
        neuron: Neuron = ctx.neuron
        to_x = to_W = to_R = None
        if ctx.needs_input_grad[0] and (neuron.transport or B is not None):
            to_x = torch.mm(trace, W if B is None else B.t()).view(x.shape)
        if ctx.needs_input_grad[1]:
            to_W = torch.mm(trace.t(), x.reshape(-1, x.shape[2]))
        if R is not None and ctx.needs_input_grad[2]:
            batch = output0.shape[0]
            to_R = torch.mm(trace[:batch].t(), output0)
            if x.shape[0] > 1:
                to_R = torch.addmm(to_R, trace[batch:].t(), outputs[:-1].flatten(0, 1))
        if m is not None and neuron.local:
            to_W, to_R = (None if g is None else g * m.unsqueeze(1) for g in (to_W, to_R))
        return [to_x, to_W, to_R]


def snu(x: Tensor, weight: Tensor, recurrent: Optional[Tensor], decay: Tensor, threshold: Tensor, membrane: Tensor, output: Tensor,
        present: Optional[Tensor], m: Optional[Tensor], local: bool, compounding: bool, feedback: Optional[Tensor], transport: bool,
        slope: float, smooth: bool, reset: str, surrogate: str, width: float, detach_reset: bool, truncate: int,
        current: Optional[Tensor] = None, synapse: float = 0.0, eprop: bool = False) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run all time steps. Returns outputs and membranes [time, batch, unit], the last output and the last current.

    x [time, batch, in]; weight [unit, in]; recurrent [unit, unit]; decay [1] or [unit]; threshold [unit]; membrane, output and
    current [batch, unit]; present [time, batch], bool; m [unit]; feedback [in, unit].
    """
    require(weight.dim() == 2 and weight.is_floating_point(), lambda: f"snu: weight must be [unit, in], floating point; got {list(weight.shape)}")
    require(x.dim() == 3 and x.shape[0] > 0 and x.shape[2] == weight.shape[1] and x.dtype == weight.dtype,
            lambda: f"snu: x must be [time, batch, {weight.shape[1]}] with at least one time step, and have the weight's dtype; got "
            f"{list(x.shape)}, {x.dtype}")
    units, batch = weight.shape[0], x.shape[1]
    for what, tensor, shape in (("recurrent", recurrent, [units, units]), ("factor", m, [units]), ("threshold", threshold, [units]),
                                ("membrane", membrane, [batch, units]), ("output", output, [batch, units]),
                                ("present", present, [x.shape[0], batch]), ("feedback", feedback, [weight.shape[1], units]),
                                ("current", current, [batch, units])):
        if tensor is not None and list(tensor.shape) != shape:
            raise RuntimeError(f"snu: {what} must be {shape}; got {list(tensor.shape)}")
    require(present is None or present.dtype == torch.bool, lambda: "snu: present must be bool")
    require(list(decay.shape) in ([1], [units]), lambda: f"snu: decay must be [1] or [{units}]; got {list(decay.shape)}")
    require(reset in RESETS, lambda: f"snu: unknown reset '{reset}'")
    require(surrogate in SURROGATES, lambda: f"snu: unknown surrogate '{surrogate}'")
    require(current is not None if synapse > 0 else current is None, lambda: f"snu: if synapse is above 0, current must be given; got synapse {synapse:g}")
    neuron = Neuron(local, compounding and not local, transport, slope, smooth, reset, surrogate, width, detach_reset, truncate, synapse, eprop)
    states, membranes, last = Spiking.apply(x, weight, recurrent, decay, threshold, membrane, output, current, present, m, feedback, neuron)
    shown = states if present is None else states.masked_fill(~present.unsqueeze(2), 0)
    return shown, membranes, states[-1].clone(), last
