"""The hooks of a modulation. After each forward pass they attach the factors to the graph of that pass.

A hook does not refer to a module. It has only a name, options and a factor that can be recomputed. A model can therefore be copied,
pickled and replicated together with its modulation.
"""
from __future__ import annotations

import threading
import weakref
from typing import Any, Dict, List, NamedTuple, Optional

import torch
from torch import Tensor, nn

from . import layers, library
from .clock import Clock
from .context import has_backward, is_traced, is_transformed, refuse, uncompiled
from .reference.functions import Scale, along
from .rule import Rule


class Made(NamedTuple):
    """A factor and the weights that it was computed from."""

    weight: "weakref.ref[Tensor]"
    version: Any
    batch: int
    m: Tensor


class Modulate(layers.Hook):
    """The hook of one module."""

    def __init__(self, name: str, index: int, rule: Rule, local: bool, clock: Clock, module: nn.Module) -> None:
        self.name, self.index, self.rule, self.local, self.clock = name, index, rule, local, clock
        self.axes, self.layout = layers.axes_after_units(layers.core(module)), layers.layout(layers.core(module))
        self.parts = 0  # number of updates within a batch, for a model that is called in parts
        self.cache: Dict[str, Made] = {}

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "cache": {}}

    def full(self, suffix: str) -> str:
        """Return the full name of a layer inside the module. The module may be the whole model, whose name is empty."""
        return ".".join(part for part in (self.name, suffix) if part)

    def factor(self, index: int, suffix: str, weight: Tensor, recurrent: Optional[Tensor], gates: int = 1) -> Tensor:
        """Return the factor of the current weights. Recompute it for a batch that is due and after a weight was changed."""
        version = weight._version if recurrent is None else (weight._version, recurrent._version)
        batch = self.clock.batch
        known = self.cache.get(suffix)
        if known is not None and known.weight() is weight:
            if known.batch == batch and known.version == version:
                return known.m
            self.parts += known.batch == batch
            if batch % self.rule.every != 0 and known.batch != batch:
                return known.m
        m = self.make(index, suffix, weight, recurrent, gates)
        self.cache[suffix] = Made(weakref.ref(weight), version, batch, m)
        return m

    def make(self, index: int, suffix: str, weight: Tensor, recurrent: Optional[Tensor], gates: int) -> Tensor:
        """Compute the factor. Traced code has no number of the batch, see Rule.factor."""
        axis, groups = self.layout
        weight, recurrent = layers.whole(weight), None if recurrent is None else layers.whole(recurrent)
        return self.rule.factor(weight, recurrent, axis=axis, groups=groups, gates=gates, layer=index,
                                batch=None if is_traced() else max(self.clock.batch, 0) + self.parts, name=self.full(suffix))

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Optional[Tensor]:
        raise NotImplementedError

    def factors(self, module: nn.Module) -> Dict[str, Tensor]:
        raise NotImplementedError


class ModulatePlain(Modulate):
    """The hook of a layer that returns its pre-activation."""

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Optional[Tensor]:
        require_tensor(self.name, output)
        self.clock.saw(self.name, False, output)
        if is_traced():
            return self.traced(module, inputs, output)
        if not output.requires_grad or torch.jit.is_tracing():  # a traced model is exported without a backward pass
            return None
        module = layers.core(module)
        weight: Any = module._parameters.get("weight")
        if weight is None:
            weight = layers.used(module, "weight")
        if hasattr(weight, "full_tensor"):
            raise RuntimeError(f"torch_grapes: {self.name}: this process computes with a part of the weight (a DTensor), and the factors "
                               "need all units; use FSDP2 (fully_shard) or DDP, or exclude the layer")
        m = self.factor(self.index, "", weight, None)
        if not self.local:
            library.attach(output, m, output.dim() - self.axes - 1)
            return None
        given = tensors_given(self.name, inputs)
        bias = layers.used(module, "bias")
        scaled = scale_own(output, given, weight, library.over_weight(m, weight, *self.layout))
        if bias is not None:
            scale_own(output, given, bias, m)
        if scaled == 0 and weight.requires_grad:
            raise RuntimeError(f"torch_grapes: {self.name}: its output does not depend on its weight; exclude the layer")
        return None

    def traced(self, module: nn.Module, inputs: Any, output: Tensor) -> Optional[Tensor]:
        """Return the output with the error scaled, as a function of tensors alone: without a hook on the graph."""
        if not has_backward():
            return None
        module = layers.core(module)
        weight = layers.used(module, "weight")
        m = self.make(self.index, "", weight, None, 1)
        if not self.local:
            return Scale.apply(output, along(m, output.dim(), output.dim() - self.axes - 1))
        bias = layers.used(module, "bias")
        own = Scale.apply(weight, library.over_weight(m, weight, *self.layout))
        return layers.again(module, inputs, own, None if bias is None else Scale.apply(bias, m))

    def factors(self, module: nn.Module) -> Dict[str, Tensor]:
        return {self.name: self.make(self.index, "", layers.used(layers.core(module), "weight"), None, 1)}


