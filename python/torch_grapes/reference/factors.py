"""Factors from weights: responsibility, clip, and the modulations by name."""
from __future__ import annotations

import math
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..context import is_traced
from .functions import along, require
from .random import Random, permutation, stream_seed

LANES = 16


def _sum_in_parts(W: Tensor) -> Tensor:
    """Σ |W[n, ...]| in 16 partial sums per row, in the fixed order of grapes/kernels/loops_body.h."""
    columns = W.abs().flatten(1)
    parts = columns.new_zeros(W.shape[0], LANES)
    for block in columns.split(LANES, 1):
        parts[:, : block.shape[1]] += block
    width = LANES // 2
    while width > 0:
        parts = parts[:, :width] + parts[:, width : 2 * width]
        width //= 2
    return parts[:, 0]


def _sum_but(weight: Tensor, dim: int) -> Tensor:
    """Σ of magnitudes over every axis but `dim`."""
    W = weight.detach()
    if W.dim() == 1:
        return W.abs()
    if dim != 0:
        return W.abs().sum([axis for axis in range(W.dim()) if axis != dim])
    if not is_traced() and W.dtype == torch.float64 and W.device.type == "cpu" and W.is_contiguous():
        return _sum_in_parts(W)  # a fixed order of sums, so that it equals the compiled operation bit for bit
    return W.abs().flatten(1).sum(1)


def _exists(W: Tensor) -> Tensor:
    return W.detach().ne(0).to(W.dtype)


def _count_but(weight: Tensor, recurrent: Optional[Tensor], dim: int) -> Tensor:
    """Return the number of weights that are not 0, or 1 if there is none."""
    count = _sum_but(_exists(weight), dim)
    return (count if recurrent is None else count + _sum_but(_exists(recurrent), dim)).clamp_min(1)


@torch.no_grad()
def responsibility(weight: Tensor, recurrent: Optional[Tensor] = None, dim: int = 0, mask: Optional[Tensor] = None,
                   mean: bool = False) -> Tensor:
    """r[n] = Σ |W[n, ...]| + Σ |R[n, ...]|. See torch_grapes.responsibility."""
    require(weight.is_floating_point(), lambda: f"responsibility: weight must be floating point; got {weight.dtype}")
    require(0 <= dim < weight.dim(), lambda: f"responsibility: dim must be an axis of the weight; got {dim} for shape {list(weight.shape)}")
    masked = weight
    if mask is not None:
        given = mask
        require(given.dim() == 1 and given.shape[0] == weight.shape[0],
                lambda: f"responsibility: mask must be [{weight.shape[0]}], one number per row of the weight; got {list(given.shape)}")
        masked = weight.detach() * along(given.to(weight.dtype), weight.dim(), 0)
    r = _sum_but(masked, dim)
    if recurrent is not None:
        R = recurrent
        require(R.dim() > dim and R.shape[dim] == weight.shape[dim],
                lambda: f"responsibility: recurrent weight must have {weight.shape[dim]} units along axis {dim}; got {list(R.shape)}")
        r = r + _sum_but(R, dim)
    return r / _count_but(weight, recurrent, dim) if mean else r


def factor(weight: Tensor, recurrent: Optional[Tensor] = None, dim: int = 0, mask: Optional[Tensor] = None, gain: float = 2.0,
           low: float = 1.0, high: float = 2.0) -> Tensor:
    """m[n] = clip(gain · r[n] / max r, low, high). See torch_grapes.factor."""
    return factor_from(responsibility(weight, recurrent, dim, mask), gain, low, high)


@torch.no_grad()
def factor_from(r: Tensor, gain: float, low: float, high: float) -> Tensor:
    """Compute factors from given responsibilities, [unit].

    Traced code cannot read values, and a tensor on the device "meta" has none. There a weight that is not finite gives factors that are
    not a number.
    """
    require(gain > 0 and math.isfinite(gain), lambda: f"factor: gain must be a finite number above 0; got {gain:g}")
    require(0 <= low <= high, lambda: f"factor: the clip range must satisfy 0 <= low <= high; got [{low:g}, {high:g}]")
    if r.numel() == 0:
        return r
    largest = r.max()
    if is_traced() or r.is_meta:
        return torch.where(largest == 0, torch.ones_like(r), (r * gain / largest).clamp(low, high))
    value = largest.item()
    if not math.isfinite(value):  # a sum of magnitudes is finite only if every weight is finite
        raise ValueError(f"factor: every weight must be finite; got a responsibility of {value:g}")
    return torch.ones_like(r) if value == 0 else (r * gain / largest).clamp(low, high)


def _permuted(m: Tensor, r: Tensor, constant: float, random: Random) -> Tensor:
    return m.index_select(0, torch.tensor(permutation(m.shape[0], random), device=m.device))


def _to_a_power(m: Tensor, r: Tensor, constant: float, random: Random) -> Tensor:
    r = factor_from(r, 1.0, 0.0, 1.0)
    if constant < 0:  # a unit without weights would get an infinite factor
        r = r.clamp_min(1e-3)
    power = r.pow(constant)
    return power / power.mean()


