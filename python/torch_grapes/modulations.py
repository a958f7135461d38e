"""What is made of a layer's factor: GRAPES itself, and the controls that a claim about it must be compared with."""
from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Callable, Dict, NamedTuple, Optional, Tuple, Union

import torch
from torch import Tensor


class Layer(NamedTuple):
    """What a modulation may know besides the factor."""

    name: str  #: "features.0", "lstm.l0_reverse"
    index: int  #: among the modulated layers, from 0
    draw: int  #: a number for random draws: the same within a batch, another in the next


@dataclass(frozen=True)
class Modulation:
    """A way to scale the error: the factor m [node] of a layer -> what is used in its place [node]."""

    name: str
    summary: str
    shape: Optional[Callable[[Tensor, Layer], Tensor]]  #: None: the error as it is
    local: bool = False  #: scales the layer's own update only; the error travels on as it was


def _as_is(m: Tensor, layer: Layer) -> Tensor:
    return m


def _mean_everywhere(m: Tensor, layer: Layer) -> Tensor:
    return torch.full_like(m, m.mean().item())


def _permuted(m: Tensor, layer: Layer) -> Tensor:
    # A generator of its own, so that the model's dropout and the user's sampler draw what they would have drawn. The seed
    # is a hash, for of a seed's 64 bits the generator takes 32.
    generator = torch.Generator().manual_seed(zlib.crc32(f"{layer.name} {layer.draw}".encode()))
    return m[torch.randperm(len(m), generator=generator).to(m.device)]


@dataclass(frozen=True)
class _Filled:
    constants: Tuple[float, ...]

    def __call__(self, m: Tensor, layer: Layer) -> Tensor:
        return torch.full_like(m, self.constants[min(layer.index, len(self.constants) - 1)])


@dataclass(frozen=True)
class _Own:
    rule: Callable[[Tensor], Tensor]

    def __call__(self, m: Tensor, layer: Layer) -> Tensor:
        own = self.rule(m.clone())
        if not isinstance(own, Tensor) or own.shape != m.shape or not torch.isfinite(own).all():
            raise ValueError(
                f"torch_grapes: {layer.name}: a modulation must return finite factors of shape {list(m.shape)}; it returned {own}"
            )
        return own.detach()


def constant(*constants: float) -> Modulation:
    """The control with the same factor at every node: one for all modulated layers, or one each, propagating."""
    if not constants or not all(c > 0 for c in constants):
        raise ValueError(f"torch_grapes: constant takes factors above 0; got {constants}")
    name = "constant:" + ",".join(f"{c:g}" for c in constants)
    return Modulation(name, "control: the same factor at every node, propagating", _Filled(tuple(constants)))


#: By name; a row of one's own is one more entry.
modulations: Dict[str, Modulation] = {
    row.name: row
    for row in (
        Modulation("none", "the error as it comes: plain backpropagation", None),
        Modulation("grapes", "times the node's factor, and travels on so (propagating)", _as_is),
        Modulation("grapes-local", "the layer's own update times the node's factor; the error travels on as it was", _as_is, True),
        Modulation("uniform", "control: every node gets its layer's mean factor, propagating", _mean_everywhere),
        Modulation("shuffled", "control: the layer's factors, permuted among its nodes each batch, propagating", _permuted),
    )
}


def modulation_of(what: Union[str, Modulation, Callable[[Tensor], Tensor]]) -> Modulation:
    """A row by its name, "constant:1.5" or "constant:1.8,1.7", a Modulation, or a function from factors to factors."""
    if isinstance(what, Modulation):
        return what
    if callable(what):
        return Modulation(getattr(what, "__name__", repr(what)), "of one's own, propagating", _Own(what))
    if what in ("local", *modulations):
        return modulations["grapes-local" if what == "local" else what]
    name, _, values = str(what).partition(":")
    if name == "constant":
        try:
            return constant(*map(float, values.split(",")))
        except ValueError:
            raise ValueError(f"torch_grapes: constant takes factors above 0, as in 'constant:1.5'; got {what!r}") from None
    raise ValueError(f"torch_grapes: there is no modulation {what!r}; there are {', '.join(modulations)}, constant:C, or a function")
