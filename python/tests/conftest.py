"""Every test runs with the operations in plain PyTorch and, where libgrapes.so fits this PyTorch, with the compiled ones."""
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
torch.set_num_threads(1)  # the tensors are tiny, and tests run in parallel

from torch_grapes import library  # noqa: E402
from torch_grapes.hooks import Unfuse  # noqa: E402

COMPILED = library.compiled


@pytest.fixture(autouse=True, params=["reference", *(["compiled"] if COMPILED is not None else [])])
def operations(request, monkeypatch):
    monkeypatch.setattr(library, "compiled", COMPILED if request.param == "compiled" else None)
    return request.param


@pytest.fixture(autouse=True)
def switches(operations):
    """No test may leave PyTorch's kernels for all time steps of a recurrent layer turned off."""
    yield
    assert not Unfuse.running and torch._C._get_mkldnn_enabled()


def pytest_report_header():
    return f"PyTorch {torch.__version__}; {library.status}"
