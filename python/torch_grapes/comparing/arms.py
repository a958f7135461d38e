"""The arms of a comparison: a label for each, and the options of convert() that it stands for."""
from __future__ import annotations

from dataclasses import fields
from typing import Any, Callable, Dict, Mapping, Sequence, Union

from torch import Tensor

from ..attach import rule_of
from ..rule import Modulation, Rule, modulations, routes

Arm = Union[str, Mapping[str, Any], Modulation, Callable[[Tensor], Tensor]]
SELECTION = ("include", "exclude", "output", "local", "warn")


def _named(name: str) -> Dict[str, Any]:
    """Return the options of an arm by its name, as in `grapes compare`: "bp", "fa", "grapes", "constant:1.8", "fa+grapes"."""
    options: Dict[str, Any] = {"modulation": "none"}
    for piece in name.split("+"):
        modulation, _, constants = piece.partition(":")
        if piece in routes:
            options["route"] = piece
        elif modulation in modulations:
            options["modulation"] = modulation
            if constants:
                try:
                    options["constants"] = tuple(map(float, constants.split(",")))
                except ValueError:
                    raise ValueError(f"torch_grapes.compare: {name!r}: expected numbers after {modulation}:, as in constant:1.8; "
                                     f"got {constants!r}") from None
        else:
            known = ", ".join([*routes, *(row for row in modulations if row != "none")])
            raise ValueError(f"torch_grapes.compare: unknown arm {name!r}; available: {known}, ROUTE+MODULATION, and your own in a "
                             "dictionary, as in arms={'strong': dict(modulation='grapes', gain=3)}")
    return options


def _options(label: str, arm: Arm) -> Dict[str, Any]:
    if isinstance(arm, str):
        options = _named(arm)
    elif isinstance(arm, Mapping):
        options = dict(arm)
    else:
        options = {"modulation": arm}
    own = tuple(field.name for field in fields(Rule) if field.init)
    for name in options:
        if name not in (*own, *SELECTION):
            raise ValueError(f"torch_grapes.compare: arm {label!r} has the unknown option {name!r}; available: {', '.join((*own, *SELECTION))}")
    try:
        rule_of(**{"modulation": "none", **{name: value for name, value in options.items() if name in own}})
    except ValueError as error:
        raise ValueError(f"torch_grapes.compare: arm {label!r}: {str(error).replace('torch_grapes: ', '', 1)}") from None
    return options


def options_of(arms: Union[Sequence[str], Mapping[str, Arm]]) -> Dict[str, Dict[str, Any]]:
    """Return the options of convert() for each arm, by label. Raises ValueError for an arm that is not possible."""
    if isinstance(arms, str):
        raise ValueError(f"torch_grapes.compare: arms must be a list of names or a dictionary; got the text {arms!r}")
    table: Dict[str, Arm] = dict(arms) if isinstance(arms, Mapping) else {name: name for name in arms}
    if not table:
        raise ValueError("torch_grapes.compare: arms is empty; expected names such as 'bp' and 'grapes'")
    for label in table:
        if not isinstance(label, str) or not label or label.startswith(".") or set(label) & set("/\\"):
            raise ValueError(f"torch_grapes.compare: the name of an arm is also the name of a folder, and cannot be {label!r}")
    return {label: _options(label, arm) for label, arm in table.items()}
