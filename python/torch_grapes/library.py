"""The operations of Grapes, loaded from libgrapes.so. C++ and TorchScript use the same schemas."""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor

NAME = "libgrapes.so"
BUILT_FOR = re.compile(rb"grapes built for LibTorch (\d+)\.(\d+)([^\0]*)\0")


def places() -> Tuple[Path, ...]:
    """Return the paths where the library may be, in order: GRAPES_LIBRARY, the folder of this file, the build folder."""
    named = os.environ.get("GRAPES_LIBRARY")
    here = Path(__file__).parent
    return (
        *([Path(named)] if named else []),
        here / NAME,
        here.parents[1] / "src" / "grapes" / NAME,  # build/python links here
        here.resolve().parents[1] / "build" / "src" / "grapes" / NAME,
    )


def find() -> Path:
    """Return the first path where the library exists."""
    if os.environ.get("GRAPES_LIBRARY") and not places()[0].is_file():
        raise ImportError(f"torch_grapes: GRAPES_LIBRARY is {places()[0]}, which is not a file")
    for path in places():
        if path.is_file():
            return path
    raise ImportError(
        f"torch_grapes: {NAME} was not found in {', '.join(map(str, places()))}; build it (make build), or set GRAPES_LIBRARY to its path"
    )


def check(path: Path, running: str) -> None:
    """Raise ImportError if the library was built for another version of LibTorch than `running` (major and minor version).

    The version is read from the bytes of the file before the file is loaded. Loading it with the wrong LibTorch could fail
    with an unclear message about missing symbols.
    """
    found = BUILT_FOR.search(path.read_bytes())
    if found is None:
        raise ImportError(f"torch_grapes: {path} does not contain the version of LibTorch that it was built for; expected a {NAME}")
    built = [part.decode() for part in found.groups()]
    if running.split(".")[:2] != built[:2]:
        raise ImportError(
            f"torch_grapes: {path} was built for LibTorch {built[0]}.{built[1]}{built[2]}, but this is PyTorch {running}; "
            "build Grapes for this version, or use a matching PyTorch"
        )


path = find()
check(path, torch.__version__)
torch.ops.load_library(str(path))
ops = torch.ops.grapes


def responsibility(weight: Tensor, recurrent: Optional[Tensor] = None, dim: int = 0, mask: Optional[Tensor] = None) -> Tensor:
    """Compute the responsibility of each unit: r[n] = Σ |W[n, ...]| + Σ |R[n, ...]|  (Dellaferrera et al. 2022).

    weight     W, [unit, ...], any number of axes; floating point
    recurrent  R, recurrent weights of the layer; their sum is added
    dim        0: sum the incoming weights of each row; 1: sum the outgoing weights of each column
    mask       [rows], multiplies the rows before the sum
    Returns [unit], without a gradient.
    """
    return ops.responsibility(weight, recurrent, dim, mask)


def factor(weight: Tensor, recurrent: Optional[Tensor] = None, dim: int = 0, mask: Optional[Tensor] = None,
           gain: float = 2.0, low: float = 1.0, high: float = 2.0) -> Tensor:
    """Compute the factor of each unit: m[n] = clip(gain · r[n] / max r, low, high). It is 1 if all weights are 0.

    For factors without a clip use low=0 and high=gain. Returns [unit], without a gradient. Raises ValueError if a weight is
    not finite.
    """
    return ops.factor(weight, recurrent, dim, mask, gain, low, high)


def modulate(z: Tensor, m: Tensor, dim: int = 1) -> Tensor:
    """Return z. In the backward pass, multiply the error at unit n by m[n]: dL/dz = m ⊙ dL/dy.

    z    [batch, unit, ...] for dim 1; or a weight, whose gradient is scaled by rows (dim 0) or by columns (dim 1)
    m    [unit], or [batch, unit] for dim 1; dtype and device of z
    The result is not the gradient of the value: finite differences give 1, not m. The result is a view of z, so the next
    operation must not work in place. For existing models use enable().
    """
    return ops.modulate(z, m, dim)


def feedback(y: Tensor, x: Tensor, B: Tensor) -> Tensor:
    """Return y. In the backward pass, send the error at y to x through fixed weights B: dL/dx += dL/dy Bᵀ.

    y [batch, k], x [batch, n], B [n, k]. Feedback alignment (Lillicrap et al. 2016): feedback(linear(x.detach(), W), x, B).
    Direct feedback alignment (Nøkland 2016): y is the logits, x a hidden layer.
    """
    return ops.feedback(y, x, B)


def feedback_convolution(y: Tensor, x: Tensor, B: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
                         groups: int) -> Tensor:
    """Return y. In the backward pass, x receives the error at y as if y were the convolution of x with the kernel B.

    y [batch, out, ...] of any rank, x [batch, in, ...], B [out, in / groups, ...]. The other arguments are those of the
    convolution that computed y.
    """
    return ops.feedback_convolution(y, x, B, stride, padding, dilation, groups)
