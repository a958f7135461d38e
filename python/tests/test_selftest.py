"""python -m torch_grapes says what was found, and notices gradients that differ from the definition of the rule."""
import re
import sys

import pytest

import torch_grapes
from torch_grapes import __main__, library, selftest


def test_it_shows_versions_and_passes(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["torch_grapes"])
    assert __main__.main() == 0
    said = capsys.readouterr().out
    rows = dict(re.findall(r"^([\w-]+) +(.*)$", said, re.MULTILINE))
    assert rows["torch_grapes"].startswith(torch_grapes.__version__) and rows["operations"] == library.status and "cpu" in rows["devices"]
    passed, of, seconds = re.match(r"(\d+) of (\d+) gradients equal the definition of the rule \(([\d.]+) s\)", rows["self-test"]).groups()
    assert passed == of and int(of) >= 24 and float(seconds) < 60  # 0.6 s on an idle machine


def test_every_rule_number_format_and_network_is_checked():
    names = [check.name for check in selftest.checks()]
    assert len(set(names)) == len(names)
    for part in ("mlp", "convolutions", "bp+grapes,", "bp+grapes-local", "bp+uniform", "fa+grapes", "float32", "float64"):
        assert any(part in name for name in names)
    assert library.compiled is None or any("compiled operations" in name for name in names)


@pytest.mark.parametrize("error", [1e-3, -1e-3])
def test_a_wrong_factor_is_noticed(error, capsys, monkeypatch, operations):
    monkeypatch.setattr(sys, "argv", ["torch_grapes"])
    right = library.layer_factor
    monkeypatch.setattr(library, "layer_factor", lambda *arguments: right(*arguments) * (1 + error))
    assert __main__.main() == 1
    said = capsys.readouterr().out
    assert re.search(r"mlp, bp\+grapes, cpu, float64, plain operations: the gradient of 0.weight differs from the "
                     r"definition by 2.0e-03 of its norm", said)  # the error has passed two hidden layers
    assert "bp+none" not in said


def test_an_exception_is_a_fault_of_its_check(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("no such operation")

    monkeypatch.setattr(library, "layer_factor", broken)
    faults = {check.name: check.fault for check in selftest.checks() if check.fault}
    assert "RuntimeError: no such operation" in faults["mlp, bp+grapes, cpu, float64, plain operations"]
    assert all("+none" not in name for name in faults)


def test_arguments_are_refused(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["torch_grapes", "--help"])
    assert __main__.main() == 2 and "takes no arguments; got --help" in capsys.readouterr().err
