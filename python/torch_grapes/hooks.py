"""The hooks of a modulation. After each forward pass they attach the factors to the graph of that pass.

A hook does not refer to a module. It has only a name, options and a factor that can be recomputed. A model can therefore be copied,
pickled and replicated together with its modulation.
"""
from __future__ import annotations

import threading
import warnings
import weakref
from typing import Any, Dict, List, NamedTuple, NoReturn, Optional, Set, Tuple

import torch
from torch import Tensor, nn

from . import layers, library
from .context import guard_hooks, has_backward, is_exporting, is_traced, is_transformed, refuse, refuse_forward_mode, uncompiled, warn_of_export
from .reference.functions import Scale, along
from .rule import Rule


class Clock:
    """State shared by the hooks of a model. A forward pass starts a new batch; the first one is used to find the output layer.

    Traced code (torch.compile, torch.func) neither counts batches nor has a graph. It only tells which layer it called last.
    """

    def __init__(self, outputs: List[str], hidden: List[str], guessed: bool, warn: bool) -> None:
        self.batch = -1  # number of forward passes with a graph
        self.outputs, self.hidden, self.guessed, self.warn = outputs, hidden, guessed, warn
        self.unchecked = guessed or warn
        self.calls: Optional[List[Tuple[str, bool, Any]]] = None  # calls of a pass that is being checked; else None
        self.last, self.traced = "", False  # the layer that was called last in this pass, and whether traced code called one
        self.reached: Dict[int, List[Tuple[str, Tensor]]] = {}  # on a direct route: the layers of this pass and their inputs, by thread
        self.inside = False  # whether the model is being called, and not a part of it alone
        self.settled: Set[str] = set()  # layers that are wrapped in another module, or were reported as replaced

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "calls": None, "inside": False, "reached": {}}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        guard_hooks()  # a model that was loaded with its modulation has not passed through enable()

    def begin(self) -> None:
        if is_exporting() or (is_traced() and not self.guessed):
            return
        self.last, self.traced, self.inside = "", False, True
        if is_traced():
            return
        grad = torch.is_grad_enabled()
        self.reached.pop(threading.get_ident(), None)
        self.batch += grad
        self.calls = [] if self.unchecked and grad else None

    def find_replaced(self, model: nn.Module) -> None:
        """Warn about layers that were replaced since the first forward pass. Their hooks are gone, so they learn by plain backpropagation."""
        if is_exporting() or is_traced() or self.unchecked or not self.warn or not torch.is_grad_enabled():
            return
        gone = [name for name in self.hidden if name not in self.settled and not _has_hook(model, name)]
        if not gone:
            return
        self.settled.update(gone)
        elsewhere = {hook.name for module in model.modules() for hook in module._forward_hooks.values() if isinstance(hook, Modulate)}
        replaced = [name for name in gone if name not in elsewhere]
        if replaced:
            warnings.warn(
                f"torch_grapes: these layers are not modulated any more, because they were replaced or removed after enable() or convert(): "
                f"{', '.join(replaced)}; call revert() and then enable() or convert() again"
            )

    def saw(self, name: str, recurrent: bool, output: Any) -> None:
        if is_exporting() or (is_traced() and not self.guessed):  # compiled checkpoints must not write to Python's state
            return
        self.last = name
        if is_traced():
            self.traced = self.traced or has_backward()
            return
        for z in layers.tensors(output):
            refuse_forward_mode(name, z)
        if self.guessed and self.unchecked and not self.inside and self.warn and torch.is_grad_enabled():
            self.unchecked = False
            warnings.warn(
                f"torch_grapes: {name} was called, but not by the model that was given to enable(), so it was not checked that "
                f"{self.outputs[0]} is the output layer. Give enable() the module that you call, or name the output layers in output=[...]"
            )
        if self.calls is None:
            return
        for z in layers.tensors(output):
            self.calls.append((name, recurrent, z.grad_fn))
            base = z._base if z._is_view() else None
            if base is not None and base.grad_fn is not None:  # after an in-place activation only the base has the layer's node
                self.calls.append((name, recurrent, base.grad_fn))

    def end(self, model: nn.Module, output: Any) -> None:
        if is_exporting() or (is_traced() and not self.guessed):
            return
        self.inside = False
        if self.traced:  # there is no graph of all layers in which to look for the output layer; it must be the last
            if self.guessed and self.last not in self.outputs:
                self._refuse_guess(self.last)
            self.unchecked = False
        if is_traced() or self.traced:
            return
        ends = [t.grad_fn for t in layers.tensors(output) if t.grad_fn is not None]
        if self.calls is None or not ends or not self.calls:
            return
        calls, self.calls = self.calls, None
        if self.guessed:
            reached = self._first_reached(ends, calls)
            if reached and not set(reached) & set(self.outputs):
                self._refuse_guess(*reached)
            others = [name for name, recurrent in reached.items() if name not in self.outputs and not recurrent]
            if others and self.warn:
                warnings.warn(
                    f"torch_grapes: {', '.join(others)} are modulated, but lead directly to the model's output, like the output layer "
                    f"{self.outputs[0]}; if they are output layers too, name all of them in output=[...]"
                )
        self.unchecked = False
        idle = [name for name in self.hidden if name not in {name for name, _, _ in calls}]
        if idle and self.warn and not any(hasattr(m, "_orig_mod") or getattr(m, "_compiled_call_impl", None) for m in model.modules()):
            warnings.warn(f"torch_grapes: these layers are not modulated, because this forward pass did not call them: {', '.join(idle)}")

    def _refuse_guess(self, *found: str) -> NoReturn:
        refuse(
            f"torch_grapes: {self.outputs[0]!r} is treated as the output layer and not modulated, because it is the last layer of "
            f"the model; but the model's output is computed by {', '.join(map(repr, found))}: "
            'call enable(model, output=[...]) with the names of the output layers, or use include="*" to modulate all layers'
        )

    @staticmethod
    def _first_reached(ends: List[Any], calls: List[Tuple[str, bool, Any]]) -> Dict[str, bool]:
        """Return the layers whose output reaches the model's output without passing another layer."""
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


def _has_hook(model: nn.Module, name: str) -> bool:
    try:
        layer = model.get_submodule(name)
    except AttributeError:
        return False
    return any(isinstance(hook, Modulate) for hook in layer._forward_hooks.values())


class Begin(layers.Hook):
    """Runs before the whole model's forward pass."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        warn_of_export(module.training)
        self.clock.find_replaced(module)
        self.clock.begin()


class End(layers.Hook):
    """Runs after the whole model's forward pass."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.clock.end(module, output)


class Watch(layers.Hook):
    """The hook of an output layer or an excluded layer. It only records that the layer was called."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name, self.clock = name, clock

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.clock.saw(self.name, layers.is_recurrent(module), output)


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
