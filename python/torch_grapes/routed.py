"""Base of the layers of torch_grapes.nn: a rule, feedback weights, and the factors of each batch."""
from __future__ import annotations

import math
from typing import Any, Callable, Dict, Optional, Tuple

import torch
from torch import Tensor
from torch import nn as torch_nn

from . import library
from .context import has_backward, is_traced
from .rule import Rule, routes


def feedback_weights(*shape: int, units: int) -> Tensor:
    """Draw feedback weights, uniform in ±1/√units. units is the number of units that send the error (Nøkland 2016)."""
    bound = 1 / math.sqrt(units)
    return torch.empty(*shape).uniform_(-bound, bound)


class Routed(torch_nn.Module):
    """A layer with a rule. `rule` may be replaced between batches if the route stays the same."""

    modulates_itself = True
    rule: Rule

    def _set_rule(self, fields: Dict[str, Any], draw_feedback: Callable[[], Tensor]) -> None:
        self.rule = Rule(**fields)
        name = f"torch_grapes.nn.{type(self).__name__}"
        if routes[self.rule.route].feedback == "first":
            raise ValueError(f"{name}: route {self.rule.route} sends the error upward through a network; it is not supported for a single layer")
        if self.rule.responsibility == "outgoing":
            raise ValueError(f"{name}: responsibility must be incoming or input, because a single layer does not know the next layer's weights; got outgoing")
        self._batch = 0  # number of forward passes with a graph
        self._factor: Optional[Tensor] = None  # of the last one
        if routes[self.rule.route].feedback == "above":
            self.register_buffer("feedback", draw_feedback())

    def _error_path(self, weight: Tensor) -> Tuple[bool, Optional[Tensor]]:
        """Return whether the layer below receives an error, and the matrix that carries it (None: the weight)."""
        return library.error_path(self.rule.route, weight, getattr(self, "feedback", None))

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
