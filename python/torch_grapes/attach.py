"""enable(): GRAPES for a model as it is. Its forward pass, state_dict and optimizer stay what they are."""
from __future__ import annotations

import fnmatch
import warnings
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from torch import Tensor, nn

from . import layers
from .hooks import Begin, Clock, End, Modulate, ModulatePlain, ModulateRecurrent, Watch
from .rule import Modulation, Rule

Names = Union[str, Sequence[str]]


class Handle:
    """What enable() returns: what is modulated, and the way to end it."""

    def __init__(self, model: nn.Module, rule: Rule, hooks: Dict[str, Modulate], states: Dict[str, str], unmatched: Dict[str, str]) -> None:
        self.model, self.rule = model, rule
        self.states = states  #: "modulated", "local", "output", "excluded" or "unmatched", by name of the module
        self.unmatched = unmatched  #: modules with weights that are not modulated, and why
        self._hooks = hooks

    def factors(self) -> Dict[str, Tensor]:
        """Per modulated layer the factors that the weights as they stand give, [unit]; "lstm.l0" for a recurrent one."""
        modules = dict(self.model.named_modules())
        return {name: m.clone() for hook in self._hooks.values() for name, m in hook.factors(modules[hook.name]).items()}

    def disable(self) -> None:
        """Take every hook off; the model learns as before."""
        disable(self.model)
        self._hooks = {}

    @property
    def modulated(self) -> Tuple[str, ...]:
        """Names of the modules whose error, or own gradient, is scaled."""
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
            raise ValueError(f"torch_grapes: {option} must name layers of the model; got {pattern!r}; there are {', '.join(names)}")
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
    """Let every hidden layer of a model scale the error at its units by their factors (Dellaferrera et al. 2022).

        r[n] = Σ |W[n, ...]|,   m[n] = clip(gain · r[n] / max r, low, high),   δ[n] <- m[n] · δ[n]

    Modulated are Linear, Conv1d to 3d and their transposed forms (grouped too: a unit is an output channel), RNN, LSTM, GRU
    and their cells (all gates of a unit have one factor; see layers.py). What flows back is then no longer the gradient of
    the loss, in training mode and in evaluation mode alike. A frozen layer does not learn, and scales the error that passes
    through it like any other.

    modulation  a row of `modulations`: "grapes"; "grapes-local": each layer's own update only; the controls "uniform", "shuffled"
                and "constant"; "none"; a Modulation; or a function from factors [unit] to factors [unit]
    include     only these layers, even if they look like output layers; None: all but the output layers
    exclude     but not these
    output      the output layers, which are left out; None: the last layer of the model, which the first forward pass checks
    local       these get the local version: their own gradient is scaled, the error passes through them unscaled
    warn        of layers that are not modulated
    rule        the other fields of Rule: constants, responsibility, gain, clip, every, factor_bits, seed, per_gate, compounding

    include, exclude, output and local take a name of a module, which stands for everything below it too, a shell pattern of
    such names ("*.0"), or a list of them. grapes::backward of the C++ library takes the same.

    Raises ValueError for an option that cannot be, RuntimeError if the model is modulated already.
    """
    how = Rule(modulation=modulation, **rule)
    if how.route != "bp":
        raise ValueError(f"torch_grapes: the route must be bp, the model's own graph; got {how.route}")
    if how.responsibility in ("outgoing", "synaptic"):
        raise ValueError("torch_grapes: responsibility must be incoming or input; outgoing weights are those of the next layer, "
                         "which a model does not tell")

    candidates: Dict[str, nn.Module] = {}
    unmatched: Dict[str, str] = {}
    states: Dict[str, str] = {}
    for name, module in model.named_modules():
        if any(isinstance(hook, layers.Hook) for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())):
            raise RuntimeError(f"torch_grapes: {name or 'the model'} is modulated already; disable that first")
        reason = layers.unsupported_reason(module)
        if getattr(module, "modulates_itself", False):
            unmatched[name], states[name] = "it modulates itself", "unmatched"
        elif reason and ".parametrizations." not in f".{name}.":
            unmatched[name], states[name] = reason, "unmatched"
        elif layers.is_plain(module) or layers.is_recurrent(module):
            candidates[name], states[name] = module, "excluded"
    names = list(candidates)
    if not names:
        raise ValueError("torch_grapes: there is no layer to modulate")
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
        left = f"; the output layer, {', '.join(outputs)}, is left out" if outputs else ""
        raise ValueError(f"torch_grapes: there is no layer to modulate{left}")
    told = {name: why for name, why in unmatched.items() if why != "it modulates itself"}
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
            module.register_forward_hook(hooks[name])
            for parametrization in layers.parametrizations(module).values():
                parametrization.register_forward_hook(layers.Remember())
        for name in outputs:
            candidates[name].register_forward_hook(Watch(name, clock))
        model.register_forward_hook(End(clock))
    return Handle(model, how, hooks, states, unmatched)


def disable(model: nn.Module) -> None:
    """Take off a model what enable() put on it: also on a copy, or one that came out of a file with its modulation."""
    for module in model.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key in [key for key, hook in hooks.items() if isinstance(hook, layers.Hook)]:
                del hooks[key]


@contextmanager
def enabled(model: nn.Module, *args: object, **options: object) -> Iterator[Handle]:
    """enable() for the length of a with block."""
    handle = enable(model, *args, **options)  # type: ignore[arg-type]
    try:
        yield handle
    finally:
        handle.disable()
