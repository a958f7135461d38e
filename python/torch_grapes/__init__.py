"""GRAPES for PyTorch: scales the error at each unit by the unit's responsibility (Dellaferrera et al. 2022).

    import torch_grapes
    handle = torch_grapes.enable(model)   # the forward pass, state_dict and optimizer stay unchanged
    ...                                   # train
    handle.disable()
"""
from . import nn, registered, safetensors
from .attach import Handle, disable, enable, enabled
from .context import TORCH
from .library import factor, feedback, feedback_convolution, modulate, responsibility
from .local_optimizer import LocalOptimizer
from .record import Record
from .rule import Modulation, Route, Rule, modulations, routes

if TORCH >= (2, 4):
    registered.register()

__all__ = [
    "Handle", "LocalOptimizer", "Modulation", "Record", "Route", "Rule", "disable", "enable", "enabled", "factor", "feedback", "feedback_convolution",
    "modulate", "modulations", "nn", "responsibility", "routes", "safetensors",
]
