"""The package as people install it: its types, its wheel, and a program that uses the wheel alone."""
import ast
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
    (wheel,) = tmp_path.glob("grapes_torch-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        metadata = content.read(next(name for name in names if name.endswith("METADATA"))).decode()
    modules = {str(path.relative_to(PYTHON)) for path in (PYTHON / "torch_grapes").rglob("*.py")}
    assert modules | {"torch_grapes/py.typed"} == {name for name in names if ".dist-info/" not in name}

    def said_of(field):
        return re.findall(rf"^{field}: (.*)$", metadata, re.MULTILINE)

    assert said_of("Requires-Dist") == ["torch>=1.13", *(f'{name}; extra == "compare"' for name in ("matplotlib", "scipy", "tqdm"))]
    assert said_of("Requires-Python") == [">=3.9"] and said_of("License-Expression") == ["Apache-2.0"]
    assert re.findall(r"Python :: (3\.\d+)", metadata) == [f"3.{minor}" for minor in range(9, 15)]
    program = re.search(r"project\(grapes VERSION ([\d.]+)", (PYTHON.parent / "CMakeLists.txt").read_text())[1]
    assert said_of("Version") == [program] and said_of("Name") == ["grapes-torch"]
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", tmp_path / "installed", wheel, cwd=tmp_path)
    environment = {"PYTHONPATH": str(tmp_path / "installed"), "GRAPES_LIBRARY": ""}
    said = run(sys.executable, "-c", "import torch_grapes; print(torch_grapes.__file__, torch_grapes.library.status)", cwd=tmp_path, **environment)
    assert said.startswith(str(tmp_path / "installed")) and "operations in plain PyTorch" in said
    said = run(sys.executable, PYTHON.parent / "examples/python/first.py", cwd=tmp_path, **environment)
    assert "  0  modulated" in said and "training accuracy" in said
    assert "gradients equal the definition of the rule" in run(sys.executable, "-m", "torch_grapes", cwd=tmp_path, **environment)


def test_the_syntax_is_that_of_the_oldest_python():
    for path in (PYTHON / "torch_grapes").rglob("*.py"):
        ast.parse(path.read_text(), str(path), feature_version=(3, 9))
