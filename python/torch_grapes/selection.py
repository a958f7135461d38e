"""Which layers of a model follow a rule, by their names."""
from __future__ import annotations

import fnmatch
import warnings
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Union

from torch import nn

from . import layers
from .rule import Rule

Names = Union[str, Sequence[str]]


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


@dataclass
class Selection:
    """The layers of a model and what a rule does with each."""

    modules: Dict[str, nn.Module] = field(default_factory=dict)  #: layers that can be modulated
    states: Dict[str, str] = field(default_factory=dict)  #: "modulated", "local", "output", "sending", "excluded", "unmatched", by name
    unmatched: Dict[str, str] = field(default_factory=dict)  #: modules with weights that cannot be modulated, and why
    outputs: List[str] = field(default_factory=list)
    guessed: bool = False  #: whether the output layer is taken to be the last one
    chosen: List[str] = field(default_factory=list)  #: the layers to modulate
    sending: List[str] = field(default_factory=list)  #: the layers that send their error along a route other than backpropagation

    def describe(self, rule: Rule) -> str:
        rows = [(name or "(the model)", state, self.unmatched.get(name, "")) for name, state in self.states.items()]
        width = max(len(name) for name, _, _ in rows)
        return "\n".join([str(rule), *(f"  {name:<{width}}  {state}{why and ': ' + why}" for name, state, why in rows)])


def select(model: nn.Module, rule: Rule, *, include: Optional[Names], exclude: Optional[Names], output: Optional[Names],
           local: Optional[Names], warn: bool, stacklevel: int = 3) -> Selection:
    """Find the layers that a rule scales, and those that send their error along its route. convert() explains the options.

    Raises ValueError if the rule cannot follow the graph of a model, if a name matches no layer, or if no layer is left.
    """
    if rule.responsibility in ("outgoing", "synaptic"):
        raise ValueError("torch_grapes: responsibility must be incoming or input; outgoing weights belong to the next layer, "
                         "which is unknown for a single layer")
    found = Selection()
    adapted: List[str] = []  # layers with LoRA, whose submodules are a part of them
    for name, module in model.named_modules():
        if any(name.startswith(whole) for whole in adapted):
            continue
        reason = layers.unsupported_reason(module)
        if layers.is_adapted(module):
            adapted.append(name + "." if name else "")
        if getattr(module, "modulates_itself", False):
            found.unmatched[name], found.states[name] = "it has its own rule", "unmatched"
        elif reason and ".parametrizations." not in f".{name}.":
            found.unmatched[name], found.states[name] = reason, "unmatched"
        elif layers.is_plain(module) or layers.is_recurrent(module):
            found.modules[name], found.states[name] = module, "excluded"
    names = list(found.modules)
    if not names:
        raise ValueError("torch_grapes: the model has no layer to modulate")
    wanted, unwanted = _patterns("include", include, names), _patterns("exclude", exclude, names)
    named, own = _patterns("output", output, names), _patterns("local", local, names)
    found.guessed = rule.modulates and not wanted and not named
    found.outputs = [name for name in names if _any(named, name)] if wanted or named else names[-1:]
    for name in names if rule.modulates or rule.sends else []:
        if (wanted and not _any(wanted, name)) or _any(unwanted, name):
            continue
        modulated = "output" if name in found.outputs else "local" if rule.row.local or _any(own, name) else "modulated"
        found.states[name] = modulated if rule.modulates else "sending"
        found.chosen += [name] * (rule.modulates and name not in found.outputs)
        found.sending += [name] * rule.sends
        if found.states[name] == "local" and layers.is_adapted(found.modules[name]):
            raise ValueError(f"torch_grapes: {name} has LoRA, whose weights have no units of their own for the local version; use "
                             'enable(model, "grapes"), or exclude the layer')
    if not found.chosen and rule.modulates:
        left = f" besides the output layer, {', '.join(name or 'the model itself' for name in found.outputs)}" if found.outputs else ""
        raise ValueError(f"torch_grapes: the model has no layer to modulate{left}")
    if not found.sending and rule.sends:
        raise ValueError("torch_grapes: the model has no layer left for the route: include and exclude leave out all of them")
    told = [f"{name or type(model).__name__} ({why})" for name, why in found.unmatched.items() if why != "it has its own rule"]
    if told and warn and (rule.modulates or rule.sends):
        what = "are not modulated" if rule.modulates else f"do not follow the route {rule.route}"
        warnings.warn(f"torch_grapes: these layers {what}: {', '.join(told)}", stacklevel=stacklevel)
    return found
