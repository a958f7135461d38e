"""GRAPES for PyTorch: scales the error at each unit by the unit's responsibility (Dellaferrera et al. 2022).

    import torch_grapes
    handle = torch_grapes.enable(model)   # the forward pass, state_dict and optimizer stay unchanged
    ...                                   # train
    handle.disable()

    handle = torch_grapes.convert(model, "fa", "grapes")   # another route for the error, with or without GRAPES
    print(torch_grapes.compare(train))    # whether it is worth it: your own training function with several rules and seeds
"""
from . import nn, registered, safetensors
from .alignment import Alignment, alignment
from .attach import Handle, convert, converted, disable, enable, enabled, revert
from .comparing import Comparison, Run, compare
from .context import TORCH
from .exponentiated_gradient import ExponentiatedGradient
from .library import factor, feedback, feedback_convolution, mirror, modulate, responsibility
from .local_optimizer import LocalOptimizer
from .record import Record
from .rule import Modulation, Route, Rule, modulations, routes
from .version import VERSION as __version__

if TORCH >= (2, 4):
    registered.register()

__all__ = [
    "Alignment", "Comparison", "ExponentiatedGradient", "Handle", "LocalOptimizer", "Modulation", "Record", "Route", "Rule", "Run", "__version__",
    "alignment", "compare", "convert", "converted", "disable", "enable", "enabled", "factor", "feedback", "feedback_convolution", "mirror",
    "modulate", "modulations", "nn", "responsibility", "revert", "routes", "safetensors",
]
