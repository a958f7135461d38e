"""What a comparison shows: its scores, its paired differences, a table, a figure, and the page of the program if it is found."""
from __future__ import annotations

import html
import io
import json
import math
import shutil
import statistics
import subprocess
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .run import start_of, state_of

#: Programs that make the page from records, and how they are called.
PROGRAMS = (("grapes", ("--quiet", "report")), ("grapes-report", ("--quiet",)))


class Difference(NamedTuple):
    """The mean over pairs of runs with the same seed of the score of `arm` minus that of `against`."""

    arm: str
    against: str
    pairs: int
    mean: float
    interval: Optional[Tuple[float, float]]  #: 95 %, Student's t; None without SciPy, or with fewer than two pairs


def report_of(folder: Path) -> Tuple[Optional[Path], List[str]]:
    """Let the program make the page. Return its path, or None and why there is none."""
    for name, arguments in PROGRAMS:
        program = shutil.which(name)
        if program:
            done = subprocess.run([program, *arguments, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode == 0 and (folder / "report.html").exists():
                return folder / "report.html", []
            return None, [f"there is no page, because {name} failed: {done.stdout.strip()}"]
    return None, ["there is no page, because the program grapes is not in PATH; with it, `grapes report " + f"{folder}` makes one"]


@dataclass(frozen=True)
class Comparison:
    """Returned by compare(). Its text is a table; a notebook shows the table and a figure."""

    folder: Path  #: of the records
    arms: List[str]
    seeds: List[int]
    score: str  #: the measure: "accuracy", ...
    report: Optional[Path] = None  #: the page that the program grapes made, if it was found
    notes: List[str] = field(default_factory=list)  #: runs that failed, and what else one must know

    def __post_init__(self) -> None:
        self.notes.extend(self._unpaired())
        self.notes.extend(self._warnings())

    def _runs(self, arm: str) -> Dict[int, Path]:
        folders = {seed: self.folder / "arms" / arm / f"seed-{seed}" for seed in self.seeds}
        return {seed: path for seed, path in folders.items() if state_of(path)["state"] == "finished"}

    def _unpaired(self) -> List[str]:
        notes = []
        for seed in self.seeds:
            draws = {arm: start_of(runs[seed]).get("draws") for arm in self.arms for runs in [self._runs(arm)] if seed in runs}
            if len(set(draws.values())) > 1:
                first = next(iter(draws))
                other = next(arm for arm in draws if draws[arm] != draws[first])
                notes.append(f"with seed {seed} the arms {first} and {other} drew different random numbers before the end of the first epoch, so "
                             "they may have seen the examples in another order; draw the order from a generator of its own: "
                             "torch.Generator().manual_seed(run.seed)")
                break
        return notes

    def _warnings(self) -> List[str]:
        return list({said: None for arm in self.arms for path in self._runs(arm).values() for said in start_of(path).get("warnings", [])})

    def rows(self, arm: str, seed: int) -> List[Dict[str, Any]]:
        """Return the rows of metrics.jsonl of a finished run; row 0 is from before training."""
        path = self.folder / "arms" / arm / f"seed-{seed}" / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def scores(self, arm: str) -> Dict[int, float]:
        """Return the final test score of each finished run of an arm, by seed."""
        return {seed: float(self.rows(arm, seed)[-1][f"test_{self.score}"]) for seed in self._runs(arm)}

    def learning_rates(self) -> Dict[str, Optional[float]]:
        """Return the learning rate of each arm, None if compare() was given none."""
        rates = json.loads((self.folder / "compare.json").read_text())["learning_rates"]
        return {arm: rates.get(arm) for arm in self.arms}

    @property
    def baseline(self) -> str:
        return "bp" if "bp" in self.arms else self.arms[0]

    def differences(self) -> List[Difference]:
        """Return the paired differences of every arm and the baseline, and of grapes and every other arm."""
        compared = [(arm, self.baseline) for arm in self.arms if arm != self.baseline]
        if "grapes" in self.arms and self.baseline != "grapes":
            compared += [("grapes", arm) for arm in self.arms if arm not in ("grapes", self.baseline)]
        paired = json.loads((self.folder / "compare.json").read_text())["settings"]["paired"]
        found = []
        for arm, against in compared if paired else []:
            ours, theirs = self.scores(arm), self.scores(against)
            pairs = [ours[seed] - theirs[seed] for seed in self.seeds if seed in ours and seed in theirs]
            if pairs:
                found.append(Difference(arm, against, len(pairs), statistics.fmean(pairs), _interval(pairs)))
        return found

    @property
    def _unit(self) -> Tuple[float, int, str, str]:
        """Return the factor by which scores are shown, the number of decimals, and the units of a score and of a difference."""
        return (100, 2, " %", ", points") if self.score == "accuracy" else (1, 4, "", "")

    def _tables(self) -> List[List[List[str]]]:
        factor, digits, percent, points = self._unit

        def number(value: float, sign: str = "") -> str:
            return f"{factor * value:{sign}.{digits}f}".replace("-", "−")

        rates = self.learning_rates()
        arms = [["arm", "n", *(["rate"] if any(rates.values()) else []), f"test {self.score}{percent}"]]
        for arm in self.arms:
            scores = list(self.scores(arm).values())
            sd = f" ± {number(statistics.stdev(scores))}" if len(scores) > 1 else ""
            rate = [f"{rates[arm]:g}{self._edge(arm)}" if rates[arm] else "–"] if any(rates.values()) else []
            arms.append([arm, str(len(scores)), *rate, number(statistics.fmean(scores)) + sd if scores else "–"])
        differences = [["comparison", "pairs", f"difference{points} [95 %]"]]
        for one in self.differences():
            interval = f" [{number(one.interval[0], '+')}, {number(one.interval[1], '+')}]" if one.interval else ""
            differences.append([f"{one.arm} − {one.against}", str(one.pairs), number(one.mean, "+") + interval])
        return [arms, differences] if len(differences) > 1 else [arms]

    def _edge(self, arm: str) -> str:
        tuning = json.loads((self.folder / "compare.json").read_text())["tuning"]
        if not tuning or arm not in tuning["arms"] or len(tuning["grid"]) < 2:
            return ""
        return " (edge)" if tuning["arms"][arm]["chosen"] in (tuning["grid"][0], tuning["grid"][-1]) else ""

    def _remarks(self) -> List[str]:
        remarks = list(self.notes)
        differences = self.differences()
        if any(one.interval is None and one.pairs > 1 for one in differences):
            remarks.append("there are no intervals, because SciPy is missing: pip install scipy")
        elif differences:
            remarks.append("each interval is Student's t for its difference alone, without a correction for the number of comparisons")
        if any(self._edge(arm) for arm in self.arms):
            remarks.append("(edge): the best learning rate is the first or the last of the grid; repeat the comparison with a wider grid")
        return [*remarks, f"records: {self.folder}", *([f"report: {self.report}"] if self.report else [])]

    def __str__(self) -> str:
        blocks = []
        for table in self._tables():
            widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
            blocks.append("\n".join("  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
                                    for row in table))
        return "\n\n".join([*blocks, "\n".join(self._remarks())])

    def _repr_html_(self) -> str:
        parts = []
        for head, *body in self._tables():
            parts.append("<table><thead><tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr></thead><tbody>")
            parts += ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in body]
            parts.append("</tbody></table>")
        try:
            file = io.StringIO()
            self.figure().savefig(file, format="svg")
            parts.append(file.getvalue()[file.getvalue().index("<svg"):])
        except ImportError:
            parts.append("<p>there is no figure, because Matplotlib is missing: pip install matplotlib</p>")
        return "".join([*parts, "<ul>", *(f"<li>{html.escape(remark)}</li>" for remark in self._remarks()), "</ul>"])

    def figure(self) -> Any:
        """Draw the learning curves and the paired differences, as a figure of Matplotlib. Raises ImportError if it is missing."""
        from matplotlib.figure import Figure

        factor, _, percent, points = self._unit
        figure = Figure(figsize=(10, 3.6), constrained_layout=True)
        curves, differences = figure.subplots(1, 2)
        for color, arm in enumerate(self.arms):
            measured: Dict[int, List[float]] = {}
            for seed in self._runs(arm):
                for row in self.rows(arm, seed)[1:]:
                    if row.get(f"test_{self.score}") is not None:
                        measured.setdefault(row["epoch"], []).append(factor * row[f"test_{self.score}"])
            curves.plot(list(measured), [statistics.fmean(values) for values in measured.values()], color=f"C{color}",
                        marker="o" if len(measured) == 1 else "", label=f"{arm}, n = {len(self._runs(arm))}")
        curves.set(xlabel="epoch", ylabel=f"test {self.score}{percent}, mean")
        curves.xaxis.get_major_locator().set_params(integer=True)
        curves.legend()
        found = self.differences()[::-1]
        for place, one in enumerate(found):
            ours, theirs = self.scores(one.arm), self.scores(one.against)
            pairs = [factor * (ours[seed] - theirs[seed]) for seed in ours if seed in theirs]
            differences.plot(pairs, [place] * len(pairs), "o", color="gray", alpha=0.5, markersize=4)
            low, high = one.interval or (one.mean, one.mean)
            differences.errorbar(factor * one.mean, place, xerr=[[factor * (one.mean - low)], [factor * (high - one.mean)]], fmt="D",
                                 color="black", capsize=4)
        differences.axvline(0, color="gray", linewidth=1)
        differences.margins(y=0.2)
        differences.set_yticks(range(len(found)))
        differences.set_yticklabels([f"{one.arm} − {one.against}" for one in found])
        differences.set(xlabel=f"difference{points}: pairs, mean{', 95 % interval' if any(one.interval for one in found) else ''}")
        return figure

    def open(self) -> None:
        """Open the page in a browser. Raises FileNotFoundError if there is none."""
        if self.report is None:
            raise FileNotFoundError(f"torch_grapes: {self.folder} has no page; the program grapes makes one: grapes report {self.folder}")
        webbrowser.open(self.report.resolve().as_uri())


def _interval(pairs: List[float]) -> Optional[Tuple[float, float]]:
    try:
        from scipy import stats
    except ImportError:
        return None
    if len(pairs) < 2:
        return None
    mean = statistics.fmean(pairs)
    half = float(stats.t.ppf(0.975, len(pairs) - 1)) * statistics.stdev(pairs) / math.sqrt(len(pairs))
    return mean - half, mean + half