#: Computes the factors of a modulation from m [unit], r [unit], the layer's constant and a random stream.
Transform = Callable[[Tensor, Tensor, float, Random], Tensor]
TRANSFORMS: Dict[str, Transform] = {
    "grapes": lambda m, r, constant, random: m,
    "grapes-local": lambda m, r, constant, random: m,
    "uniform": lambda m, r, constant, random: m.mean().expand(m.shape).clone(),
    "shuffled": _permuted,
    "shuffled-fixed": _permuted,
    "inverse": lambda m, r, constant, random: m.max() + m.min() - m,
    "mean-one": lambda m, r, constant, random: m / m.mean(),
    "power": _to_a_power,
    "constant": lambda m, r, constant, random: torch.full_like(m, constant),
}


def _stepped(m: Tensor, bits: int) -> Tensor:
    """Round m to `bits`. The result is never 0: the smallest factor is one step, or 1 for 0 bits."""
    if bits < 0:
        return m
    steps = 2.0**bits
    return (((m - 1) * steps + 0.5).floor() / steps + 1).clamp_min(1 / steps)


def _exact(W: Tensor) -> Tensor:
    return W.detach().float() if W.dtype in (torch.float16, torch.bfloat16) else W  # sums in 16 bits would be rounded


@torch.no_grad()
def layer_factor(weight: Tensor, recurrent: Optional[Tensor], axis: int, groups: int, gates: int, modulation: str,
                 constants: Sequence[float], gain: float, low: float, high: float, factor_bits: int, seed: int, per_gate: bool,
                 mean: bool, layer: int, batch: int, name: str) -> Tensor:
    """Compute the factors of a layer by a rule, [gates · unit]. torch_grapes.Rule.factor explains the arguments."""
    def summed(W: Tensor, R: Optional[Tensor]) -> Tensor:
        if groups == 1:
            return responsibility(W, R, axis)
        magnitude = W.detach().abs().flatten(1)  # [input, unit / groups, ...]: inputs of a group reach only the units of that group
        return magnitude.view(groups, W.shape[0] // groups, W.shape[1], -1).sum([1, 3]).flatten()

    W, R = _exact(weight), None if recurrent is None else _exact(recurrent)
    r = summed(W, R)
    count = summed(_exists(W), None if R is None else _exists(R)) if mean else torch.ones_like(r)
    drawn = {"shuffled": batch, "shuffled-fixed": 0}.get(modulation)
    random = Random(0 if drawn is None else stream_seed(seed, "shuffled", drawn, layer))
    constant = constants[min(layer, len(constants) - 1)] if constants else 1.0

    def made_of(r: Tensor, count: Tensor) -> Tensor:
        r = r / count.clamp_min(1) if mean else r
        try:
            return _stepped(TRANSFORMS[modulation](factor_from(r, gain, low, high), r, constant, random), factor_bits)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    if gates == 1:
        return made_of(r, count)
    r_of, count_of = r.view(gates, -1), count.view(gates, -1)
    if not per_gate:
        return made_of(r_of.sum(0), count_of.sum(0)).repeat(gates)
    return torch.cat([made_of(*gate) for gate in zip(r_of, count_of)])


def over_weight(m: Tensor, weight: Tensor, axis: int, groups: int) -> Tensor:
    """Shape the factors so that they broadcast over the weight of their layer."""
    if groups == 1:
        return along(m, weight.dim(), axis)
    ins, outs = weight.shape[0] // groups, weight.shape[1]
    shape: List[int] = [weight.shape[0], outs, *[1] * (weight.dim() - 2)]
    return m.view(groups, 1, outs).expand(groups, ins, outs).reshape(shape)


def _signs(W: Tensor, magnitude: Optional[Tensor]) -> Tensor:
    """sign(Wᵀ) times a magnitude: one number, or a feedback weight."""
    assert magnitude is not None, "the route has feedback weights"
    signs = W.detach().sign()
    return (signs.t() if W.dim() == 2 else signs).mul(magnitude)


#: The matrix or kernel that carries the error on the routes that have one, from W and the feedback weight B.
MATRICES: Dict[str, Callable[[Tensor, Optional[Tensor]], Optional[Tensor]]] = {
    "fa": lambda W, B: B,
    "kolen-pollack": lambda W, B: B,
    "sign-symmetric": lambda W, B: _signs(W, W.detach().abs().mean()),  # Liao, Leibo, Poggio 2016
    "usf": lambda W, B: _signs(W, B),
    "brsf": lambda W, B: _signs(W, None if B is None else B.abs()),
    "frsf": lambda W, B: _signs(W, None if B is None else B.abs()),
}


def error_path(route: str, weight: Tensor, feedback: Optional[Tensor]) -> Tuple[bool, Optional[Tensor]]:
    """Return whether the layer below receives an error, and the matrix that carries it (None: the weight itself)."""
    if route in MATRICES:
        return True, MATRICES[route](weight, feedback)
    return route in ("bp", "eprop-symmetric"), None
