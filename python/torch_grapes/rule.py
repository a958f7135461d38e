"""A learning rule: a route and a modulation. The tables have the rows of grapes/credit/modulation.cpp and route.cpp."""
from __future__ import annotations

import math

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from . import library
from .context import is_traced, refuse


class Route(NamedTuple):
    """How the error reaches a layer from the layers above."""

    name: str
    summary: str
    clipped: bool  #: whether the authors' program clips the factors here
    local_in_time: bool  #: no error runs back in time between units
    feedback: str  #: where feedback weights send the error: "none", "above" (to the layer below), "direct" (from the logits), "first"
    weights: str  #: what the feedback weights are: "fixed", "scale" (one number), "redrawn" (for every batch), "learned"


@dataclass(frozen=True)
class Modulation:
    """How the error is scaled: computes the factors of a layer from its GRAPES factors m [unit]."""

    name: str
    summary: str = ""
    local: bool = False  #: scales only the layer's own update; the error is passed on unscaled
    transform: Optional[Callable[[Tensor], Tensor]] = None  #: your own function; None: the function that the library has for `name`
    numbers: str = "none"  #: the constants that it needs: "none", "positive" or "any"
    whole: bool = False  #: needs the weights or gradients of the whole network, so that only `grapes train` supports it

    def fault_of(self, constants: Sequence[float]) -> str:
        """Return why the modulation cannot have these constants, or "" if it can."""
        if self.numbers == "none":
            return ""  # it ignores them
        if not constants:
            return f"the modulation {self.name} must have constants; got none"
        got = "; got " + ", ".join(f"{c:g}" for c in constants)
        if not all(map(math.isfinite, constants)):
            return "constants must be finite" + got
        return "constants must be above 0" + got if self.numbers == "positive" and min(constants) <= 0 else ""


#: The tables that `grapes list modulations` and `grapes list routes` show, by name.
modulations: Dict[str, Modulation] = {row.name: row for row in (
    Modulation("none", "the error is not scaled"),
    Modulation("grapes", "multiplies the error by the unit's factor; earlier layers receive the scaled error"),
    Modulation("grapes-local",
               "multiplies only the layer's own update by the unit's factor; earlier layers receive the unscaled error", local=True),
    Modulation("uniform", "control: every unit of a layer gets the layer's mean factor"),
    Modulation("shuffled", "control: the layer's factors, permuted among its units for every batch"),
    Modulation("shuffled-fixed", "control: the layer's factors, permuted among its units in the same way for the whole run"),
    Modulation("inverse", "control: max m + min m - m, so the most responsible unit gets the smallest factor"),
    Modulation("mean-one", "control: m / mean m, so factors differ within a layer, and their mean is 1"),
    Modulation("power", "control: power:P gives each unit the factor r^P / mean r^P, without a clip; power:P1,P2,... gives one exponent "
               "per hidden layer", numbers="any"),
    Modulation("constant",
               "control: constant:C gives all units the factor C; constant:C1,C2,... gives one factor per hidden layer",
               numbers="positive"),
    Modulation("norm-matched", "control: one number per layer, with which the norm of the layer's gradient equals that with the "
               "modulation grapes in the same batch", local=True, whole=True),
    Modulation("balanced", "multiplies the updates of a unit's incoming weights by f and those of its outgoing weights by 1/f, so "
               "that steps do not depend on how a unit's scale is divided between them", local=True, whole=True),
    Modulation("balanced-once", "the first approximation of balanced: f is the sum of a unit's absolute incoming weights over that of "
               "its outgoing weights", local=True, whole=True),
    Modulation("balanced-shuffled", "control: the f of balanced, permuted among the units of a layer in the same way for the whole run",
               local=True, whole=True),
)}
routes: Dict[str, Route] = {row.name: row for row in (
    Route("bp", "backpropagation: the error goes back through the transposed weights", True, False, "none", "fixed"),
    Route("fa", "feedback alignment: the error goes back layer by layer through fixed random matrices (Lillicrap et al. 2016)",
          False, False, "above", "fixed"),
    Route("dfa", "direct feedback alignment: the output error goes to every hidden layer through a fixed random matrix "
          "(Nøkland 2016)", False, False, "direct", "fixed"),
    Route("eprop", "e-prop, for spiking networks: dfa at every time step; no error flows back in time between units "
          "(Bellec et al. 2020)", False, True, "direct", "fixed"),
    Route("eprop-symmetric", "e-prop, for spiking networks, with the transposed weights instead of random matrices "
          "(Bellec et al. 2020)", True, True, "none", "fixed"),
    Route("ifa", "indirect feedback alignment: the output error goes to the first layer, then forward through the weights "
          "(Nøkland 2016)", False, False, "first", "fixed"),
    Route("kolen-pollack", "fa with learned matrices: each gets the same update and weight decay as the weights that it replaces "
          "(Kolen and Pollack 1994, Akrout et al. 2019)", True, False, "above", "learned"),
    Route("sign-symmetric", "the error goes back through the signs of the transposed weights, scaled by their mean magnitude "
          "(Liao et al. 2016)", True, False, "none", "fixed"),
    Route("usf", "the error goes back through the signs of the transposed weights, all of one fixed magnitude "
          "(Liao et al. 2016, Xiao et al. 2019)", True, False, "above", "scale"),
    Route("brsf", "the error goes back through the signs of the transposed weights, with random magnitudes that are drawn again for "
          "every batch (Liao et al. 2016)", True, False, "above", "redrawn"),
    Route("frsf", "the error goes back through the signs of the transposed weights, with fixed random magnitudes "
          "(Liao et al. 2016)", True, False, "above", "fixed"),
)}

