"""GRAPES for PyTorch: the error at each node scaled by the node's responsibility (Dellaferrera et al. 2022).

    import torch_grapes
    handle = torch_grapes.enable(model)   # the forward pass, state_dict and optimizer stay what they are
    ...                                   # train
    handle.disable()
"""
from . import nn, safetensors
from .attach import Handle, disable, enable, enabled
from .library import factor, feedback, feedback_convolution, modulate, responsibility
from .modulations import Layer, Modulation, constant, modulations
from .record import Record

__all__ = [
    "Handle", "Layer", "Modulation", "Record", "constant", "disable", "enable", "enabled", "factor", "feedback",
    "feedback_convolution", "modulate", "modulations", "nn", "responsibility", "safetensors",
]
