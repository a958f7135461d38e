"""The hooks that enable() puts on modules: after each forward pass they hang the factors onto the graph it made.

A hook holds no module, only a name, options and a factor that it can make again, so that a model is copied, pickled and
replicated together with its modulation.
"""
from __future__ import annotations

import warnings
import weakref
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn

from . import layers
from .library import ops
from .modulations import Layer, Modulation


HALVES = (torch.bfloat16, torch.float16)  # whose sums would be rounded


@dataclass(frozen=True)
class Options:
    modulation: Modulation
    responsibility: str
    gain: float
    low: float
    high: float
    per_gate: bool


class Clock:
    """What the hooks of one model share: a new forward pass is a new batch; the first one shows what is the output layer."""

    def __init__(self, outputs: List[str], hidden: List[str], guessed: bool, warn: bool) -> None:
        self.batch = 0
        self.outputs, self.hidden, self.guessed, self.warn = outputs, hidden, guessed, warn
        self.unchecked = guessed or warn
        self.calls: Optional[List[Tuple[str, bool, Any]]] = None  # of a pass that is to be checked; else None

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "calls": None}

    def begin(self) -> None:
        self.batch += 1
        self.calls = [] if self.unchecked and torch.is_grad_enabled() else None

    def saw(self, name: str, recurrent: bool, output: Any) -> None:
        for z in layers.tensors(output):
            self.calls.append((name, recurrent, z.grad_fn))
            if z._is_view() and z._base.grad_fn is not None:  # all that is left of it after an in-place activation
                self.calls.append((name, recurrent, z._base.grad_fn))

    def end(self, output: Any) -> None:
        ends = [t.grad_fn for t in layers.tensors(output) if t.grad_fn is not None]
        if self.calls is None or not ends or not self.calls:
            return
        calls, self.calls = self.calls, None
        if self.guessed:
            reached = self._first_reached(ends, calls)
            if reached and not set(reached) & set(self.outputs):
                raise RuntimeError(
                    f"torch_grapes: the output layer, which is not modulated, was taken to be {self.outputs[0]!r}, the last one in "
                    f"the model; but what the model returns comes straight from {', '.join(map(repr, reached))}: "
                    f"enable(model, output=[...]) with the names of the output layers, or output=True to modulate all"
                )
            others = [name for name, recurrent in reached.items() if name not in self.outputs and not recurrent]
            if others and self.warn:
                warnings.warn(
                    f"torch_grapes: {', '.join(others)} lead straight to what the model returns, as the output layer "
                    f"{self.outputs[0]} does, and are modulated; if they are output layers too, name all of them in output=[...]"
                )
        self.unchecked = False
        idle = [name for name in self.hidden if name not in {name for name, _, _ in calls}]
        if idle and self.warn:
            warnings.warn(f"torch_grapes: not called in this forward pass, hence not modulated: {', '.join(idle)}")

    @staticmethod
    def _first_reached(ends: List[Any], calls: List[Tuple[str, bool, Any]]) -> Dict[str, bool]:
        """The layers between which and the model's outputs no other layer stands."""
        whose = {node: (name, recurrent) for name, recurrent, node in calls if node is not None}
        reached: Dict[str, bool] = {}
        seen = set(ends)
        todo = list(seen)
        while todo:
            node = todo.pop()
            if node in whose:
                name, recurrent = whose[node]
                reached[name] = recurrent
                continue
            for below, _ in node.next_functions:
                if below is not None and below not in seen:
                    seen.add(below)
                    todo.append(below)
        return reached


class Begin(layers.Hook):
    """Before the whole model's forward pass."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        self.clock.begin()


class End(layers.Hook):
    """After it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.clock.end(output)


