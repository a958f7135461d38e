"""The operations of Grapes. Each call goes to the compiled operations of libgrapes.so if they fit, else to reference/.

The library is optional. It is loaded if it exists and was built for the PyTorch that runs. Both give the same gradients; in
float64 on the CPU they have the same bits.
"""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Callable, Optional, Sequence, Tuple

import torch
from torch import Tensor

from . import reference
from .context import is_traced

NAME = "libgrapes.so"
BUILT_FOR = re.compile(rb"grapes built for LibTorch (\d+)\.(\d+)([^\0]*)\0")


def places() -> Tuple[Path, ...]:
    """Return the paths where the library may be, in order: the folder of this file, the build folder."""
    here = Path(__file__).parent
    return (
        here / NAME,
        here.parents[1] / "src" / "grapes" / NAME,  # build/python links here
        here.resolve().parents[1] / "build" / "src" / "grapes" / NAME,
    )


def check(path: Path, running: str) -> None:
    """Raise ImportError if the library was built for another version of LibTorch than `running` (major and minor version).

    The version is read from the bytes of the file before the file is loaded. Loading it with the wrong LibTorch could fail
    with an unclear message about missing symbols, or end the process.
    """
    content = path.read_bytes()
    found = BUILT_FOR.search(content)
    if found is None:
        raise ImportError(f"torch_grapes: {path} does not contain the version of LibTorch that it was built for; expected a {NAME}")
    built = [part.decode() for part in found.groups()]
    if running.split(".")[:2] != built[:2]:
        raise ImportError(
            f"torch_grapes: {path} was built for LibTorch {built[0]}.{built[1]}{built[2]}, but this is PyTorch {running}; "
            "build Grapes for this version, or use a matching PyTorch"
        )
    if (b"NSt7__cxx11" in content) != torch._C._GLIBCXX_USE_CXX11_ABI:
        raise ImportError(
            f"torch_grapes: {path} was built with another C++ ABI than this PyTorch (torch.compiled_with_cxx11_abi() is "
            f"{torch.compiled_with_cxx11_abi()}); build Grapes for this PyTorch"
        )


def load() -> Tuple[Any, Optional[Path], str]:
    """Return the compiled operations or None, the path of the library, and a sentence that says which operations are used.

    GRAPES_LIBRARY names a library, which must then fit, or is "none". Without it, a library that does not fit is not used.
    """
    named = os.environ.get("GRAPES_LIBRARY", "")
    if named == "none":
        return None, None, "operations in plain PyTorch, because GRAPES_LIBRARY is none"
    if named and not Path(named).is_file():
        raise ImportError(f"torch_grapes: GRAPES_LIBRARY is {named}, which is not a file")
    path = Path(named) if named else next((place for place in places() if place.is_file()), None)
    if path is None:
        return None, None, f"operations in plain PyTorch, because {NAME} is not in {', '.join(map(str, places()))}"
    try:
        check(path, torch.__version__)
        torch.ops.load_library(str(path))
    except (ImportError, OSError) as error:
        if named:
            raise
        return None, None, f"operations in plain PyTorch; {error}"
    return torch.ops.grapes, path, f"compiled operations of {path}"


compiled, path, status = load()


def _fits(tensor: Tensor) -> bool:
    """Whether the compiled operations support this tensor: an ordinary tensor on the CPU, in code that runs eagerly."""
    return (not is_traced() and compiled is not None and type(tensor) in (Tensor, torch.nn.Parameter)
            and tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64))


def _either(name: str) -> Callable[..., Any]:
    plain = getattr(reference, name)

    def call(*arguments: Any) -> Any:
        tensor = next(argument for argument in arguments if isinstance(argument, Tensor))
        return getattr(compiled, name)(*arguments) if _fits(tensor) else plain(*arguments)

    return call


attach, attach_parameter, attach_product = _either("attach"), _either("attach_parameter"), _either("attach_product")
error_path, layer_factor, over_weight, snu = _either("error_path"), _either("layer_factor"), _either("over_weight"), _either("snu")
_responsibility, _factor, _modulate = _either("responsibility"), _either("factor"), _either("modulate")
_feedback, _feedback_convolution, _mirror = _either("feedback"), _either("feedback_convolution"), _either("mirror")


def responsibility(weight: Tensor, recurrent: Optional[Tensor] = None, dim: int = 0, mask: Optional[Tensor] = None,
                   mean: bool = False) -> Tensor:
    """Compute the responsibility of each unit: r[n] = Σ |W[n, ...]| + Σ |R[n, ...]|  (Dellaferrera et al. 2022).

    weight     W, [unit, ...], any number of axes; floating point
    recurrent  R, recurrent weights of the layer; their sum is added
    dim        0: sum the incoming weights of each row; 1: sum the outgoing weights of each column
    mask       [rows], multiplies the rows before the sum
    mean       divide each sum by the number of its weights that are not 0, as if the others did not exist
    Returns [unit], without a gradient.
    """
    return _responsibility(weight, recurrent, dim, mask, mean)


def factor(weight: Tensor, recurrent: Optional[Tensor] = None, dim: int = 0, mask: Optional[Tensor] = None,
           gain: float = 2.0, low: float = 1.0, high: float = 2.0) -> Tensor:
    """Compute the factor of each unit: m[n] = clip(gain · r[n] / max r, low, high). It is 1 if all weights are 0.

    For factors without a clip use low=0 and high=gain. Returns [unit], without a gradient. Raises ValueError if a weight is
    not finite.
    """
    return _factor(weight, recurrent, dim, mask, gain, low, high)


def modulate(z: Tensor, m: Tensor, dim: int = 1) -> Tensor:
    """Return z. In the backward pass, multiply the error at unit n by m[n]: dL/dz = m ⊙ dL/dy.

    z    [batch, unit, ...] for dim 1; or a weight, whose gradient is scaled by rows (dim 0) or by columns (dim 1)
    m    [unit], or [batch, unit] for dim 1; dtype and device of z
    The result is not the gradient of the value: finite differences give 1, not m. The result is a view of z, so the next
    operation must not work in place. For existing models use enable().
    """
    return _modulate(z, m, dim)


def feedback(y: Tensor, x: Tensor, B: Tensor) -> Tensor:
    """Return y. In the backward pass, send the error at y to x through fixed weights B: dL/dx += dL/dy Bᵀ.

    y [batch, k], x [batch, n], B [n, k]. Feedback alignment (Lillicrap et al. 2016): feedback(linear(x.detach(), W), x, B).
    Direct feedback alignment (Nøkland 2016): y is the logits, x a hidden layer.
    """
    return _feedback(y, x, B)


def feedback_convolution(y: Tensor, x: Tensor, B: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
                         groups: int) -> Tensor:
    """Return y. In the backward pass, x receives the error at y as if y were the convolution of x with the kernel B.

    y [batch, out, ...] of any rank, x [batch, in, ...], B [out, in / groups, ...]. The other arguments are those of the
    convolution that computed y.
    """
    return _feedback_convolution(y, x, B, stride, padding, dilation, groups)


def mirror(W: Tensor, B: Tensor) -> Tensor:
    """Return W. In the backward pass, B receives the gradient of W too: dL/dB += dL/dW, transposed for a matrix.

    W [unit, in] with B [in, unit], or a kernel and B of its shape; floating point. If both then get the same update and decay, B
    converges to W (Kolen and Pollack 1994, Akrout et al. 2019): feedback(linear(x.detach(), mirror(W, B)), x, B).
    """
    return _mirror(W, B)
