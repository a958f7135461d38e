"""enable(): GRAPES for an existing model. The forward pass, state_dict and optimizer stay unchanged."""
from __future__ import annotations

import fnmatch
import warnings
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from torch import Tensor, nn

from . import layers
from .context import TORCH, guard_hooks
from .hooks import Begin, Clock, End, Fuse, Modulate, ModulatePlain, ModulateRecurrent, Unfuse, Watch
from .rule import Modulation, Rule

Names = Union[str, Sequence[str]]


class Handle:
    """Returned by enable(). Shows which layers are modulated, and removes the modulation."""

    def __init__(self, model: nn.Module, rule: Rule, hooks: Dict[str, Modulate], states: Dict[str, str], unmatched: Dict[str, str]) -> None:
        self.model, self.rule = model, rule
        self.states = states  #: "modulated", "local", "output", "excluded" or "unmatched", by name of the module
        self.unmatched = unmatched  #: modules with weights that are not modulated, and why
        self._hooks = hooks

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
        rows = [(name or "(the model)", state, self.unmatched.get(name, "")) for name, state in self.states.items()]
        width = max(len(name) for name, _, _ in rows)
        return "\n".join([str(self.rule), *(f"  {name:<{width}}  {state}{why and ': ' + why}" for name, state, why in rows)])


def _selects(pattern: str, name: str) -> bool:
    return name == pattern or name.startswith(pattern + ".") or fnmatch.fnmatchcase(name, pattern)


def _any(patterns: List[str], name: str) -> bool:
    return any(_selects(pattern, name) for pattern in patterns)


def _patterns(option: str, patterns: Optional[Names], names: Sequence[str]) -> List[str]:
    found = [patterns] if isinstance(patterns, str) else list(patterns or [])
    for pattern in found:
        if not any(_selects(pattern, name) for name in names):
            raise ValueError(f"torch_grapes: {option} must name layers of the model; got {pattern!r}; available: {', '.join(names)}")
    return found


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
    if how.route != "bp":
        raise ValueError(f"torch_grapes: the route must be bp, because the error follows the model's own graph; got {how.route}")
    if how.responsibility in ("outgoing", "synaptic"):
        raise ValueError("torch_grapes: responsibility must be incoming or input; outgoing weights belong to the next layer, "
                         "which is unknown for a single layer")

    candidates: Dict[str, nn.Module] = {}
    unmatched: Dict[str, str] = {}
    states: Dict[str, str] = {}
    for name, module in model.named_modules():
        if any(isinstance(hook, layers.Hook) for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())):
            raise RuntimeError(f"torch_grapes: {name or 'the model'} is already modulated; call disable() first")
        reason = layers.unsupported_reason(module)
        if getattr(module, "modulates_itself", False):
            unmatched[name], states[name] = "it has its own rule", "unmatched"
        elif reason and ".parametrizations." not in f".{name}.":
            unmatched[name], states[name] = reason, "unmatched"
        elif layers.is_plain(module) or layers.is_recurrent(module):
            candidates[name], states[name] = module, "excluded"
    names = list(candidates)
    if not names:
        raise ValueError("torch_grapes: the model has no layer to modulate")
    wanted, unwanted = _patterns("include", include, names), _patterns("exclude", exclude, names)
    named, own = _patterns("output", output, names), _patterns("local", local, names)
    guessed = not wanted and not named
    outputs = names[-1:] if guessed else [name for name in names if _any(named, name)]
    chosen = []
    for name in names:
        if (wanted and not _any(wanted, name)) or _any(unwanted, name):
            continue
        if not how.modulates:
            continue
        states[name] = "output" if name in outputs else "local" if how.row.local or _any(own, name) else "modulated"
        chosen += [name] * (name not in outputs)
    if not chosen and how.modulates:
        left = f" besides the output layer, {', '.join(outputs)}" if outputs else ""
        raise ValueError(f"torch_grapes: the model has no layer to modulate{left}")
    told = {name: why for name, why in unmatched.items() if why != "it has its own rule"}
    if told and warn:
        warnings.warn(f"torch_grapes: these layers are not modulated: {', '.join(f'{name or type(model).__name__} ({why})' for name, why in told.items())}", stacklevel=2)

    hooks: Dict[str, Modulate] = {}
    if how.modulates:
        clock = Clock(outputs, chosen, guessed, warn)
        model.register_forward_pre_hook(Begin(clock))
        index = 0
        for name in chosen:
            module = candidates[name]
            kind = ModulateRecurrent if layers.is_recurrent(module) else ModulatePlain
            hooks[name] = kind(name, index, how, states[name] == "local", clock, module)
            index += len(list(layers.recurrent_rows(module))) if layers.is_recurrent(module) else 1
            added = module.register_forward_hook(hooks[name])
            module._forward_hooks.move_to_end(added.id, last=False)  # other hooks see, replace or free what the layer returned
            if layers.is_recurrent(module) and TORCH >= (2, 2):
                module.register_forward_pre_hook(Unfuse())
                module.register_forward_hook(Fuse(), always_call=True)
            for parametrization in layers.parametrizations(module).values():
                parametrization.register_forward_hook(layers.Remember())
        for name in outputs:
            candidates[name].register_forward_hook(Watch(name, clock))
        model.register_forward_hook(End(clock))
    return Handle(model, how, hooks, states, unmatched)


def disable(model: nn.Module) -> None:
    """Remove the modulation from a model, also from a copy or from a model that was loaded with its modulation."""
    for module in model.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if isinstance(hook, layers.Hook)]:
                del hooks[key]


@contextmanager
def enabled(model: nn.Module, *args: object, **options: object) -> Iterator[Handle]:
    """Call enable() for the duration of a with block."""
    handle = enable(model, *args, **options)  # type: ignore[arg-type]
    try:
        yield handle
    finally:
        handle.disable()
