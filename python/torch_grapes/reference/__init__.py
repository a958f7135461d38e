"""The operations of torch.ops.grapes in plain PyTorch. They run on any device and under torch.compile and torch.func.

Each has the name, the arguments and the errors of the compiled operation, and in float64 on the CPU the same bits. See
library.py, which chooses between the two.
"""
from .factors import error_path, factor, layer_factor, over_weight, responsibility
from .functions import feedback, feedback_convolution, mirror, modulate
from .graph import attach, attach_parameter, attach_product
from .spiking import snu

__all__ = [
    "attach", "attach_parameter", "attach_product", "error_path", "factor", "feedback", "feedback_convolution", "layer_factor",
    "mirror", "modulate", "over_weight", "responsibility", "snu",
]
