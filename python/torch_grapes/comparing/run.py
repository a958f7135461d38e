"""One run of a comparison: what a training function receives, and how the run is carried out and recorded."""
from __future__ import annotations

import hashlib
import json
import random
import shutil
import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Union

import torch
from torch import Tensor, nn

from ..attach import Handle, convert
from ..record import Record, replace
from ..safetensors import bytes_of

START = "start.json"
ENDED = ("finished", "diverged")  #: the states of a run that need not be carried out again


@dataclass
class Run:
    """One arm with one seed. compare() makes it and passes it to the training function.

    Before the function is called, the generators of PyTorch, NumPy and `random` are seeded with `seed`.
    """

    arm: str  #: label of the arm
    seed: int
    learning_rate: Any  #: the rate to train with: the one given to compare(), one of the grid, or the chosen one
    tuning: bool  #: whether the run only helps to choose a learning rate; its test score is not used
    folder: Path  #: folder of the run's record; your own files can be put here too
    identity: Dict[str, Any] = field(repr=False)  #: score, data, model and pairing of the record
    options: Dict[str, Any] = field(repr=False)  #: options of convert()
    paired: bool = field(repr=False, default=True)
    rows: List[Dict[str, Any]] = field(repr=False, default_factory=list)  #: the numbers of each epoch so far
    model: Optional[nn.Module] = field(repr=False, default=None)
    _record: Optional[Record] = field(repr=False, default=None)

    @property
    def name(self) -> str:
        return f"arm {self.arm}{f' at {self.learning_rate:g}' if self.tuning else ''}, seed {self.seed}"

    def enable(self, model: nn.Module, **options: Any) -> Handle:
        """Let the model learn by the rule of the arm. Call it once, after making the model and before making the optimizer.

        options  further options of torch_grapes.convert() for every arm, such as output="head"; those of the arm come first
        Returns the handle. Raises RuntimeError if another arm has started from other weights with the same seed.
        """
        if self.model is not None:
            raise RuntimeError("run.enable() was called twice; call it once, for the whole model")
        weights = _hash_of(model)
        handle = convert(model, **{**options, **self.options})
        self.model = model
        self._open(type(model).__name__, handle)
        self.note(weights=weights)
        if self.paired and not self.tuning:
            self._require_same_weights(weights)
        self._write()
        with open(self.folder / "log.txt", "a") as log:
            log.write(f"{handle}\n")
        return handle

    def epoch(self, *, step: Optional[int] = None, **numbers: Union[float, Tensor]) -> None:
        """Write the numbers of an epoch: train_loss, validation_accuracy, test_accuracy, ... Call it after each epoch, or once at the end.

        The final score is that of the last call: test_accuracy, or the measure that compare() was given as `score`. With tuning,
        validation_accuracy chooses the learning rate.
        step  number of updates so far; by default the number of the epoch
        """
        if self._record is None:
            raise RuntimeError(f"run.epoch() was called before run.enable(model), so {self.arm} would not be the rule that trains")
        if not self.rows:
            self.note(draws=_hash_of_generators())
        self.rows.append({name: float(value.detach() if isinstance(value, Tensor) else value) for name, value in numbers.items()})
        self._write(len(self.rows) if step is None else step, **numbers)

    def _open(self, model: str = "", handle: Optional[Handle] = None) -> None:
        identity = {**self.identity, "model": self.identity["model"] or model or "unknown model"}
        config = {"learning-rate": self.learning_rate, **{key: getattr(value, "__name__", value) for key, value in self.options.items()}}
        self._record = Record(self.folder, arm=self.arm, seed=self.seed, handle=handle, config=config, **identity)

    def _write(self, step: int = 0, **numbers: Any) -> None:
        assert self._record is not None
        rate = {} if self.learning_rate is None else {"learning_rate": self.learning_rate}
        self._record.epoch(step=step, **{**rate, **numbers})

    def note(self, **facts: Any) -> None:
        """Write what is known about the start of the run."""
        replace(self.folder / START, json.dumps({**start_of(self.folder), **facts}) + "\n")

    def _require_same_weights(self, weights: str) -> None:
        for path in sorted(self.folder.parents[1].glob(f"*/{self.folder.name}/{START}")):
            if state_of(path.parent)["state"] in ("running", *ENDED) and start_of(path.parent).get("weights", weights) != weights:
                raise RuntimeError(
                    f"the arms {self.arm} and {path.parents[1].name} start from different weights with seed {self.seed}, so they form no "
                    "pair; make the model in the same way for every arm, and draw no random numbers before it for some arms only. If the "
                    "arms are meant to differ, use compare(..., paired=False)")

    def end(self, state: str, message: str = "") -> None:
        """Write the final state of the run."""
        if self._record is None:
            self._open()
        assert self._record is not None
        self._record.finish(state=state, message=message)


