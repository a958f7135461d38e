"""Checks gradients of enable() and convert() against the rule's definition, computed layer by layer without hooks.

The network is a chain of layers z = W h, h = f(z). From the error at the logits, each step down the chain is

    δ[n] <- m[n] δ[n],    dL/dW = δ hᵀ,    dL/dh = Wᵀ δ   (or B δ on the route "fa"),    δ = f'(z) dL/dh

with m[n] = clip(2 r[n] / max r, 1, 2), r[n] = Σ |W[n, ...]|, the layer's mean factor with "uniform", and 1 in the output layer.
"grapes-local" scales only dL/dW.
"""
from __future__ import annotations

import copy
from typing import Dict, List, NamedTuple, Optional

import torch
from torch import Tensor, nn

from . import library
from .attach import convert


#: Routes and modulations that are checked.
RULES = (("bp", "none"), ("bp", "grapes"), ("bp", "grapes-local"), ("bp", "uniform"), ("fa", "none"), ("fa", "grapes"))


class Check(NamedTuple):
    name: str  #: network, rule, device and number format
    fault: str  #: empty, or how the gradients differ


def devices() -> List[str]:
    mps = getattr(torch.backends, "mps", None)
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if mps is not None and mps.is_available() else [])]


def _factor(weight: Tensor, modulation: str) -> Tensor:
    r = weight.abs().flatten(1).sum(1)
    m = (2 * r / r.max()).clamp(1, 2)
    return m.mean().expand_as(m) if modulation == "uniform" else m


def _down(layer: nn.Module, h: Tensor, delta: Tensor, weight: Tensor) -> List[Tensor]:
    """Return dL/dW and dL/dh of one linear or convolutional layer whose weight is replaced, for the error delta at its output."""
    h, weight = h.detach().requires_grad_(), weight.detach().requires_grad_()
    z = nn.functional.conv2d(h, weight, padding=1) if isinstance(layer, nn.Conv2d) else nn.functional.linear(h, weight)
    return list(torch.autograd.grad(z, (weight, h), delta))


def defined(model: nn.Sequential, x: Tensor, error: Tensor, modulation: str, feedback: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Return the gradient of each weight by the definition of the rule, for an error at the output."""
    inputs, outputs = [], []
    for layer in model:
        inputs.append(x.detach().requires_grad_())
        x = layer(inputs[-1])
        outputs.append(x)
    last = len(model) - 1
    found = {}
    for k in range(last, -1, -1):
        weight: Optional[Tensor] = getattr(model[k], "weight", None)
        if weight is None:  # an activation, or a change of shape
            (error,) = torch.autograd.grad(outputs[k], inputs[k], error)
            continue
        modulated = k != last and modulation != "none"
        own = _factor(weight.detach(), modulation).view(-1, *[1] * (error.dim() - 2)) * error if modulated else error
        found[f"{k}.weight"] = _down(model[k], inputs[k], own, weight)[0]
        sent = feedback.get(str(k), weight.detach().t() if weight.dim() == 2 else weight)
        passed = error if modulation == "grapes-local" else own
        error = _down(model[k], inputs[k], passed, sent.t() if sent.dim() == 2 else sent)[1]
    return found


def _network(kind: str) -> nn.Sequential:
    if kind == "mlp":
        return nn.Sequential(nn.Linear(6, 9, False), nn.ReLU(), nn.Linear(9, 7, False), nn.Tanh(), nn.Linear(7, 3, False))
    return nn.Sequential(nn.Conv2d(2, 5, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(5, 4, 3, padding=1, bias=False), nn.Tanh(), nn.Flatten(),
                         nn.Linear(4 * 16, 3, False))


def _check(kind: str, route: str, modulation: str, device: str, dtype: torch.dtype) -> str:
    generator = torch.Generator().manual_seed(1)
    model = _network(kind)
    for weight in model.parameters():
        weight.data = torch.randn(weight.shape, generator=generator)
    model = model.to(device, dtype)
    shape, errors = ((5, 6), (5, 3)) if kind == "mlp" else ((5, 2, 4, 4), (5, 3))
    x, error = (torch.randn(size, generator=generator).to(device, dtype) for size in (shape, errors))
    plain = copy.deepcopy(model)
    handle = convert(model, route, modulation, clip=(1.0, 2.0))
    value = model(x)
    if not torch.equal(value, plain(x)):
        return "the forward pass has changed"
    value.backward(error)
    expected = defined(plain, x, error, modulation, handle.feedback())
    tolerance = 1e-10 if dtype == torch.float64 else 1e-4
    for name, parameter in model.named_parameters():
        found = parameter.grad
        if found is None:
            return f"{name} has no gradient"
        apart = ((found - expected[name]).norm() / expected[name].norm()).item()
        if not apart < tolerance:
            return f"the gradient of {name} differs from the definition by {apart:.1e} of its norm"
    return ""


def checks() -> List[Check]:
    """Carry out all checks: networks, rules, devices, number formats, and both implementations of the operations."""
    done = []
    compiled = library.compiled
    try:
        for operations in ("plain", *(["compiled"] if compiled is not None else [])):
            library.compiled = compiled if operations == "compiled" else None
            for device in devices() if operations == "plain" else ["cpu"]:
                for dtype in (torch.float32, *([torch.float64] if device != "mps" else [])):
                    for kind in ("mlp", "convolutions"):
                        for route, modulation in RULES:
                            name = f"{kind}, {route}+{modulation}, {device}, {str(dtype)[6:]}, {operations} operations"
                            try:
                                fault = _check(kind, route, modulation, device, dtype)
                            except Exception as error:  # the other checks are carried out too
                                fault = f"{type(error).__name__}: {error}"
                            done.append(Check(name, fault))
    finally:
        library.compiled = compiled
    return done
