"""The clock of a model's rule, and the hooks that drive it: it counts forward passes, and checks which layers a pass reaches."""
from __future__ import annotations

import threading
import warnings
from typing import Any, Dict, List, NoReturn, Optional, Set, Tuple

import torch
from torch import Tensor, nn

from . import layers
from .context import guard_hooks, has_backward, is_exporting, is_traced, refuse, refuse_forward_mode, warn_of_export


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
        gone = [name for name in self.hidden if name not in self.settled and not self._keeps(model, name)]
        if not gone:
            return
        self.settled.update(gone)
        replaced = [name for name in gone if not any(self._hooks(module, name) for module in model.modules())]
        if replaced:
            warnings.warn(
                f"torch_grapes: these layers are not modulated any more, because they were replaced or removed after enable() or convert(): "
                f"{', '.join(replaced)}; call revert() and then enable() or convert() again"
            )

    def _keeps(self, model: nn.Module, name: str) -> bool:
        try:
            return self._hooks(model.get_submodule(name), name)
        except AttributeError:
            return False

    def _hooks(self, module: nn.Module, name: str) -> bool:
        """Whether a module has a hook of this clock for the layer of this name."""
        return any(isinstance(hook, layers.Hook) and getattr(hook, "clock", None) is self and getattr(hook, "name", None) == name
                   for hook in module._forward_hooks.values())

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
