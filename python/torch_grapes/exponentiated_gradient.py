"""An update rule whose steps multiply weights."""
from __future__ import annotations

from typing import Any, Callable, Optional

import torch


class ExponentiatedGradient(torch.optim.Optimizer):
    """W *= exp(-lr · sign(W) · (g + weight_decay · W)), so that weights keep their signs (Cornford et al. 2024).

        optimizer = torch_grapes.ExponentiatedGradient(model.parameters(), lr=0.1)

    A weight of 0 stays 0. Parameters with one axis, such as biases, learn by SGD, because they start at 0 and may need either sign. It is
    the optimizer `eg` of `grapes train`.
    """

    def __init__(self, params: Any, lr: float, weight_decay: float = 0.0) -> None:
        for name, value, valid in (("lr", lr, lr > 0), ("weight_decay", weight_decay, weight_decay >= 0)):
            if not valid:
                raise ValueError(f"torch_grapes: {name} must be {'above 0' if name == 'lr' else 'at least 0'}; got {value}")
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Optional[Callable[[], Any]] = None) -> Any:
        """Update all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for W in group["params"]:
                if W.grad is None:
                    continue
                g = W.grad.add(W, alpha=group["weight_decay"]) if group["weight_decay"] else W.grad
                if W.dim() < 2:
                    W.sub_(g, alpha=group["lr"])
                else:
                    W.mul_((W.sign() * g).mul_(-group["lr"]).exp_())
        return loss