def _hash_of(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if isinstance(tensor, Tensor) and not isinstance(tensor, nn.parameter.UninitializedParameter):
            digest.update(f"{name} {list(tensor.shape)}".encode() + bytes_of(tensor))
    return digest.hexdigest()[:16]


def _numpy() -> Any:
    try:
        import numpy
    except ImportError:
        return None
    return numpy.random


def _hash_of_generators() -> str:
    numpy = _numpy()
    states = (torch.get_rng_state().tolist(), random.getstate(), numpy and numpy.get_state()[1:3])
    return hashlib.sha256(repr(states).encode()).hexdigest()[:16]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the generators for a with block, and put them back after it."""
    numpy = _numpy()
    before = torch.get_rng_state(), random.getstate(), numpy and numpy.get_state()
    torch.manual_seed(seed)
    random.seed(seed)
    if numpy:
        numpy.seed(seed % 2**32)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        random.setstate(before[1])
        if numpy:
            numpy.set_state(before[2])


@contextmanager
def _warnings_noted(run: Run) -> Iterator[None]:
    """Write the warnings of torch_grapes to the record of a run instead of showing them, so that the result can say them once."""
    said: List[str] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message="torch_grapes: ")
        show = warnings.showwarning

        def note(message: Any, *where: Any, **more: Any) -> None:
            text = str(message)
            if not text.startswith("torch_grapes: "):
                show(message, *where, **more)
            elif text not in said:
                said.append(text)
                run.note(warnings=[one.replace("torch_grapes: ", "", 1) for one in said])

        warnings.showwarning = note
        yield


def state_of(folder: Path) -> Dict[str, Any]:
    """Return the state and the message of a run; the state is "" if it has not begun."""
    try:
        return dict(json.loads((folder / "status.json").read_text()))
    except (OSError, ValueError):
        return {"state": "", "message": ""}


def start_of(folder: Path) -> Dict[str, Any]:
    """Return what is known about the start of a run: hashes of its weights and of the generators, and warnings."""
    path = folder / START
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _result(run: Run, returned: Any) -> str:
    """Return how a run ended whose training function returned. Raises if it did not do what it must."""
    if isinstance(returned, Mapping):
        run.epoch(**returned)
    if run.model is None:
        raise RuntimeError(f"the training function did not call run.enable(model), so {run.arm} was not the rule that trained")
    wanted = f"{'validation' if run.tuning else 'test'}_{run.identity['score']}"
    last = run.rows[-1] if run.rows else {}
    if wanted not in last:
        got = f"got {', '.join(last)}" if run.rows else "it was not called"
        raise RuntimeError(f"the last run.epoch(...) must have {wanted}; {got}. For another measure than accuracy use compare(score=...)")
    return "finished" if abs(last[wanted]) < float("inf") else "diverged"


def clear(run: Run) -> None:
    """Make the folder of a run, without what is left of a run that failed or did not end."""
    if run.folder.exists():
        shutil.rmtree(run.folder)
    run.folder.mkdir(parents=True)


def execute(run: Run, train: Callable[[Run], Any]) -> None:
    """Carry out a run. What the training function raises is written to the record; only an interrupt is raised again."""
    try:
        with _seeded(run.seed), _warnings_noted(run):
            state = _result(run, train(run))
        run.end(state, "" if state == "finished" else "the score is not a finite number")
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt)
        lost = run.model is not None and not all(torch.isfinite(p).all() for p in run.model.parameters())
        with open(run.folder / "log.txt", "a") as log:
            log.write(traceback.format_exc())
        run.end("interrupted" if interrupted else "diverged" if lost else "failed", f"{type(error).__name__}: {error}")
        if interrupted:
            raise KeyboardInterrupt from None
    finally:
        run.model, run._record = None, None  # a comparison must not keep the models of all its runs
