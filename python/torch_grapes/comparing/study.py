"""compare(): every arm with every seed, resumed where it stopped."""
from __future__ import annotations

import hashlib
import inspect
import json
import math
import statistics
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from ..record import SCORES, replace
from .arms import Arm, options_of
from .comparison import Comparison, report_of
from .fingerprint import fingerprint
from .pool import carry_out
from .progress import Progress
from .run import Run, state_of


def compare(
    train: Callable[[Run], Any],
    arms: Union[Sequence[str], Mapping[str, Arm]] = ("bp", "grapes", "uniform", "shuffled"),
    seeds: Union[int, Sequence[int]] = 5,
    *,
    learning_rate: Optional[float] = None,
    tune: Sequence[float] = (),
    tune_seeds: int = 3,
    score: str = "accuracy",
    folder: Union[str, Path, None] = None,
    data: str = "own data",
    model: str = "",
    jobs: int = 1,
    paired: bool = True,
    progress: bool = True,
) -> Comparison:
    """Train with every arm and every seed, and return what the runs show.

        def train(run):
            model = make_model()
            run.enable(model)
            ...                                 # train with run.learning_rate
            run.epoch(test_accuracy=...)        # after each epoch, or once

        print(torch_grapes.compare(train, arms=["bp", "grapes", "uniform"], seeds=5, learning_rate=0.1))

    Before each run the generators of PyTorch, NumPy and `random` are seeded with the run's seed. A function that draws its initial
    weights and the order of the examples from them therefore starts every arm alike. It is an error if the weights differ.

    Every run is a record in `folder`. If the call is repeated with the same function and settings, runs that have ended are not
    repeated; arms and seeds can be added. If the training function raises an exception, the run has failed and the others go on.

    train          a function of one argument, a Run
    arms           names as in `grapes compare`: "bp", "grapes", "uniform", "constant:1.8", "fa+grapes"; or a dictionary from labels to
                   names, functions that take and return factors, or dictionaries with options of convert()
    seeds          their number, from 1, or a list
    learning_rate  Run.learning_rate, for all arms
    tune           a grid of learning rates, from which each arm gets the one with the best validation score
    tune_seeds     number of seeds for this choice; they differ from those of the comparison
    score          the measure to compare: "accuracy" (0 to 1), "r2" or "log_likelihood"
    folder         where the records are written; by default a folder in runs/ that is named after the function and its settings
    data, model    names for the report
    jobs           number of processes; with 1 the runs use this process
    paired         whether runs with the same seed form a pair
    progress       whether to show a bar, if tqdm is installed

    Raises ValueError for invalid options, or if the folder has runs of another function or with other settings; KeyboardInterrupt
    if it is interrupted; RuntimeError if every run failed.
    """
    options = options_of(arms)
    numbers = list(range(1, seeds + 1)) if isinstance(seeds, int) else [int(seed) for seed in seeds]
    _check(train, numbers, learning_rate, tune, tune_seeds, score, jobs)
    settings = {"train": fingerprint(train), "learning_rate": learning_rate, "tune": sorted(set(map(float, tune))),
                "tune_seeds": tune_seeds if tune else 0, "score": score, "data": data, "model": model, "paired": paired}
    name = getattr(train, "__name__", type(train).__name__).strip("<>")
    place = Path("runs") / f"{name}-{_hash(settings)[:8]}" if folder is None else Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    with _locked(place):
        study = _Study(place, settings, options, numbers)
        study.save()
        bars = Progress(progress)
        try:
            carry_out("tuning", study.trials, train, jobs, bars)
            study.choose()
            study.save()
            carry_out("comparing", study.runs, train, jobs, bars)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"torch_grapes.compare was interrupted; repeat the call to go on. The records are in {place}") from None
        states = {run.name: state_of(run.folder) for run in (*study.trials, *study.runs)}
        failures = {name: state["message"] for name, state in states.items() if state["state"] == "failed"}
        failures.update((run.name, f"it diverged: {states[run.name]['message']}") for run in study.runs if states[run.name]["state"] == "diverged")
        failures.update((f"arm {arm}", "it was not compared, because a run that chooses its learning rate failed") for arm in study.left_out)
        if not any(states[run.name]["state"] == "finished" for run in study.runs):
            first = next(iter(failures.items()), ("every run", "diverged"))
            raise RuntimeError(f"torch_grapes.compare: no run has finished; {first[0]}: {first[1]}. The folder of a run has a log.txt; "
                               f"repeat the call to try failed runs again. The records are in {place}")
        report, problems = report_of(place)
        return Comparison(place, list(options), numbers, score, report, [*problems, *(f"{name}: {why}" for name, why in failures.items())])