RESPONSIBILITIES = ("by-route", "incoming", "input", "outgoing", "synaptic")
REDUCTIONS = ("sum", "mean")


def one_of(what: str, value: object, names: Sequence[str]) -> None:
    if value not in names:
        raise ValueError(f"torch_grapes: {what} must be one of {', '.join(names)}; got {value!r}")


@dataclass(frozen=True)
class Rule:
    """How the error reaches a unit, and how it is scaled there. The fields and defaults are those of grapes::Rule in C++.

        δ[n] <- m[n] · δ[n],   m[n] = clip(gain · r[n] / max r, low, high),   r[n] = Σ |W[n, ...]|   (Dellaferrera et al. 2022)

    route           a name in `routes`
    modulation      a name in `modulations`, a Modulation, or a function that takes factors [unit] and returns factors [unit]
    constants       factors of the modulation "constant", or exponents of "power": one for all layers, or one per layer
    responsibility  which weights count: "incoming": W, and R of a recurrent layer; "input": W only; "outgoing" and "synaptic":
                    weights of the next layer, only in `grapes train`; "by-route": the default of the authors' program
    reduction       "sum" of the absolute weights, or their "mean" over the weights that are not 0
    gain            factor of the unit with the largest responsibility, before the clip
    clip            range (low, high) of the factors; None: m is in (0, gain]; "by-route": (1, 2), or None on routes such as fa and dfa
    every           number of batches for which the factors are kept
    factor_bits     number of fraction bits of the factor; below 0: no rounding
    seed            seed of the permutations of "shuffled" and "shuffled-fixed"
    per_gate        LSTM, GRU: normalize each gate separately instead of all gates of a unit together
    compounding     recurrent layers: also scale the error that runs back through R, which gives m^T after T steps

    Raises ValueError for an invalid field.
    """

    route: str = "bp"
    modulation: Union[str, Modulation, Callable[[Tensor], Tensor]] = "grapes"
    constants: Sequence[float] = ()
    responsibility: str = "by-route"
    reduction: str = "sum"
    gain: float = 2.0
    clip: Union[str, None, Tuple[float, float]] = "by-route"
    every: int = 1
    factor_bits: int = -1
    seed: int = 0
    per_gate: bool = False
    compounding: bool = False

    row: Modulation = field(init=False, repr=False, compare=False)  #: the row of the modulation in the table
    range: Tuple[float, float] = field(init=False, repr=False, compare=False)  #: low and high of the clip
    _packed: Tuple[Any, ...] = field(init=False, repr=False, compare=False)  # the arguments of library.layer_factor

    def __post_init__(self) -> None:
        one_of("route", self.route, tuple(routes))
        one_of("responsibility", self.responsibility, RESPONSIBILITIES)
        one_of("reduction", self.reduction, REDUCTIONS)
        row: Any = self.modulation
        if isinstance(row, str):
            one_of("modulation", row, tuple(modulations))
            row = modulations[row]
        elif not isinstance(row, Modulation):
            row = Modulation(getattr(row, "__name__", repr(row)), transform=row)
        if row.whole:
            raise ValueError(f"torch_grapes: the modulation {row.name} needs the whole network, and is only supported by grapes train")
        fault = row.fault_of(self.constants)
        if fault:
            raise ValueError(f"torch_grapes: {fault}")
        clip: Any = self.clip
        if clip == "by-route":
            clip = (1.0, 2.0) if routes[self.route].clipped else None
        try:
            low, high = (0.0, self.gain) if clip is None else map(float, clip)
        except (TypeError, ValueError):
            raise ValueError(f"torch_grapes: clip must be (low, high), None or 'by-route'; got {clip!r}") from None
        if not self.gain > 0 or not 0 <= low <= high:
            raise ValueError(f"torch_grapes: gain must be above 0, and clip must satisfy 0 <= low <= high; got {self.gain} and {clip}")
        if self.every < 1:
            raise ValueError(f"torch_grapes: every must be at least 1; got {self.every}")
        object.__setattr__(self, "row", row)
        object.__setattr__(self, "range", (float(low), float(high)))
        made = row.name if row.transform is None else "grapes"
        packed = (made, [float(c) for c in self.constants], self.gain, low, high, self.factor_bits, self.seed, self.per_gate,
                  self.reduction == "mean")
        object.__setattr__(self, "_packed", packed)

    @property
    def modulates(self) -> bool:
        """Whether the rule scales the error at all."""
        return self.row.name != "none"

    @property
    def counts_batches(self) -> bool:
        """Whether the factors depend on the number of the batch, and not on the weights alone."""
        return self.every != 1 or self.row.name == "shuffled"

    @property
    def sends(self) -> bool:
        """Whether a route other than backpropagation carries the error."""
        return self.route != "bp"

    def __str__(self) -> str:
        if self.sends and not self.modulates:
            return self.route
        constants = ":" + ",".join(f"{c:g}" for c in self.constants) if self.constants else ""
        which = "input" if self.responsibility == "input" else "incoming"
        which = "mean " + which if self.reduction == "mean" else which
        route = self.route + "+" if self.sends else ""
        return f"{route}{self.row.name}{constants}: gain {self.gain:g}, clip [{self.range[0]:g}, {self.range[1]:g}], {which} responsibility"

    def factor(self, weight: Tensor, recurrent: Optional[Tensor] = None, *, axis: int = 0, groups: int = 1, gates: int = 1,
               layer: int = 0, batch: Optional[int] = 0, name: str = "") -> Tensor:
        """Compute the factors of a layer, [gates · unit], without a gradient. Not for the modulation "none".

        weight     [gates · unit, ...]; [input, unit / groups, ...] with axis 1
        recurrent  [gates · unit, unit], or None
        layer      index of the layer, from 0, for `constants` and for the draws of "shuffled" and "shuffled-fixed"
        batch      index of the batch, for the draws of "shuffled"; None if the caller counts no batches
        Raises RuntimeError if the rule needs the index and has none; ValueError, with the name, if a weight is not finite or a custom
        modulation returns invalid factors.
        """
        if batch is None and self.counts_batches:
            refuse(
                f"torch_grapes: {name}: the modulation {self.row.name} with every={self.every} counts batches, which code under "
                "torch.compile and torch.func cannot; use another modulation with every=1, or call the model without them"
            )
        if self.responsibility == "input":
            recurrent = None
        try:
            m = library.layer_factor(weight, recurrent, axis, groups, gates, *self._packed, layer, batch or 0, name)
        except ValueError as error:
            raise ValueError(f"torch_grapes: {str(error).splitlines()[0]}") from None
        if self.row.transform is None:
            return m
        if self.per_gate:
            return torch.cat([self._own(part, name) for part in m.chunk(gates)])
        return self._own(m[: len(m) // gates], name).repeat(gates)

    def _own(self, m: Tensor, name: str) -> Tensor:
        found = self.row.transform(m.clone())  # type: ignore[misc]
        if not isinstance(found, Tensor) or found.shape != m.shape or not (is_traced() or torch.isfinite(found).all()):
            raise ValueError(f"torch_grapes: {name}: a modulation must return finite factors of shape {list(m.shape)}; it returned {found}")
        return found.detach()
