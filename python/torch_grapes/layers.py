"""Modules of PyTorch whose error can be scaled, and what a unit is in each of them.

A linear or convolutional layer returns its pre-activation. The error is scaled there, per row of the weight or per output
channel. A recurrent layer computes its current W x + R y inside. A unit's responsibility is summed over its rows of W and R
in all gates, and all gates get the same factor. At every time step the error at the current is multiplied by m once, for the
gradients of W and R and for the error at the layer below. The error that runs back in time through R is not scaled, because
its factors would compound.
"""
from __future__ import annotations

import weakref
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .context import refuse

CONVOLUTIONS = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
TRANSPOSED = {nn.ConvTranspose1d: 1, nn.ConvTranspose2d: 2, nn.ConvTranspose3d: 3}
RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)
CELLS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
PLAIN = (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)


class Rows(NamedTuple):
    """The parameters of one layer and direction of a recurrent module."""

    suffix: str  # "l0", "l1_reverse"; empty for a cell
    level: int  # index in the stack of layers
    input_weight: Tensor
    recurrent_weight: Tensor
    input_bias: Optional[Tensor]
    recurrent_bias: Optional[Tensor]

    def learn(self) -> bool:
        return any(t is not None and t.requires_grad for t in self[2:])


def is_adapted(module: nn.Module) -> bool:
    """Whether a module is a plain layer with LoRA, as in peft: its output is the layer's plus B A x."""
    return hasattr(module, "lora_A") and is_plain(getattr(module, "base_layer", nn.Identity()))


def core(module: Any) -> Any:
    """Return the layer whose weight has the units: the base layer of a layer with LoRA, else the layer itself."""
    return module.base_layer if is_adapted(module) else module


def is_conv1d(module: nn.Module) -> bool:
    """Whether a module is the linear layer of GPT-2 in transformers, whose weight is [in, out]."""
    return type(module).__name__ == "Conv1D" and type(module).__module__ == "transformers.pytorch_utils"


def is_plain(module: nn.Module) -> bool:
    if is_conv1d(module) or is_adapted(module):
        return True
    # MultiheadAttention uses the weight of its output layer but never calls that layer.
    return isinstance(module, PLAIN) and not isinstance(module, nn.modules.linear.NonDynamicallyQuantizableLinear)


def is_recurrent(module: nn.Module) -> bool:
    return isinstance(module, (*RECURRENT, *CELLS))


def unsupported_reason(module: nn.Module) -> str:
    """Return why a module with weights cannot be modulated. Empty if it can, or if it has no weights."""
    if is_plain(module) or is_recurrent(module):
        if getattr(module, "proj_size", 0) > 0:
            return "an LSTM with proj_size has a second weight inside each time step"
        if is_recurrent(module) and parametrize.is_parametrized(module):
            return "a parametrized recurrent layer does not use the weights it shows"
        return ""
    return f"a module of type {type(module).__name__}" if has_weights(module) else ""


def has_weights(module: nn.Module) -> bool:
    """Whether a module has a weight of its own. Biases and the scales of a normalization do not count."""
    own = [*module.parameters(recurse=False)]
    own += [p for plist in getattr(module, "parametrizations", {}).values() for p in plist.parameters(recurse=False)]
    return any(isinstance(p, nn.parameter.UninitializedParameter) or p.dim() > 1 for p in own)


def axes_after_units(module: nn.Module) -> int:
    """Return the number of axes after the axis of units in the output of a plain layer, with or without a batch axis."""
    for kinds in (CONVOLUTIONS, TRANSPOSED):
        for kind, axes in kinds.items():
            if isinstance(module, kind):
                return axes
    return 0


def layout(module: Any) -> Tuple[int, int]:
    """Return how the units of the weight are counted: (axis, groups). A transposed convolution is [in, out / groups, ...]."""
    if isinstance(module, tuple(TRANSPOSED)):
        return 1, int(getattr(module, "groups"))
    return (1, 1) if is_conv1d(module) else (0, 1)


