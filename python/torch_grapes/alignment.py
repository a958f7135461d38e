"""Measures how far a rule is from backpropagation, by angles between gradients and between weights."""
from __future__ import annotations

import math
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, NamedTuple, Optional, Tuple, Type

import torch
from torch import Tensor, nn

from . import layers
from .hooks import Modulate
from .transport import Close, Send, SendDirect, Take, weights_of


class Alignment(NamedTuple):
    """The alignment of one weight W. Angles are in degrees, from 0 to 180, and NaN if a gradient is 0. Independent random directions
    have an angle of about 90."""

    transport: float  #: between the gradient on the rule's route and that of backpropagation, both without modulation
    modulation: float  #: between the gradients with and without the modulation, both on the rule's route
    feedback: Optional[float]  #: between W and the feedback weight B, in W's layout; None on routes without B
    ratio: Optional[float]  #: norm of B over norm of W; None on routes without B


def angle(a: Tensor, b: Tensor) -> float:
    """Return the angle between two tensors, in degrees; NaN if one of them is 0."""
    a, b = a.detach().double().flatten(), b.detach().double().flatten()
    norms = a.norm() * b.norm()
    # atan2 is exact near 0 and 180, where the arc cosine loses half of the digits
    u, v = a * b.norm(), b * a.norm()
    return math.degrees(2 * math.atan2((u - v).norm().item(), (u + v).norm().item())) if norms > 0 else math.nan


def alignment(model: nn.Module, loss: Callable[[], Tensor]) -> Dict[str, Alignment]:
    """Compare the gradients of a model that has a rule with those of backpropagation, by name of the layer ("lstm.l0" in an RNN).

        angles = torch_grapes.alignment(model, lambda: F.cross_entropy(model(x), y))

    model  a model after convert() or enable()
    loss   computes the loss of one batch with the model; it is called three times, with the same random numbers

    The call restores gradients, buffers such as running statistics, the random state and the batch counter. Training then continues as if
    it had not been called, bit for bit. Raises ValueError if the model has no rule.
    """
    model = getattr(model, "_orig_mod", model)
    hooks = {name: [h for h in module._forward_hooks.values() if isinstance(h, (Send, Modulate))] for name, module in model.named_modules()}
    found = {name: own for name, own in hooks.items() if own}
    if not found:
        raise ValueError("torch_grapes: alignment: the model has no rule; call convert() or enable() first")
    modules = dict(model.named_modules())
    weights: Dict[str, Tensor] = {}
    sends: Dict[str, Tuple[Send, int]] = {}
    for name, own in found.items():
        for k, weight in enumerate(weights_of(modules[name])):
            full = ".".join(part for part in (name, weight.feedback.partition("_")[2]) if part)
            sends.update({full: (hook, k) for hook in own if isinstance(hook, Send)})
            parameter = weight.W._base if layers.is_conv1d(modules[name]) else weight.W
            if parameter is not None and parameter.requires_grad and parameter.is_leaf:
                weights[full] = parameter
    with _as_it_was(model, found):
        whole = _gradients(loss, weights)
        paths = {full: list(weights_of(modules[send.name]))[k] for full, (send, k) in sends.items() if not isinstance(send, SendDirect)}
        B = {full: sends[full][0].path(modules[sends[full][0].name], weight).detach() for full, weight in paths.items()}
    with _as_it_was(model, found), _without(model, Modulate):
        routed = _gradients(loss, weights)
    with _as_it_was(model, found), _without(model, Modulate, Send, Take, Close):
        plain = _gradients(loss, weights)
    result = {}
    for full in weights:
        carried = B[full].t() if full in B and B[full].dim() == 2 else B.get(full)
        W = paths[full].W if full in paths else None
        result[full] = Alignment(
            angle(routed[full], plain[full]), angle(whole[full], routed[full]),
            None if carried is None or W is None else angle(W, carried),
            None if carried is None or W is None else (carried.norm() / W.detach().norm()).item())
    return result


def _gradients(loss: Callable[[], Tensor], weights: Dict[str, Tensor]) -> Dict[str, Tensor]:
    with torch.enable_grad():
        value = loss()
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            raise ValueError("torch_grapes: alignment: loss must compute one number with the model and return it as a tensor with a gradient; it "
                             f"returned {value!r}")
        gradients = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
    return {name: torch.zeros_like(W) if g is None else g for (name, W), g in zip(weights.items(), gradients)}


@contextmanager
def _as_it_was(model: nn.Module, hooks: Dict[str, list]) -> Iterator[None]:  # type: ignore[type-arg]
    """Restore afterwards what a forward pass changes."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    clocks = {id(hook.clock): hook.clock for own in hooks.values() for hook in own}.values()
    batches = [(clock, clock.batch) for clock in clocks]
    factors = [(hook, hook.parts, dict(hook.cache)) for own in hooks.values() for hook in own if isinstance(hook, Modulate)]
    try:
        with torch.random.fork_rng():
            yield
    finally:
        for buffer, before in buffers:
            buffer.copy_(before)
        for clock, batch in batches:
            clock.batch = batch
        for hook, parts, cache in factors:
            hook.parts, hook.cache = parts, cache


@contextmanager
def _without(model: nn.Module, *kinds: Type[layers.Hook]) -> Iterator[None]:
    """Take hooks of these kinds out of the model for a while. Their order is kept."""
    tables = [table for module in model.modules() for table in (module._forward_hooks, module._forward_pre_hooks)]
    before = [dict(table) for table in tables]
    try:
        for table in tables:
            for key in [key for key, hook in table.items() if isinstance(hook, kinds)]:
                del table[key]
        yield
    finally:
        for table, rows in zip(tables, before):
            table.clear()
            table.update(rows)