def _hash(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _check(train: Any, seeds: List[int], rate: Optional[float], tune: Sequence[float], tune_seeds: int, score: str, jobs: int) -> None:
    def require(holds: bool, what: str) -> None:
        if not holds:
            raise ValueError(f"torch_grapes.compare: {what}")

    require(callable(train), f"train must be a function that takes a torch_grapes.Run; got {train!r}")
    try:
        inspect.signature(train).bind(None)
    except TypeError as error:
        require(False, f"train is called with one argument, a torch_grapes.Run, but {getattr(train, '__name__', 'it')} cannot be: {error}")
    except ValueError:
        pass  # a callable without a signature
    require(len(seeds) > 0 and min(seeds) >= 0, f"seeds must be a number above 0 or a list of numbers from 0; got {seeds}")
    require(len(set(seeds)) == len(seeds), f"a seed is named twice in {seeds}")
    require(score in SCORES, f"score must be one of {', '.join(SCORES)}; got {score!r}")
    require(jobs >= 1, f"jobs must be at least 1; got {jobs}")
    for one in (*tune, *([] if rate is None else [rate])):
        require(one > 0 and math.isfinite(one), f"a learning rate must be a number above 0; got {one!r}")
    require(not tune or rate is None, "give either learning_rate or a grid to tune, not both")
    require(not tune or tune_seeds >= 1, f"tune_seeds must be at least 1; got {tune_seeds}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let only one process at a time work on a folder. Where the system has no such locks (Windows), nothing is checked."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RuntimeError(f"torch_grapes.compare: another process is working on {folder}; wait until it has ended, or choose another "
                               "folder") from None
        yield


class _Study:
    """The runs of a comparison, and the file compare.json that describes them."""

    def __init__(self, folder: Path, settings: Dict[str, Any], arms: Dict[str, Dict[str, Any]], seeds: List[int]) -> None:
        self.folder, self.settings, self.arms, self.seeds = folder, settings, arms, seeds
        self.grid: List[float] = settings["tune"]
        self.rates: Dict[str, Any] = {arm: settings["learning_rate"] for arm in arms}
        self.tuning: Optional[Dict[str, Any]] = None
        self.left_out: List[str] = []  # arms that have no learning rate
        self.prints = {arm: fingerprint(options) for arm, options in arms.items()}
        self.saved = self._load()
        first = max([1000, *seeds, *self.saved.get("seeds", [])]) + 1
        first = self.saved.get("settings", {}).get("first_tuning_seed", first)
        if any(first <= seed < first + settings["tune_seeds"] for seed in seeds):
            raise ValueError(f"torch_grapes.compare: the seeds {first} to {first + settings['tune_seeds'] - 1} chose the learning rates, and cannot "
                             "be compared; use other seeds or another folder")
        self.settings = {**settings, "first_tuning_seed": first}
        self.trials = [self._run("tuning", f"{arm}/{rate:g}", arm, seed, rate, True)
                       for seed in range(first, first + settings["tune_seeds"]) for arm in arms for rate in self.grid]
        self.runs = [] if self.grid else self._compared(list(arms))

    def _run(self, part: str, path: str, arm: str, seed: int, rate: Any, tuning: bool = False) -> Run:
        pairing = _hash(self.settings) + ("" if self.settings["paired"] else f" {arm}")
        identity = {"score": self.settings["score"], "data": self.settings["data"], "model": self.settings["model"], "pairing": pairing}
        return Run(arm, seed, rate, tuning, self.folder / part / path / f"seed-{seed}", identity, self.arms[arm], self.settings["paired"])

    def _compared(self, arms: List[str]) -> List[Run]:
        return [self._run("arms", arm, arm, seed, self.rates[arm]) for seed in self.seeds for arm in arms]

    def _load(self) -> Dict[str, Any]:
        """Return the comparison that the folder has, or {}. Raises ValueError if its runs do not belong with those of this one."""
        path = self.folder / "compare.json"
        if not path.exists():
            if any((self.folder / part).exists() for part in ("arms", "run.json")):
                raise ValueError(f"torch_grapes.compare: {self.folder} has runs, but no compare.json; choose another folder")
            return {}
        saved = json.loads(path.read_text())
        if "settings" not in saved:
            raise ValueError(f"torch_grapes.compare: {path} is a comparison of the program grapes; choose another folder")
        other = [f"{name} was {was!r} and is {self.settings[name]!r}" for name, was in saved["settings"].items()
                 if name in self.settings and self.settings[name] != was and name != "train"]
        if saved["settings"]["train"] != self.settings["train"]:
            other.insert(0, "the code of the training function has changed")
        other += [f"the arm {arm} has other options" for arm, print_ in saved["prints"].items() if self.prints.get(arm, print_) != print_]
        if other:
            raise ValueError(f"torch_grapes.compare: {self.folder} has runs that differ from these: {'; '.join(other)}. Choose another folder, or "
                             "delete this one")
        return dict(saved)

    def _trial(self, arm: str, rate: float) -> Tuple[List[Optional[float]], int]:
        """Return the validation score of each tuning run at a rate, None if it diverged, and the number of epochs."""
        scores: List[Optional[float]] = []
        epochs = 0
        for run in self.trials:
            if (run.arm, run.learning_rate) == (arm, rate):
                rows = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
                finished = state_of(run.folder)["state"] == "finished"
                scores.append(rows[-1][f"validation_{self.settings['score']}"] if finished else None)
                epochs = max(epochs, len(rows) - 1)
        return scores, epochs

    def choose(self) -> None:
        """Choose the learning rate of each arm, and make the runs that compare the arms."""
        if not self.grid:
            return
        chosen: Dict[str, Any] = {}
        longest = 0
        for arm in self.arms:
            if any(state_of(run.folder)["state"] == "failed" for run in self.trials if run.arm == arm):
                continue
            tried: List[Dict[str, Any]] = []
            for rate in self.grid:
                scores, epochs = self._trial(arm, rate)
                finite = [score for score in scores if score is not None]
                mean = statistics.fmean(finite) if len(finite) == len(scores) else None
                tried.append({"learning_rate": rate, "validation": scores, "validation_mean": mean})
                longest = max(longest, epochs)
            best = max(tried, key=lambda one: -math.inf if one["validation_mean"] is None else one["validation_mean"])
            self.rates[arm] = best["learning_rate"]
            chosen[arm] = {"chosen": self.rates[arm], "tried": tried}
        self.tuning = {"arms": chosen, "epochs": longest, "grid": self.grid, "seeds": self.settings["tune_seeds"]}
        self.runs = self._compared(list(chosen))
        self.left_out = [arm for arm in self.arms if arm not in chosen]

    def save(self) -> None:
        """Write compare.json, which also keeps the arms and seeds of former calls."""
        tuning = self.saved.get("tuning")
        if self.tuning is not None:
            tuning = {**self.tuning, "arms": {**(tuning or {}).get("arms", {}), **self.tuning["arms"]}}
        known = {arm: rate for arm, rate in self.rates.items() if rate is not None}
        rates = {**self.saved.get("learning_rates", {}), **known}
        content = {
            "arms": list(dict.fromkeys([*self.saved.get("arms", []), *self.arms])),
            "seeds": sorted({*self.saved.get("seeds", []), *self.seeds}),
            "given_rates": rates, "learning_rates": rates, "smallest_effect": 0.0, "tuning": tuning,
            "settings": self.settings, "prints": {**self.saved.get("prints", {}), **self.prints},
        }
        replace(self.folder / "compare.json", json.dumps(content, indent=2) + "\n")