def recurrent_rows(module: Any) -> Iterator[Rows]:
    suffixes: List[Tuple[str, int]] = [("", 0)]
    if not isinstance(module, CELLS):
        directions = ("", "_reverse") if module.bidirectional else ("",)
        suffixes = [(f"l{k}{direction}", k) for k in range(module.num_layers) for direction in directions]
    for suffix, level in suffixes:
        end = f"_{suffix}" if suffix else ""
        biases = [getattr(module, f"bias_{kind}{end}") if module.bias else None for kind in ("ih", "hh")]
        yield Rows(suffix, level, getattr(module, f"weight_ih{end}"), getattr(module, f"weight_hh{end}"), *biases)


def gates(module: Any) -> int:
    """Return the number of blocks of rows in W and R: 4 for an LSTM, 3 for a GRU, 1 for an RNN."""
    return next(recurrent_rows(module)).recurrent_weight.shape[0] // module.hidden_size


def again(module: Any, inputs: Tuple[Any, ...], weight: Tensor, bias: Optional[Tensor]) -> Tensor:
    """Compute a plain layer again with these parameters. torch.compile removes the first computation, whose result is unused."""
    if len(inputs) != 1:
        refuse(f"torch_grapes: {type(module).__name__}: a layer that is computed again has one positional input; got {len(inputs)}")
    if isinstance(module, nn.Linear) or is_conv1d(module):
        return nn.functional.linear(inputs[0], weight.t() if is_conv1d(module) else weight, bias)
    if isinstance(module, tuple(TRANSPOSED)):
        kinds: Any = nn.functional.conv_transpose1d, nn.functional.conv_transpose2d, nn.functional.conv_transpose3d
        m: Any = module
        return kinds[axes_after_units(m) - 1](inputs[0], weight, bias, m.stride, m.padding, m.output_padding, m.groups, m.dilation)
    return module._conv_forward(inputs[0], weight, bias)


class Hook:
    """Base of the hooks that convert() adds to modules, so that revert() finds them."""

    @property
    def __name__(self) -> str:  # only torch.jit.script reads it, before it tries to compile the hook
        raise RuntimeError("torch_grapes: torch.jit.script cannot compile a model with a rule; call revert() before and convert() or enable() after")


class Remember(Hook):
    """The hook of a ParametrizationList. It keeps the last result, which is the tensor that the layer computed with.

    Reading the parameter again would recompute it; with spectral_norm that takes a step of the power iteration.
    """

    last: "weakref.WeakKeyDictionary[nn.Module, Tensor]" = weakref.WeakKeyDictionary()

    def __call__(self, parametrization: nn.Module, inputs: Tuple[object, ...], output: Tensor) -> None:
        Remember.last[parametrization] = output


def whole(weight: Any) -> Tensor:
    """Return the whole weight if this process has only a part of it."""
    return weight.full_tensor() if hasattr(weight, "full_tensor") else weight


def beside(scale: Tensor, gradient: Any) -> Tensor:
    """Return a factor in a form that can multiply a gradient, also if this process has only a part of the gradient."""
    if not hasattr(gradient, "full_tensor"):
        return scale
    from torch.distributed.tensor import DTensor, Replicate

    return DTensor.from_local(scale, gradient.device_mesh, [Replicate()] * gradient.device_mesh.ndim, run_check=False)


def parametrizations(module: Any) -> Dict[str, nn.Module]:
    if not parametrize.is_parametrized(module):
        return {}
    return {name: module.parametrizations[name] for name in ("weight", "bias") if name in module.parametrizations}


def used(module: Any, name: str) -> Any:
    """Return the weight or bias that the module last computed with, a tensor or None."""
    own = module._parameters.get(name)
    if own is not None:
        return own
    if parametrize.is_parametrized(module, name):
        parametrization = module.parametrizations[name]
        if not any(isinstance(hook, Remember) for hook in parametrization._forward_hooks.values()):
            raise RuntimeError(f"torch_grapes: {type(module).__name__}.{name} was parametrized after enable(); call disable() and enable() again")
        if parametrization in Remember.last:
            return Remember.last[parametrization]
        training = parametrization.training
        parametrization.eval()
        try:
            with torch.no_grad():
                return parametrization()
        finally:
            parametrization.train(training)
    return getattr(module, name)  # set by weight_norm or pruning for this call, or a replica's copy


def tensors(value: object) -> List[Tensor]:
    """Return all tensors in nested tuples, lists, dicts and packed sequences."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):  # a PackedSequence is a tuple; its other tensors are integers
        return [t for item in value for t in tensors(item) if t.is_floating_point()]
    return []
