"""C++ and Python have the same names, meanings and defaults. GRAPES_PARITY names the C++ side, tests/python_parity.cpp."""
import dataclasses
import inspect
import json
import os
import pathlib
import re
import subprocess

import pytest
import torch

import torch_grapes
from torch_grapes import library, snu

SOURCE = pathlib.Path(__file__).parents[2] / "src/grapes"
PROGRAM = os.environ.get("GRAPES_PARITY")


@pytest.fixture(scope="module")
def cpp():
    if not PROGRAM:
        pytest.skip("GRAPES_PARITY is not set: the C++ side is not built")
    return json.loads(subprocess.run([PROGRAM], check=True, capture_output=True, text=True).stdout)


def defaults(function):
    """Defaults of the parameters that have one, in order. None in Python corresponds to an empty list in C++."""
    return {name: [] if p.default is None else p.default for name, p in inspect.signature(function).parameters.items()
            if p.default is not inspect.Parameter.empty}


@pytest.mark.parametrize("header, options, only_cpp", [("credit/backward.h", "BackwardOptions", []),
                                                       ("credit/local_optimizer.h", "LocalOptimizerOptions", []),
                                                       ("nn/neuron.h", "SnuOptions",
                                                        ["stateful", "plain", "inputs", "bias", "reset_value", "learn_synapse",
                                                         "refractory", "adaptation", "adaptation_decay"])])
def test_no_option_is_left_out(cpp, header, options, only_cpp):
    body = (SOURCE / header).read_text().partition(f"struct {options} {{\n")[2].partition("\n};\n")[0]
    assert re.findall(r"^  TORCH_ARG\(.*, (\w+)\)", body, re.MULTILINE) == [*cpp[options], *only_cpp]


def test_rule_has_the_fields_of_the_library(cpp):
    ours = {field.name: list(field.default) if field.default == () else field.default
            for field in dataclasses.fields(torch_grapes.Rule) if field.init}
    assert list(ours.items()) == list(cpp["Rule"].items())
    assert torch_grapes.Rule().range == tuple(cpp["resolved"]["clip"])


def test_the_tables_have_the_rows_of_cpp(cpp):
    assert list(torch_grapes.routes) == cpp["routes"] and list(torch_grapes.modulations) == cpp["modulations"]
    assert list(snu.RESETS) == cpp["resets"] and list(snu.SURROGATES) == cpp["surrogates"]
    for row in (*torch_grapes.routes.values(), *torch_grapes.modulations.values()):
        assert row.summary


@pytest.mark.skipif(library.path is None, reason=library.status)
def test_the_tables_are_those_of_the_library():
    """Python has tables of its own, which must say the same in every column."""
    ours = [(row.name, row.summary, row.local) for row in torch_grapes.modulations.values()]
    assert ours == list(zip(*torch.ops.grapes.modulations()))
    assert [tuple(row) for row in torch_grapes.routes.values()] == list(zip(*torch.ops.grapes.routes()))
    for route in torch_grapes.routes:
        W, B = torch.arange(-2.0, 4).view(2, 3), torch.ones(3, 2)
        (passes, by), (goes, through) = (way.error_path(route, W, B) for way in (torch.ops.grapes, torch_grapes.reference))
        assert passes == goes and (by is through is None or torch.equal(by, through)), route


def test_enable_takes_what_backward_takes(cpp):
    """A rule, of which the modulation can be given alone, and the options for layers."""
    ours, theirs = defaults(torch_grapes.enable), dict(cpp["BackwardOptions"])
    assert theirs.pop("rule") == cpp["Rule"]
    assert ours.pop("modulation") == cpp["Rule"]["modulation"]
    assert list(ours.items()) == list(theirs.items())
    assert inspect.signature(torch_grapes.enable).parameters["rule"].kind is inspect.Parameter.VAR_KEYWORD
    for name, default in cpp["LocalOptimizerOptions"].items():
        assert default == cpp["BackwardOptions"][name], name
    ours = defaults(torch_grapes.LocalOptimizer)
    assert ours.pop("modulation") == cpp["Rule"]["modulation"]
    assert ours == {name: default for name, default in cpp["LocalOptimizerOptions"].items() if name != "rule"}


def test_spiking_layers(cpp):
    ours, theirs = defaults(torch_grapes.nn.Snu), dict(cpp["SnuOptions"])
    theirs.update(theirs.pop("rule"))
    assert ours.pop("dtype") == [], "which C++ has from LibTorch's Module::to"
    assert ours == theirs


@pytest.mark.parametrize("kind", [torch_grapes.nn.Linear, torch_grapes.nn.Conv2d])
def test_layers_take_what_pytorchs_take_and_a_rule(kind):
    ours = dict(inspect.signature(kind).parameters)
    theirs = dict(inspect.signature(getattr(torch.nn, kind.__name__)).parameters)
    assert ours.pop("rule").kind is inspect.Parameter.VAR_KEYWORD
    theirs.pop("padding_mode", None)  # zeros
    assert {name: p.default for name, p in ours.items()} == {name: p.default for name, p in theirs.items()}


@pytest.mark.parametrize("name", ["responsibility", "factor", "modulate", "feedback", "feedback_convolution"])
def test_functions_have_the_schema_of_their_operation(name):
    if library.path is None:
        pytest.skip(library.status)
    (schema,) = torch._C._jit_get_schemas_for_operator(f"grapes::{name}")
    ours = inspect.signature(getattr(library, name)).parameters
    assert [argument.name for argument in schema.arguments] == list(ours)
    for argument in schema.arguments:
        default = argument.default_value if argument.has_default_value() else inspect.Parameter.empty
        assert ours[argument.name].default == default, argument.name
