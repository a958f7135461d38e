"""Tells whether a function is still the one that made the runs of a folder."""
from __future__ import annotations

import functools
import hashlib
import types
from typing import Any, Iterator, Set

PLAIN = (bool, int, float, complex, str, bytes, type(None))


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _constant(value: Any) -> str:
    if isinstance(value, frozenset):  # its order differs from process to process
        return str(sorted(map(repr, value)))
    return repr(value)


def _of_function(function: types.FunctionType, seen: Set[int]) -> Iterator[str]:
    names: Set[str] = set()
    for code in _codes(function.__code__):
        yield code.co_code.hex()
        yield from (_constant(value) for value in code.co_consts if not isinstance(value, types.CodeType))
        yield from (*code.co_names, *code.co_varnames)
        names.update(code.co_names)
    yield from _parts((function.__defaults__, function.__kwdefaults__), seen)
    named = {name: function.__globals__[name] for name in names & function.__globals__.keys()}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            named[name] = cell.cell_contents
        except ValueError:  # it has no value yet
            continue
    for name, value in sorted(named.items()):
        if isinstance(value, (*PLAIN, tuple)) or getattr(value, "__module__", None) == function.__module__:
            yield from (name, *_parts(value, seen))


def _parts(what: Any, seen: Set[int]) -> Iterator[str]:
    if isinstance(what, PLAIN):
        yield repr(what)
        return
    if id(what) in seen:
        return
    seen.add(id(what))
    if isinstance(what, types.FunctionType):
        yield from _of_function(what, seen)
    elif isinstance(what, functools.partial):
        yield from _parts((what.func, what.args, what.keywords), seen)
    elif isinstance(what, (types.MethodType, staticmethod, classmethod)):
        yield from _parts(what.__func__, seen)
    elif isinstance(what, property):
        yield from _parts((what.fget, what.fset), seen)
    elif isinstance(what, type):
        for name, member in sorted(vars(what).items()):
            if name not in ("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__"):
                yield from (name, *_parts(member, seen))
    elif isinstance(what, (tuple, list)):
        for item in what:
            yield from _parts(item, seen)
    elif isinstance(what, dict):
        for name in sorted(what, key=repr):
            yield from (repr(name), *_parts(what[name], seen))
    elif callable(what):
        yield from _parts(type(what), seen)


def fingerprint(*objects: Any) -> str:
    """Return a hash of the code of functions and classes, and of plain values, in the objects.

    It includes the functions, classes and plain values of its own module that a function names, and theirs. It does not include
    comments, other modules, or data such as tensors and lists, which a function may change.
    """
    return hashlib.sha256("\n".join(_parts(objects, set())).encode()).hexdigest()[:16]
