"""What the layers of torch_grapes.nn have in common: a rule, its feedback weights, and the factors of its batches."""
from __future__ import annotations

import math
from typing import Any, Callable, Dict, Optional, Tuple

import torch
from torch import Tensor
from torch import nn as torch_nn

from .library import ops
from .rule import Rule, routes


def feedback_weights(*shape: int, units: int) -> Tensor:
    """Uniform in ±1/√units, the number of units they come from (Nøkland 2016)."""
    bound = 1 / math.sqrt(units)
    return torch.empty(*shape).uniform_(-bound, bound)


class Routed(torch_nn.Module):
    """A layer with a rule. `rule` may be set anew between batches, on the same route."""

    modulates_itself = True
    rule: Rule

    def _set_rule(self, fields: Dict[str, Any], draw_feedback: Callable[[], Tensor]) -> None:
        self.rule = Rule(**fields)
        name = f"torch_grapes.nn.{type(self).__name__}"
        if routes[self.rule.route].feedback == "first":
            raise ValueError(f"{name}: route {self.rule.route} runs upwards through a network; a layer by itself knows no layer below")
        if self.rule.responsibility == "outgoing":
            raise ValueError(f"{name}: a layer by itself knows its own weights only; responsibility must be incoming or input, got outgoing")
        self._batch, self._factor = 0, None  # forward passes with a graph so far, and the factor of the last one
        if routes[self.rule.route].feedback == "above":
            self.register_buffer("feedback", draw_feedback())

    def _error_path(self, weight: Tensor) -> Tuple[bool, Optional[Tensor]]:
        """Whether the layer below receives an error, and the matrix that carries it; None: the weight carries it."""
        return ops.error_path(self.rule.route, weight, getattr(self, "feedback", None))

    def _next_factor(self, weight: Tensor, recurrent: Optional[Tensor] = None) -> Optional[Tensor]:
        """Of a forward pass; None where there is no graph to modulate."""
        if not self.rule.modulates or not torch.is_grad_enabled():
            return None
        if self._batch % self.rule.every == 0 or self._factor is None:
            name = f"torch_grapes.nn.{type(self).__name__}"
            self._factor = self.rule.factor(weight, recurrent, batch=self._batch, name=name)
        self._batch += 1
        return self._factor

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, route={self.rule.route}, modulation={self.rule.row.name}".lstrip(", ")
