"""The operations of Grapes, loaded from libgrapes.so under the schemas that C++ and TorchScript use too."""
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
    """Where the library is looked for, in this order: GRAPES_LIBRARY, beside this file, and the source tree's build."""
    named = os.environ.get("GRAPES_LIBRARY")
    here = Path(__file__).parent
    return (
        *([Path(named)] if named else []),
        here / NAME,
        here.parents[1] / "src" / "grapes" / NAME,  # build/python leads here
        here.resolve().parents[1] / "build" / "src" / "grapes" / NAME,
    )


def find() -> Path:
    """The first place that has the library."""
    if os.environ.get("GRAPES_LIBRARY") and not places()[0].is_file():
        raise ImportError(f"torch_grapes: GRAPES_LIBRARY is {places()[0]}, which is no file")
    for path in places():
        if path.is_file():
            return path
    raise ImportError(
        f"torch_grapes: {NAME} is in none of {', '.join(map(str, places()))}; build it (make build), or name it in GRAPES_LIBRARY"
    )


def check(path: Path, running: str) -> None:
    """Refuse a library that was built for another LibTorch than the `running` one (major and minor version).

    Read from the file's bytes before it is loaded: with a wrong LibTorch it could fail at symbols that nobody knows.
    """
    found = BUILT_FOR.search(path.read_bytes())
    if found is None:
        raise ImportError(f"torch_grapes: {path} does not say what LibTorch it was built for; is it {NAME}?")
    built = [part.decode() for part in found.groups()]
    if running.split(".")[:2] != built[:2]:
        raise ImportError(
            f"torch_grapes: {path} was built for LibTorch {built[0]}.{built[1]}{built[2]}, and this is PyTorch {running}; "
            "build Grapes against the LibTorch of this PyTorch, or run it with that one"
        )


path = find()
check(path, torch.__version__)
torch.ops.load_library(str(path))
ops = torch.ops.grapes


def responsibility(weight: Tensor, recurrent: Optional[Tensor] = None, dim: int = 0, mask: Optional[Tensor] = None) -> Tensor:
    """How much weight arrives at each unit: r[n] = Σ |W[n, ...]| + Σ |R[n, ...]|  (Dellaferrera et al. 2022).

    weight     [unit, ...], any number of axes; floating point
    recurrent  the layer's recurrent weights, adds to the sum
    dim        0: incoming weights of the rows; 1: outgoing weights of the columns
    mask       [rows], multiplies the rows before the sum
    Returns [unit], without gradient.
    """
    return ops.responsibility(weight, recurrent, dim, mask)


def factor(weight: Tensor, recurrent: Optional[Tensor] = None, dim: int = 0, mask: Optional[Tensor] = None,
           gain: float = 2.0, low: float = 1.0, high: float = 2.0) -> Tensor:
    """The modulation factor of each unit: m[n] = clip(gain · r[n] / max r, low, high), 1 for a layer of zeros.

    Unclipped is low=0, high=gain. Returns [unit], without gradient. A weight that is not finite is a ValueError.
    """
    return ops.factor(weight, recurrent, dim, mask, gain, low, high)


def modulate(z: Tensor, m: Tensor, dim: int = 1) -> Tensor:
    """z, unchanged; on the way back the error at unit n is multiplied by m[n]: dL/dz = m ⊙ dL/dy.

    z    [batch, unit, ...] for dim 1; or a weight, whose own gradient is scaled by rows (dim 0) or columns (dim 1)
    m    [unit], or [batch, unit] for dim 1; of z's dtype and device
    Not a gradient: finite differences of the value give 1, not m. For your own layers; a view of z, so that what comes
    after it must not work in place. enable() does it from outside.
    """
    return ops.modulate(z, m, dim)


def feedback(y: Tensor, x: Tensor, B: Tensor) -> Tensor:
    """y, unchanged; on the way back x receives the error at y through fixed weights: dL/dx += dL/dy Bᵀ.

    y [batch, k], x [batch, n], B [n, k]. Feedback alignment (Lillicrap et al. 2016): feedback(linear(x.detach(), W), x, B);
    direct feedback alignment (Nøkland 2016): y the logits, x each hidden layer.
    """
    return ops.feedback(y, x, B)


def feedback_convolution(y: Tensor, x: Tensor, B: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
                         groups: int) -> Tensor:
    """y, unchanged; on the way back x receives the error at y as if y had been made of x with the kernel B.

    y [batch, out, ...] of any rank, x [batch, in, ...], B [out, in / groups, ...]; the numbers are those of the convolution.
    """
    return ops.feedback_convolution(y, x, B, stride, padding, dilation, groups)
