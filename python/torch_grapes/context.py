"""What PyTorch is doing with the code that runs: calling, compiling, exporting or transforming it."""
from __future__ import annotations

from typing import Any

import torch

TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])
_compiler: Any = getattr(torch, "compiler", None)


def is_compiling() -> bool:
    """Whether torch.compile or torch.export traces this code. Python's state must then be neither read nor written."""
    if hasattr(_compiler, "is_compiling"):  # from PyTorch 2.2
        return bool(_compiler.is_compiling())
    return False


def is_exporting() -> bool:
    """Whether torch.export traces this code. What it makes has no backward pass."""
    if hasattr(_compiler, "is_exporting"):  # from PyTorch 2.7
        return bool(_compiler.is_exporting())
    return False


def is_transformed() -> bool:
    """Whether this code runs inside torch.func.grad, vmap or another transform, whose tensors have no graph to attach to."""
    if TORCH < (2, 0):
        return False
    return bool(torch._C._are_functorch_transforms_active())


def is_traced() -> bool:
    """Whether the operations must be functions of tensors alone: without hooks on the graph, and without reading values."""
    return is_compiling() or is_transformed()
