"""enable(): GRAPES for a model as it is. Its forward pass, state_dict and optimizer stay what they are."""
from __future__ import annotations

import fnmatch
import warnings
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from torch import Tensor, nn

from . import layers
from .hooks import Begin, Clock, End, Modulate, ModulatePlain, ModulateRecurrent, Options, Watch
from .modulations import Modulation, modulation_of

Names = Union[str, Sequence[str]]


class Handle:
    """What enable() returns: what is modulated, and the way to end it."""

    def __init__(self, model: nn.Module, options: Options, hooks: Dict[str, Modulate], outputs: List[str], unmatched: Dict[str, str]) -> None:
        self.model, self.options = model, options
        self.outputs: Tuple[str, ...] = tuple(outputs)  #: the output layers, left out
        self.unmatched: Dict[str, str] = unmatched  #: modules with weights that are not modulated, and why
        self._hooks = hooks

    @property
    def modulated(self) -> Tuple[str, ...]:
        """Names of the modulated modules."""
        return tuple(self._hooks)

    def factors(self) -> Dict[str, Tensor]:
        """Per modulated layer the factors that the weights as they stand give, [node]; "lstm.l0" for a recurrent one."""
        modules = dict(self.model.named_modules())
        return {name: m.clone() for hook in self._hooks.values() for name, m in hook.factors(modules[hook.name]).items()}

    def disable(self) -> None:
        """Take every hook off; the model learns as before."""
        disable(self.model)
        self._hooks = {}

    def __repr__(self) -> str:
        modules = dict(self.model.named_modules())
        o = self.options
        lines = [f"{o.modulation.name}: gain {o.gain:g}, clip [{o.low:g}, {o.high:g}], {o.responsibility} responsibility"]
        lines += [f"  {name or '(the model)'}: {_describe(modules[name])}" for name in self._hooks]
        if not self._hooks:
            lines.append("  nothing is modulated")
        lines += [f"  output, not modulated: {name}" for name in self.outputs]
        lines += [f"  not modulated: {name}, {why}" for name, why in self.unmatched.items()]
        return "\n".join(lines)


def _describe(module: nn.Module) -> str:
    return str(module).splitlines()[0] if not list(module.children()) else type(module).__name__


def _selects(pattern: str, name: str) -> bool:
    return name == pattern or name.startswith(pattern + ".") or fnmatch.fnmatchcase(name, pattern)


def _patterns(option: str, patterns: Optional[Names], names: Sequence[str]) -> List[str]:
    found = [patterns] if isinstance(patterns, str) else list(patterns or [])
    for pattern in found:
        if not any(_selects(pattern, name) for name in names):
            raise ValueError(f"torch_grapes: {option}={pattern!r} names no layer that can be modulated; there are {', '.join(names)}")
    return found


def enable(
    model: nn.Module,
    modulation: Union[str, Modulation, Callable[[Tensor], Tensor]] = "grapes",
    *,
    gain: float = 2.0,
    clip: Optional[Tuple[float, float]] = (1.0, 2.0),
    responsibility: str = "incoming",
    per_gate: bool = False,
    include: Optional[Names] = None,
    exclude: Optional[Names] = None,
    output: Union[bool, Names] = False,
    warn: bool = True,
) -> Handle:
    """Let every hidden layer of a model scale the error at its nodes by their factors (Dellaferrera et al. 2022).

        r[n] = Σ |W[n, ...]|,   m[n] = clip(gain · r[n] / max r, low, high),   δ[n] <- m[n] · δ[n]

    Modulated are Linear, Conv1d to 3d and their transposed forms (grouped too: a node is an output channel), RNN, LSTM, GRU
    and their cells (all gates of a node have one factor; see layers.py). What flows back is then no longer
    the gradient of the loss, in training mode and in evaluation mode alike. A frozen layer still scales the error that
    passes it.

    modulation      "grapes"; "grapes-local" or "local": each layer's own update only; the controls "uniform", "shuffled" and
                    "constant:1.8"; "none"; a Modulation; or a function from factors [node] to factors [node]
    gain, clip      of the factor; clip=None: m lies in (0, gain]
    responsibility  "incoming": W, and R of a recurrent layer; "input": W alone
    per_gate        LSTM, GRU: each gate's factors by themselves, normalized over that gate
    include, exclude  names of modules or shell patterns; a name stands for everything below it too
    output          False: the last layer of the model is the output layer and left out (the first forward pass checks that
                    the model's outputs come from it); names: these are the output layers; True: there is none
    warn            of weights that are not modulated
    """
    low, high = (0.0, gain) if clip is None else clip
    if not gain > 0 or not 0 <= low <= high:
        raise ValueError(f"torch_grapes: gain must be above 0 and clip satisfy 0 <= low <= high; got {gain} and {clip}")
    if responsibility not in ("incoming", "input"):
        raise ValueError(
            f"torch_grapes: responsibility must be 'incoming' or 'input'; got {responsibility!r}. Outgoing responsibility "
            "needs to know which layer comes next, which a model of PyTorch does not say"
        )
    options = Options(modulation_of(modulation), responsibility, float(gain), float(low), float(high), per_gate)

    candidates: Dict[str, nn.Module] = {}
    unmatched: Dict[str, str] = {}
    for name, module in model.named_modules():
        if any(isinstance(hook, layers.Hook) for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())):
            raise RuntimeError(f"torch_grapes: {name or 'the model'} is modulated already; disable that first")
        if getattr(module, "modulates_itself", False):
            unmatched[name] = "which modulates itself"
        elif layers.is_plain(module) or layers.is_recurrent(module):
            if layers.why_not(module):
                unmatched[name] = f"{type(module).__name__}: {layers.why_not(module)}"
            else:
                candidates[name] = module
        elif ".parametrizations." not in f".{name}." and layers.has_weights(module):
            unmatched[name] = f"a {type(module).__name__}"
    names = list(candidates)
    if isinstance(output, bool):
        outputs = [] if output or not names else names[-1:]
    else:
        named = _patterns("output", output, names)
        outputs = [name for name in names if any(_selects(p, name) for p in named)]
    wanted, unwanted = _patterns("include", include, names), _patterns("exclude", exclude, names)
    chosen = [
        name
        for name in names
        if name not in outputs
        and (not wanted or any(_selects(p, name) for p in wanted))
        and not any(_selects(p, name) for p in unwanted)
    ]
    if not chosen:
        left = f"; the output layer, {', '.join(outputs)}, is left out" if outputs else ""
        raise ValueError(f"torch_grapes: there is no layer to modulate{left}")
    told = {name: why for name, why in unmatched.items() if why != "which modulates itself"}
    if told and warn:
        warnings.warn(f"torch_grapes: not modulated: {'; '.join(f'{name or type(model).__name__}, {why}' for name, why in told.items())}", stacklevel=2)

    hooks: Dict[str, Modulate] = {}
    if options.modulation.shape is not None:
        clock = Clock(outputs, chosen, output is False, warn)
        model.register_forward_pre_hook(Begin(clock))
        for index, name in enumerate(chosen):
            module = candidates[name]
            kind = ModulateRecurrent if layers.is_recurrent(module) else ModulatePlain
            hooks[name] = kind(name, index, options, clock, module)
            module.register_forward_hook(hooks[name])
            for parametrization in layers.parametrizations(module).values():
                parametrization.register_forward_hook(layers.Remember())
        for name in outputs:
            candidates[name].register_forward_hook(Watch(name, clock))
        model.register_forward_hook(End(clock))
    return Handle(model, options, hooks, outputs, unmatched)


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
