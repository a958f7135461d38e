"""Base of the layers of torch_grapes.nn: a rule, feedback weights, and the factors of each batch."""
from __future__ import annotations

import math
from typing import Any, Dict, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch import nn as torch_nn

from . import library
from .context import has_backward, is_traced, refuse
from .rule import Rule, routes


def feedback_weights(*shape: int, units: int) -> Tensor:
    """Draw feedback weights, uniform in ±1/√units. units is the number of units that send the error (Nøkland 2016)."""
    bound = 1 / math.sqrt(units)
    return torch.empty(*shape).uniform_(-bound, bound)


def magnitude(B: Tensor) -> Tensor:
    """Return the one magnitude of the route usf: the root mean square of feedback weights."""
    return B.square().mean().sqrt()


class Routed(torch_nn.Module):
    """A layer with a rule. `rule` may be replaced between batches if the route stays the same."""

    modulates_itself = True
    rule: Rule
    feedback: Tensor

    def _set_rule(self, fields: Dict[str, Any], shape: Sequence[int], units: int, dtype: Any) -> None:
        """shape, units: of the feedback weights of the routes that send the error to the layer below."""
        self.rule = Rule(**fields)
        name, route = f"torch_grapes.nn.{type(self).__name__}", routes[self.rule.route]
        if route.feedback == "first":
            raise ValueError(f"{name}: route {route.name} sends the error upward through a network; it is not supported for a single layer")
        if self.rule.responsibility == "outgoing":
            raise ValueError(f"{name}: responsibility must be incoming or input, because a single layer does not know the next layer's weights; got outgoing")
        self._batch = 0  # number of forward passes with a graph
        self._factor: Optional[Tensor] = None  # of the last one
        self._shape, self._units = tuple(shape), units
        if route.feedback != "above":
            return
        B = self._drawn().to(dtype or torch.get_default_dtype())
        if route.weights == "learned":
            self.feedback = torch_nn.Parameter(B)
        else:
            self.register_buffer("feedback", magnitude(B) if route.weights == "scale" else B)

    def _drawn(self) -> Tensor:
        return feedback_weights(*self._shape, units=self._units)

    def _error_path(self, weight: Tensor) -> Tuple[bool, Optional[Tensor]]:
        """Return whether the layer below receives an error, and the matrix that carries it (None: the weight)."""
        if routes[self.rule.route].weights == "redrawn" and torch.is_grad_enabled():
            if is_traced():
                refuse(f"torch_grapes.nn.{type(self).__name__}: the route {self.rule.route} draws its feedback weights again for every "
                       "batch, which is not supported under torch.compile and torch.func; use frsf")
            self.feedback = self._drawn().to(self.feedback)
        return library.error_path(self.rule.route, weight, getattr(self, "feedback", None))

    def _mirrored(self, weight: Tensor) -> Tensor:
        """Return the weight to compute with. On kolen-pollack its gradient goes to the feedback weight too."""
        return library.mirror(weight, self.feedback) if routes[self.rule.route].weights == "learned" else weight

    def _next_factor(self, weight: Tensor, recurrent: Optional[Tensor] = None) -> Optional[Tensor]:
        """Return the factor of a forward pass, or None if the pass has no backward pass."""
        if not self.rule.modulates or not has_backward():
            return None
        if is_traced():
            return self.rule.factor(weight, recurrent, batch=None, name=f"torch_grapes.nn.{type(self).__name__}")
        if self._batch % self.rule.every == 0 or self._factor is None:
            name = f"torch_grapes.nn.{type(self).__name__}"
            self._factor = self.rule.factor(weight, recurrent, batch=self._batch, name=name)
        self._batch += 1
        return self._factor

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, route={self.rule.route}, modulation={self.rule.row.name}".lstrip(", ")
