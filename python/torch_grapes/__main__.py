"""python -m torch_grapes: versions, what was found, and a self-test of a few seconds."""
from __future__ import annotations

import platform
import shutil
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import List, Tuple

import torch

from . import __version__, library, selftest
from .comparing.comparison import PROGRAMS

#: Packages that torch_grapes uses if they are installed, and for what.
OPTIONAL = (("scipy", "intervals of compare()"), ("matplotlib", "figures of compare()"), ("tqdm", "progress bars of compare()"),
            ("lightning", "torch_grapes.lightning"), ("transformers", "torch_grapes.transformers"))


def versions() -> List[Tuple[str, str]]:
    rows = [("torch_grapes", f"{__version__}, {Path(library.__file__).parent}"),
            ("Python", f"{platform.python_version()}, {platform.platform()}"),
            ("PyTorch", f"{torch.__version__}, {torch.get_num_threads()} threads"), ("operations", library.status)]
    devices = selftest.devices()
    rows.append(("devices", ", ".join(f"{name} ({torch.cuda.get_device_name()})" if name == "cuda" else name for name in devices)))
    found = [path for path in (shutil.which(name) for name, _ in PROGRAMS) if path]
    rows.append(("program", ", ".join(found) or f"{' or '.join(name for name, _ in PROGRAMS)} is not in PATH; it makes the page of a comparison"))
    for name, purpose in OPTIONAL:
        try:
            rows.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            rows.append((name, f"not installed; for {purpose}"))
    return rows


def main() -> int:
    if len(sys.argv) > 1:
        print(f"python -m torch_grapes takes no arguments; got {' '.join(sys.argv[1:])}", file=sys.stderr)
        return 2
    for name, what in versions():
        print(f"{name:<13} {what}")
    begun, checks = time.perf_counter(), selftest.checks()
    faults = [f"  {check.name}: {check.fault}" for check in checks if check.fault]
    seconds = time.perf_counter() - begun
    print(f"{'self-test':<13} {len(checks) - len(faults)} of {len(checks)} gradients equal the definition of the rule ({seconds:.1f} s)")
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
