"""The examples, as people run them."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
needs_fashion = pytest.mark.skipif(
    not any((Path(folder) / "fashion-mnist" / "train-images-idx3-ubyte.gz").exists()
            for folder in (os.environ.get("GRAPES_DATA", "/usr/share/datasets"), "/usr/share/datasets")),
    reason="there is no fashion-mnist (package dataset-fashion-mnist)")


def run(name, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, str(ROOT / "examples" / "python" / name), *map(str, arguments)],
                          env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_first_is_a_complete_program_of_at_most_fifteen_lines():
    text = (ROOT / "examples" / "python" / "first.py").read_text()
    assert len(text.splitlines()) <= 15
    said = run("first.py")
    assert "  0  modulated" in said
    assert float(re.search(r"([\d.]+)% of the training data", said)[1]) > 90


@needs_fashion
def test_fashion():
    said = run("fashion.py", "--steps", 60)
    right = [float(percent) for percent in re.findall(r"([\d.]+)% of 2,000", said)]
    assert len(right) == 2 and min(right) > 40
    assert said.count("factors of") == 5 and said.count("2.00, mean") == 5
    assert [float(percent) for percent in re.findall(r"([\d.]+)% of 2,000", run("fashion.py", "--steps", 60, "--modulation", "none"))] != right


def test_char_lstm_writes_what_it_has_learnt():
    said = run("char_lstm.py")
    assert "the error at each unit is scaled by the weight that arrives at it." in said


def test_own_rule():
    assert run("own_rule.py") == "grapes [0.5, 1.0, 2.0]\nreflected [1.833, 1.333, 0.333]\n"


@needs_fashion
def test_learning_curve_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    said = run("learning_curve.py", tmp_path / "curves.png", "--seeds", 2, "--steps", 60)
    assert [line.split()[0] for line in said.splitlines()] == ["bp", "grapes", "uniform"]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "curves.png").stat().st_size > 10000