class Unfuse(layers.Hook):
    """Runs before a recurrent layer. Turns off the kernels that run all its time steps as one node; Fuse turns them on again."""

    lock = threading.Lock()
    running: List[int] = []  # ids of the layers that run now, in all threads
    before = (True, True)

    @uncompiled
    def __call__(self, module: nn.Module, inputs: Any) -> None:
        if not torch.is_grad_enabled():
            return
        with Unfuse.lock:
            if not Unfuse.running:
                Unfuse.before = torch._C._get_mkldnn_enabled(), torch._C._get_cudnn_enabled()
                Unfuse.switch(False, False)
            Unfuse.running.append(id(module))

    @staticmethod
    def switch(mkldnn: bool, cudnn: bool) -> None:
        torch._C._set_mkldnn_enabled(mkldnn)
        torch._C._set_cudnn_enabled(cudnn)


class Fuse(layers.Hook):
    """Runs after a recurrent layer, even if the layer or a hook before Unfuse raised an error."""

    @uncompiled
    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        with Unfuse.lock:
            if id(module) not in Unfuse.running:
                return
            Unfuse.running.remove(id(module))
            if not Unfuse.running:
                Unfuse.switch(*Unfuse.before)


class ModulateRecurrent(Modulate):
    """The hook of a recurrent layer. Its pre-activation is computed inside, at each time step."""

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Optional[Tensor]:
        self.clock.saw(self.name, True, output)
        if not has_backward():
            return None
        if is_transformed():
            raise RuntimeError(f"torch_grapes: {self.name}: a recurrent layer cannot be modulated inside torch.func; exclude the layer")
        self._attach(module, inputs, output)
        return None

    @uncompiled
    def _attach(self, module: nn.Module, inputs: Any, output: Any) -> None:
        outputs = [t for t in layers.tensors(output) if t.requires_grad]
        if not outputs or torch.jit.is_tracing():
            return
        given, gates = tensors_given(self.name, inputs), layers.gates(module)
        learns_below = given[0].requires_grad  # the other inputs are the state
        all_rows = list(layers.recurrent_rows(module))
        for k, rows in enumerate(all_rows):
            m = self.factor(self.index + k, rows.suffix, rows.input_weight, rows.recurrent_weight, gates)
            if self.local:
                _scale_rows(outputs, given, rows.input_weight, rows.input_bias, m)
            else:
                passes = learns_below or any(below.learn() for below in all_rows if below.level < rows.level)
                self._scale_error(outputs, given, rows.input_weight, rows.input_bias, m, passes)
            if self.local or not self.rule.compounding:
                _scale_rows(outputs, given, rows.recurrent_weight, rows.recurrent_bias, m)
            else:
                self._scale_error(outputs, given, rows.recurrent_weight, rows.recurrent_bias, m, False)

    def _scale_error(self, outputs: List[Tensor], given: List[Tensor], weight: Tensor, bias: Optional[Tensor], m: Tensor,
                     passes: bool) -> None:
        """Scale the error at the products with the weight. passes: whether the other operand receives an error."""
        try:
            found = library.attach_product(outputs, given, weight, bias, m)
        except RuntimeError as error:
            raise RuntimeError(
                f"torch_grapes: {self.name}: {str(error).splitlines()[0]}; run it without cuDNN "
                "(torch.backends.cudnn.flags(enabled=False)), or exclude the layer"
            ) from None
        if found == 0 and (weight.requires_grad or passes):
            raise RuntimeError(
                f"torch_grapes: {self.name}: the product with its {'' if weight.requires_grad else 'frozen '}weights was not found in "
                "the graph of its output; exclude the layer"
            )

    def factors(self, module: nn.Module) -> Dict[str, Tensor]:
        gates = layers.gates(module)
        return {self.full(rows.suffix): self.make(self.index + k, rows.suffix, rows.input_weight, rows.recurrent_weight, gates)
                for k, rows in enumerate(layers.recurrent_rows(module))}


def require_tensor(name: str, output: Any) -> None:
    if not isinstance(output, Tensor):
        refuse(f"torch_grapes: {name} returned a {type(output).__name__}, but a layer must return its pre-activation, one tensor; exclude the layer")


def tensors_given(name: str, inputs: Any) -> List[Tensor]:
    given = layers.tensors(inputs)
    if not given:
        raise RuntimeError(
            f"torch_grapes: {name} was called with keyword arguments only, which PyTorch does not pass to hooks; pass its input as a "
            "positional argument"
        )
    return given


def scale_own(output: Any, given: List[Tensor], parameter: Tensor, scale: Tensor) -> int:
    if not parameter.requires_grad:
        return 0
    return library.attach_parameter([output] if isinstance(output, Tensor) else output, given, parameter, scale)


def _scale_rows(outputs: List[Tensor], given: List[Tensor], weight: Tensor, bias: Optional[Tensor], m: Tensor) -> None:
    scale_own(outputs, given, weight, m.view(-1, 1))
    if bias is not None:
        scale_own(outputs, given, bias, m)
