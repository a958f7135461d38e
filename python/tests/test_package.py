"""The package as people install it: its types, its wheel, and a program that uses the wheel alone."""
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PYTHON = Path(__file__).parents[1]


def run(*command, cwd, **environment):
    done = subprocess.run([str(word) for word in command], cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def source(tmp_path, operations):
    """A copy, because building writes into the folder."""
    if operations != "reference":
        pytest.skip("the package is the same with the compiled operations")
    shutil.copytree(PYTHON, tmp_path / "python", ignore=shutil.ignore_patterns("__pycache__", "tests", "build", "*.egg-info"))
    return tmp_path / "python"


def test_mypy_finds_no_errors(source):
    pytest.importorskip("mypy", reason="mypy is missing (python/tests/requirements.txt)")
    assert "no issues found in" in run(sys.executable, "-m", "mypy", cwd=source)


def test_the_wheel_works_by_itself(source, tmp_path):
    pytest.importorskip("build.__main__", reason="build is missing (python/tests/requirements.txt)")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ".", cwd=source)
    (wheel,) = tmp_path.glob("torch_grapes-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        metadata = content.read(next(name for name in names if name.endswith("METADATA"))).decode()
    modules = {str(path.relative_to(PYTHON)) for path in (PYTHON / "torch_grapes").rglob("*.py")}
    assert modules | {"torch_grapes/py.typed"} == {name for name in names if ".dist-info/" not in name}
    assert re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE) == ["torch>=1.13"]
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", tmp_path / "installed", wheel, cwd=tmp_path)
    environment = {"PYTHONPATH": str(tmp_path / "installed"), "GRAPES_LIBRARY": ""}
    said = run(sys.executable, "-c", "import torch_grapes; print(torch_grapes.__file__, torch_grapes.library.status)", cwd=tmp_path, **environment)
    assert said.startswith(str(tmp_path / "installed")) and "operations in plain PyTorch" in said
    said = run(sys.executable, PYTHON.parent / "examples/python/first.py", cwd=tmp_path, **environment)
    assert "  0  modulated" in said and "training accuracy" in said