class Watch(layers.Hook):
    """The hook of an output layer, or of one that is left out: only says that it was called."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name, self.clock = name, clock

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self.clock.calls is not None:
            self.clock.saw(self.name, layers.is_recurrent(module), output)


class Modulate(layers.Hook):
    """The hook of one module."""

    def __init__(self, name: str, index: int, options: Options, clock: Clock, module: nn.Module) -> None:
        self.name, self.index, self.options, self.clock = name, index, options, clock
        self.axes, self.transposed = layers.axes_after_nodes(module), layers.is_transposed(module)
        self.cache: Dict[str, Tuple[Any, ...]] = {}

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "cache": {}}

    def full(self, suffix: str) -> str:
        """The name of a layer inside the module; the module itself may be the whole model, whose name is empty."""
        return ".".join(part for part in (self.name, suffix) if part)

    def factor(self, suffix: str, weight: Tensor, recurrent: Optional[Tensor], module: nn.Module) -> Tensor:
        """Of the weights as they stand. Made anew for a batch, and when a weight was written within one."""
        version = weight._version if recurrent is None else (weight._version, recurrent._version)
        known = self.cache.get(suffix)
        if known is not None and known[0]() is weight and known[1] == version and known[2] == self.clock.batch:
            return known[3]
        draw = self.clock.batch + (weight._version << 20)  # each of them alone stands still in some way of training
        m = self.make(Layer(self.full(suffix), self.index, draw), weight, recurrent, module)
        self.cache[suffix] = (weakref.ref(weight), version, self.clock.batch, m)
        return m

    def make(self, layer: Layer, weight: Tensor, recurrent: Optional[Tensor], module: nn.Module) -> Tensor:
        """The modulation's factors of a weight's rows."""
        rows = layers.node_rows(module, weight.detach()) if self.transposed else weight
        if rows.dtype in HALVES:
            rows, recurrent = rows.float(), None if recurrent is None else recurrent.float()
        o = self.options
        try:
            m = ops.factor(rows, recurrent, 0, None, o.gain, o.low, o.high)
        except ValueError as error:
            raise ValueError(f"torch_grapes: {layer.name}: {str(error).splitlines()[0]}") from None
        return o.modulation.shape(m, layer)

    def factors(self, module: nn.Module) -> Dict[str, Tensor]:
        raise NotImplementedError


class ModulatePlain(Modulate):
    """Of a layer that returns its pre-activation."""

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self.clock.calls is not None:
            self.clock.saw(self.name, False, output)
        if not output.requires_grad or torch.jit.is_tracing():  # a traced model is exported: its values are all there is
            return
        weight = module._parameters.get("weight")
        if weight is None:
            weight = layers.used(module, "weight")
        m = self.factor("", weight, None, module)
        if not self.options.modulation.local:
            ops.attach(output, m, output.dim() - self.axes - 1)
        else:
            given = _given(self.name, inputs)
            bias = layers.used(module, "bias")
            scaled = _scale(output, given, weight, layers.weight_scale(module, weight, m))
            if bias is not None:
                _scale(output, given, bias, m)
            if scaled == 0 and weight.requires_grad:
                raise RuntimeError(f"torch_grapes: {self.name}: its weight has no part in what it returned; exclude it")

    def factors(self, module: nn.Module) -> Dict[str, Tensor]:
        return {self.name: self.factor("", layers.used(module, "weight"), None, module)}


class ModulateRecurrent(Modulate):
    """Of a layer whose pre-activation is its current, computed inside at each time step."""

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self.clock.calls is not None:
            self.clock.saw(self.name, True, output)
        outputs = [t for t in layers.tensors(output) if t.requires_grad]
        if not outputs or torch.jit.is_tracing():
            return
        given = _given(self.name, inputs)
        for k, rows in enumerate(layers.recurrent_rows(module)):
            m = self._factor(rows, module)
            if self.options.modulation.local:
                _scale(outputs, given, rows.input_weight, m.view(-1, 1))
                if rows.input_bias is not None:
                    _scale(outputs, given, rows.input_bias, m)
            elif rows.input_weight.requires_grad:
                try:
                    found = ops.attach_product(outputs, given, rows.input_weight, rows.input_bias, m)
                except RuntimeError as error:
                    raise RuntimeError(
                        f"torch_grapes: {self.name}: {str(error).splitlines()[0]}; run it without cuDNN "
                        "(torch.backends.cudnn.flags(enabled=False)), or exclude it"
                    ) from None
                if found == 0:
                    raise RuntimeError(f"torch_grapes: {self.name}: weight_ih has no part in what it returned; exclude it")
            elif k > 0 or any(t.requires_grad for t in given) or (rows.input_bias is not None and rows.input_bias.requires_grad):
                raise RuntimeError(
                    f"torch_grapes: {self.name}: its input weights are frozen, so the error on its way to the layer below cannot "
                    "be found; leave it out with exclude="
                )
            _scale(outputs, given, rows.recurrent_weight, m.view(-1, 1))
            if rows.recurrent_bias is not None:
                _scale(outputs, given, rows.recurrent_bias, m)

    def make(self, layer: Layer, weight: Tensor, recurrent: Optional[Tensor], module: nn.Module) -> Tensor:
        """[gates · node]: one factor for all gates of a node, of all their weights; or each gate's by itself."""
        gates = layers.gates(module)
        if self.options.per_gate:
            parts = [tensor.chunk(gates) if tensor is not None else [None] * gates for tensor in (weight, recurrent)]
            own = [layer._replace(name=f"{layer.name}, gate {k}") for k in range(gates)]
            return torch.cat([super(ModulateRecurrent, self).make(*of, module) for of in zip(own, *parts)])
        together = [None if tensor is None else layers.gates_together(tensor, gates) for tensor in (weight, recurrent)]
        return super().make(layer, *together, module).repeat(gates)

    def _factor(self, rows: layers.Rows, module: nn.Module) -> Tensor:
        recurrent = rows.recurrent_weight if self.options.responsibility == "incoming" else None
        return self.factor(rows.suffix, rows.input_weight, recurrent, module)

    def factors(self, module: nn.Module) -> Dict[str, Tensor]:
        return {
            self.full(rows.suffix): self._factor(rows, module)
            for rows in layers.recurrent_rows(module)
        }


def _given(name: str, inputs: Any) -> List[Tensor]:
    given = layers.tensors(inputs)
    if not given:
        raise RuntimeError(
            f"torch_grapes: {name} was called with keyword arguments only, which PyTorch does not show to hooks; give its input by position"
        )
    return given


def _scale(output: Any, given: List[Tensor], parameter: Tensor, scale: Tensor) -> int:
    if not parameter.requires_grad:
        return 0
    return ops.attach_parameter([output] if isinstance(output, Tensor) else output, given, parameter, scale)
