"""enable(): GRAPES for an existing model. The forward pass, state_dict and optimizer stay unchanged."""
from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Optional, Tuple, Union, cast

from torch import Tensor, nn

from . import layers
from .context import TORCH, guard_hooks
from .hooks import Begin, Clock, End, Fuse, Modulate, ModulatePlain, ModulateRecurrent, Unfuse, Watch
from .rule import Modulation, Rule
from .selection import Names, Selection, select


class Handle:
    """Returned by enable(). Shows which layers are modulated, and removes the modulation."""

    def __init__(self, model: nn.Module, rule: Rule, hooks: Dict[str, Modulate], found: Selection) -> None:
        self.model, self.rule = model, rule
        self.states = found.states  #: "modulated", "local", "output", "excluded" or "unmatched", by name of the module
        self.unmatched = found.unmatched  #: modules with weights that are not modulated, and why
        self._hooks, self._found = hooks, found

    def factors(self) -> Dict[str, Tensor]:
        """Compute the factors of each modulated layer from the current weights, [unit]. A layer of an RNN is named "lstm.l0"."""
        modules = dict(self.model.named_modules())
        return {name: m.clone() for hook in self._hooks.values() for name, m in hook.factors(modules[hook.name]).items()}

    def disable(self) -> None:
        """Remove all hooks. The model then learns by plain backpropagation."""
        disable(self.model)
        self._hooks = {}

    @property
    def modulated(self) -> Tuple[str, ...]:
        """Names of the modules whose error or gradient is scaled."""
        return tuple(self._hooks)

    def __repr__(self) -> str:
        if self.rule.modulates and not self._hooks:
            return f"{self.rule}\n  disabled"
        return self._found.describe(self.rule)


def enable(
    model: nn.Module,
    modulation: Union[str, Modulation, Callable[[Tensor], Tensor]] = "grapes",
    *,
    include: Optional[Names] = None,
    exclude: Optional[Names] = None,
    output: Optional[Names] = None,
    local: Optional[Names] = None,
    warn: bool = True,
    **rule: Any,
) -> Handle:
    """Scale the error at the units of every hidden layer by their factors (Dellaferrera et al. 2022).

        r[n] = Σ |W[n, ...]|,   m[n] = clip(gain · r[n] / max r, low, high),   δ[n] <- m[n] · δ[n]

    Supported layers are Linear; Conv1d, Conv2d, Conv3d and their transposed forms, with or without groups (a unit is an output
    channel); RNN, LSTM, GRU and their cells (all gates of a unit share one factor, see layers.py). The result of backward() is
    no longer the gradient of the loss, in training mode and in evaluation mode. A frozen layer scales the error that passes
    through it like any other layer.

    modulation  a name in `modulations`: "grapes"; "grapes-local", which scales each layer's own gradient only; the controls
                "uniform", "shuffled" and "constant"; "none". Or a Modulation, or a function from factors [unit] to factors [unit]
    include     modulate only these layers, even if they look like output layers; None: all except the output layers
    exclude     do not modulate these layers
    output      the output layers, which are not modulated; None: the last layer of the model, checked in the first forward pass
    local       layers with the local version: their own gradient is scaled, the error that they pass on is not
    warn        whether to warn about layers that are not modulated
    rule        other fields of Rule: constants, responsibility, gain, clip, every, factor_bits, seed, per_gate, compounding

    include, exclude, output and local take the name of a module, which includes all of its submodules; a shell pattern of such
    names ("*.0"); or a list of these. grapes::backward of the C++ library takes the same names.

    Raises ValueError for an invalid option, RuntimeError if the model is already modulated.
    """
    guard_hooks()
    model = getattr(model, "_orig_mod", model)  # what torch.compile was called with
    how = Rule(modulation=modulation, **rule)
    for name, module in model.named_modules():
        if any(isinstance(hook, layers.Hook) for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())):
            raise RuntimeError(f"torch_grapes: {name or 'the model'} is already modulated; call disable() first")
    found = select(model, how, include=include, exclude=exclude, output=output, local=local, warn=warn)
    hooks: Dict[str, Modulate] = {}
    if how.modulates:
        clock = Clock(found.outputs, found.chosen, found.guessed, warn)
        model.register_forward_pre_hook(Begin(clock))
        index = 0
        for name in found.chosen:
            module = found.modules[name]
            kind = ModulateRecurrent if layers.is_recurrent(module) else ModulatePlain
            hooks[name] = kind(name, index, how, found.states[name] == "local", clock, module)
            index += len(list(layers.recurrent_rows(module))) if layers.is_recurrent(module) else 1
            added = module.register_forward_hook(hooks[name])
            cast(Any, module._forward_hooks).move_to_end(added.id, last=False)  # other hooks see, replace or free what the layer returned
            if layers.is_recurrent(module) and TORCH >= (2, 2):
                module.register_forward_pre_hook(Unfuse())
                module.register_forward_hook(Fuse(), always_call=True)
            for parametrization in layers.parametrizations(module).values():
                parametrization.register_forward_hook(layers.Remember())
        for name in found.outputs:
            found.modules[name].register_forward_hook(Watch(name, clock))
        model.register_forward_hook(End(clock))
    return Handle(model, how, hooks, found)


def disable(model: nn.Module) -> None:
    """Remove the modulation from a model, also from a copy or from a model that was loaded with its modulation."""
    for module in model.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if isinstance(hook, layers.Hook)]:
                del hooks[key]
                getattr(module, "_forward_hooks_always_called", {}).pop(key, None)


@contextmanager
def enabled(model: nn.Module, *args: object, **options: object) -> Iterator[Handle]:
    """Call enable() for the duration of a with block."""
    handle = enable(model, *args, **options)  # type: ignore[arg-type]
    try:
        yield handle
    finally:
        handle.disable()
