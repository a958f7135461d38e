"""Writes a training run in Python as `grapes train` does, so that `grapes report` and `grapes inspect` can read it.

    record = torch_grapes.Record("runs/mine", arm="grapes", seed=1, data="digits", model="my-net")
    for epoch in range(10):
        ...
        record.epoch(step=steps, train_loss=loss, test_loss=..., test_accuracy=...)
    record.finish(model)

Runs with the same `pairing` and seed must begin with the same weights and see the same examples. Only such runs are compared
pair by pair. If a handle of enable() is given, every row contains the factors of the modulated layers.
"""
from __future__ import annotations

import json
import math
import os
import platform
import time
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Union

import torch
from torch import Tensor

from .alignment import Alignment
from .attach import Handle
from .safetensors import save_file

SCORES = ("accuracy", "r2", "log_likelihood")


def _toml(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (bool, int, float, str)) else json.dumps(str(value))


def replace(path: Path, text: str) -> None:
    half = path.with_name(path.name + ".part")
    half.write_text(text)
    os.replace(half, path)


def _described(m: Tensor) -> Dict[str, Any]:
    """Return mean, standard deviation (n - 1), range and histogram: 20 counts over (0, 2]; the last one includes all above 2."""
    m = m.detach().double()
    counts = torch.bincount(((m / 0.1 - 1e-9).ceil().long() - 1).clamp(0, 19), minlength=20)
    return {"mean": m.mean().item(), "sd": m.std().item() if len(m) > 1 else 0.0, "min": m.min().item(), "max": m.max().item(),
            "histogram": counts.tolist()}


class Record:
    """The folder of one run, written during training.

    arm      label by which runs are grouped: "bp", "grapes", ...
    score    the measure in train_, validation_ and test_ in addition to the loss: "accuracy" (0 to 1), "r2" or "log_likelihood"
    pairing  label shared by all runs that are paired by seed
    config   other settings of the run, key by key
    Raises ValueError for an unknown score, FileExistsError if the folder already contains a run.
    """

    def __init__(self, folder: Union[str, Path], *, arm: str, seed: int, data: str, model: str, score: str = "accuracy",
                 pairing: str = "", config: Optional[Mapping[str, Any]] = None, handle: Optional[Handle] = None) -> None:
        if score not in SCORES:
            raise ValueError(f"torch_grapes.Record: score must be one of {', '.join(SCORES)}; got {score!r}")
        self.folder, self.handle, self._epoch, self._step = Path(folder), handle, -1, 0
        if (self.folder / "run.json").exists():
            raise FileExistsError(f"torch_grapes.Record: {folder} already contains a run")
        (self.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        lines = [f"# {arm}, made in Python"] + [f"{_toml(str(key))} = {_toml(value)}" for key, value in (config or {}).items()]
        (self.folder / "config.toml").write_text("\n".join(lines) + "\n")
        environment = {"program": "torch_grapes", "python": platform.python_version(), "libtorch": torch.__version__,
                       "threads": torch.get_num_threads(), "system": platform.platform(),
                       "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        (self.folder / "env.json").write_text(json.dumps(environment, indent=2) + "\n")
        (self.folder / "metrics.jsonl").write_text("")
        (self.folder / "log.txt").touch()
        self._status("running")
        identity = {"arm": arm, "seed": seed, "data": data, "model": model, "score": score, "pairing": pairing or f"{data} {model}"}
        (self.folder / "run.json").write_text(json.dumps(identity, indent=2) + "\n")  # written last, because it marks the folder as a run

    def epoch(self, *, step: int, alignment: Optional[Mapping[str, Alignment]] = None, **numbers: Union[float, Tensor]) -> None:
        """Write one row: step (number of updates), train_loss, test_accuracy, learning_rate, seconds, ... The first row is epoch 0.

        alignment  what torch_grapes.alignment() returned; the report plots it by layer
        """
        self._epoch, self._step = self._epoch + 1, step
        row: Dict[str, Any] = {"epoch": self._epoch, "step": step}
        for name, value in numbers.items():
            number = float(value.detach() if isinstance(value, Tensor) else value)
            row[name] = number if math.isfinite(number) else None
        layers: Dict[str, Dict[str, Any]] = {}
        for name, m in (self.handle.factors() if self.handle is not None else {}).items():
            layers.setdefault(name, {"name": name})["factor"] = _described(m)
        for name, angles in (alignment or {}).items():
            measured = {key: value if math.isfinite(value) else None for key, value in angles._asdict().items() if value is not None}
            layers.setdefault(name, {"name": name})["alignment"] = measured
        if layers:
            row["layers"] = list(layers.values())
        with open(self.folder / "metrics.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")
        self._status("running")

    def finish(self, model: Optional[torch.nn.Module] = None, state: str = "finished", message: str = "") -> None:
        """Write the final state, "finished", "interrupted", "diverged" or "failed", and the model's state_dict as a checkpoint."""
        states = ("finished", "interrupted", "diverged", "failed")
        if state not in states:
            raise ValueError(f"torch_grapes.Record: state must be one of {', '.join(states)}; got {state!r}")
        if model is not None:
            save_file(model.state_dict(), self.folder / "checkpoints" / "last.safetensors", {"format": "pt"})
        self._status(state, message)

    def _status(self, state: str, message: str = "") -> None:
        status = {"state": state, "epoch": max(self._epoch, 0), "step": self._step, "message": message}
        replace(self.folder / "status.json", json.dumps(status, indent=2) + "\n")
