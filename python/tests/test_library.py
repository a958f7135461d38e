"""Loading of the library, the version check, and the operations as functions."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch_grapes
from torch_grapes import library

PYTHON = Path(__file__).parents[1]


needs_library = pytest.mark.skipif(library.path is None, reason=library.status)


def load(**environment):
    done = subprocess.run([sys.executable, "-c", "import torch_grapes; print(torch_grapes.library.status)"], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(PYTHON), "GRAPES_LIBRARY": "", **environment})
    return done.returncode, (done.stderr or done.stdout).strip().splitlines()[-1]


@needs_library
def test_the_library_contains_its_libtorch_version():
    built = torch.ops.grapes.built_for()
    assert re.fullmatch(r"grapes built for LibTorch \d+\.\d+\.\d+", built)
    assert built.encode() + b"\0" in library.path.read_bytes()
    assert load(GRAPES_LIBRARY=str(library.path)) == (0, f"compiled operations of {library.path}")


def for_another_libtorch(path):
    text = b"\0grapes built for LibTorch 9.8.7\0 NSt7__cxx11"
    path.write_bytes(text)
    return path


def test_a_named_library_for_another_libtorch_is_an_error_with_both_versions(tmp_path):
    code, said = load(GRAPES_LIBRARY=str(for_another_libtorch(tmp_path / "libgrapes.so")))
    assert code == 1
    assert re.search(r"was built for LibTorch 9\.8\.7, but this is PyTorch " + re.escape(torch.__version__), said)


def test_a_library_that_is_found_but_does_not_fit_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPES_LIBRARY", "")
    monkeypatch.setattr(library, "places", lambda: (for_another_libtorch(tmp_path / "libgrapes.so"),))
    compiled, path, status = library.load()
    assert compiled is None and path is None
    assert "operations in plain PyTorch; torch_grapes: " in status and "built for LibTorch 9.8.7" in status


def test_without_a_library_the_operations_are_pytorchs(tmp_path, monkeypatch):
    assert load(GRAPES_LIBRARY="none") == (0, "operations in plain PyTorch, because GRAPES_LIBRARY is none")
    monkeypatch.setenv("GRAPES_LIBRARY", "")
    monkeypatch.setattr(library, "places", lambda: (tmp_path / "libgrapes.so",))
    assert library.load() == (None, None, f"operations in plain PyTorch, because libgrapes.so is not in {tmp_path / 'libgrapes.so'}")


@pytest.mark.parametrize("running, fits", [("", True), ("+cu117", True), ("a0", True), (".99", False)])
def test_only_major_and_minor_versions_must_match(tmp_path, running, fits):
    major, minor = torch.__version__.split(".")[:2]
    path = tmp_path / "libgrapes.so"
    path.write_bytes(f"grapes built for LibTorch {major}.{minor}.1".encode() + b"\0" + b"NSt7__cxx11" * torch.compiled_with_cxx11_abi())
    version = f"{major}.{minor}.7{running}" if fits else f"{major}{running}.0"
    if fits:
        library.check(path, version)
    else:
        with pytest.raises(ImportError, match="build Grapes for this version"):
            library.check(path, version)


def test_another_abi_is_an_error(tmp_path):
    path = tmp_path / "libgrapes.so"
    path.write_bytes(f"grapes built for LibTorch {torch.__version__}".encode() + b"\0" + b"NSt7__cxx11" * (not torch.compiled_with_cxx11_abi()))
    with pytest.raises(ImportError, match="another C\\+\\+ ABI"):
        library.check(path, torch.__version__)


def test_a_missing_or_foreign_file_is_named(tmp_path):
    assert "GRAPES_LIBRARY is /nowhere/lib.so, which is not a file" in load(GRAPES_LIBRARY="/nowhere/lib.so")[1]
    (tmp_path / "x.so").write_bytes(b"no library")
    assert "does not contain the version of LibTorch that it was built for" in load(GRAPES_LIBRARY=str(tmp_path / "x.so"))[1]


def test_the_functions():
    W = torch.tensor([[1.0, 0.0], [1.0, -1.0], [3.0, 1.0]], requires_grad=True)
    assert torch_grapes.responsibility(W).tolist() == [1, 2, 4]
    assert torch_grapes.responsibility(W, torch.eye(3)).tolist() == [2, 3, 5]
    assert torch_grapes.responsibility(W, dim=1).tolist() == [5, 2]
    assert torch_grapes.responsibility(W, mask=torch.tensor([0.0, 1, 1])).tolist() == [0, 2, 4]
    assert torch_grapes.responsibility(W, mean=True).tolist() == [1, 1, 2], "a weight of 0 does not exist"
    m = torch_grapes.factor(W)
    assert m.tolist() == [1, 1, 2] and not m.requires_grad
    assert torch_grapes.factor(W, gain=2, low=0, high=2).tolist() == [0.5, 1, 2]
    x = torch.tensor([[1.0, 10.0]], requires_grad=True)
    z = torch_grapes.modulate(x @ W.t(), m)
    assert torch.equal(z, x @ W.t())
    z.sum().backward()
    assert W.grad.tolist() == [[1, 10], [1, 10], [2, 20]] and x.grad.tolist() == [[8, 1]]
    B = torch.tensor([[1.0, 2, 3], [0, 0, 1]])
    y = torch_grapes.feedback(x.detach() @ W.t(), x, B)
    x.grad = None
    y.sum().backward()
    assert x.grad.tolist() == [[6, 1]]
    with pytest.raises(ValueError, match="finite"):
        torch_grapes.factor(torch.tensor([[float("nan")]]))
    with pytest.raises(RuntimeError, match="modulate: factor must have 3 units"):
        torch_grapes.modulate(torch.zeros(2, 3), torch.ones(2))


@pytest.mark.parametrize("reduction", ("sum", "mean"))
@pytest.mark.parametrize("axis, groups, gates, per_gate", ((0, 1, 1, False), (1, 1, 1, False), (1, 2, 1, False), (0, 1, 3, False), (0, 1, 3, True)))
@needs_library
def test_factors_of_sparse_weights_are_those_of_the_library(reduction, axis, groups, gates, per_gate):
    """And a mean is the sum divided by the number of weights that are not 0."""
    torch.manual_seed(2)
    W = torch.randn(12, 10, 3, dtype=torch.float64) * (torch.rand(12, 10, 3) < 0.3)
    R = torch.randn(12, 4, dtype=torch.float64) * (torch.rand(12, 4) < 0.5) if gates == 3 else None
    rule = torch_grapes.Rule(reduction=reduction, clip=None, per_gate=per_gate)
    found = rule.factor(W, R, axis=axis, groups=groups, gates=gates)
    plain = torch_grapes.reference.layer_factor(W, R, axis, groups, gates, *rule._packed, 0, 0, "")
    assert torch.equal(found, plain)
    if axis == 0 and gates == 1:
        r = W.abs().flatten(1).sum(1)
        r = r / (W != 0).flatten(1).sum(1) if reduction == "mean" else r
        torch.testing.assert_close(found, 2 * r / r.max())


def test_everything_public_has_a_docstring_and_the_package_its_types():
    for name in torch_grapes.__all__:
        assert isinstance(getattr(torch_grapes, name), dict) or getattr(torch_grapes, name).__doc__, name
    assert (PYTHON / "torch_grapes" / "py.typed").exists()
