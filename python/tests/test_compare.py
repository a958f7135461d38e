"""compare() runs every arm with every seed, goes on where it stopped, and says what the runs show."""
import functools
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import torch_grapes
from torch_grapes.comparing import arms, comparison, pool, progress
from torch_grapes.comparing.fingerprint import fingerprint

PYTHON = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch, operations):
    if operations != "reference":
        pytest.skip("comparisons are the same with the compiled operations")
    monkeypatch.setenv("GRAPES_LIBRARY", "none")  # for processes that are started anew
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(comparison, "PROGRAMS", ())  # the tests that need the program say so


X = torch.randn(60, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] * X[:, 1] > 0).long()


def fit(run, epochs=2, rate=None):
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    run.enable(model)
    optimizer = torch.optim.SGD(model.parameters(), rate or run.learning_rate or 0.5)
    for _ in range(epochs):
        for batch in torch.randperm(60).split(10):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[batch]), Y[batch]).backward()
            optimizer.step()
        accuracy = (model(X).argmax(1) == Y).float().mean()
        run.epoch(validation_accuracy=accuracy, test_accuracy=accuracy)
    return model


def train(run):
    fit(run)


def lines(folder, arm, seed):
    return (Path(folder) / "arms" / arm / f"seed-{seed}" / "metrics.jsonl").read_text()


def test_it_does_what_a_loop_of_ones_own_does():
    result = torch_grapes.compare(train, ["bp", "grapes"], [3, 5], learning_rate=0.3, folder="a")
    for arm, modulation in (("bp", "none"), ("grapes", "grapes")):
        for seed in (3, 5):
            torch.manual_seed(seed)
            model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
            torch_grapes.enable(model, modulation)
            optimizer = torch.optim.SGD(model.parameters(), 0.3)
            for batch in [b for _ in range(2) for b in torch.randperm(60).split(10)]:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(X[batch]), Y[batch]).backward()
                optimizer.step()
            assert result.scores(arm)[seed] == (model(X).argmax(1) == Y).float().mean().item()
    assert lines("a", "bp", 3) != lines("a", "grapes", 3)
    rows = result.rows("grapes", 3)
    assert [row["epoch"] for row in rows] == [0, 1, 2] and {row["learning_rate"] for row in rows} == {0.3}
    assert rows[0]["layers"][0]["factor"]["max"] == 2


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_do_what_one_process_does(method, monkeypatch):
    monkeypatch.setattr(pool, "_start_method", lambda: method)
    for jobs in (1, 2):
        torch_grapes.compare(train, ["bp", "grapes"], 2, learning_rate=0.3, folder=f"jobs-{jobs}", jobs=jobs)
    assert all(lines("jobs-1", arm, seed) == lines("jobs-2", arm, seed) for arm in ("bp", "grapes") for seed in (1, 2))


def test_the_generators_of_the_caller_are_put_back():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    torch_grapes.compare(train, ["bp"], 1, folder="a")
    assert torch.equal(torch.rand(3), expected)


def test_pairs_intervals_and_the_page_agree_with_the_program(monkeypatch):
    if not shutil.which("grapes"):
        pytest.skip("the program grapes is not in PATH")
    stats = pytest.importorskip("scipy.stats")
    monkeypatch.setattr(comparison, "PROGRAMS", (("grapes", ("--quiet", "report")),))
    result = torch_grapes.compare(train, ["bp", "grapes"], 4, tune=[0.1, 0.3, 1.0], tune_seeds=2, folder="a", data="points")
    assert result.report == Path("a/report.html") and "On points with Sequential" in result.report.read_text()
    (ours,), summary = result.differences(), json.loads(Path("a/summary.json").read_text())
    (theirs,) = [d for d in summary["conditions"][0]["differences"] if d["measure"] == "test_accuracy"]
    assert (ours.arm, ours.against, ours.pairs) == (theirs["arm"], theirs["against"], 4) == ("grapes", "bp", 4)
    assert [ours.mean, *ours.interval] == pytest.approx([theirs["mean"], *theirs["interval"]], abs=1e-6)
    pairs = [result.scores("grapes")[seed] - result.scores("bp")[seed] for seed in (1, 2, 3, 4)]
    assert ours.interval == pytest.approx(stats.t.interval(0.95, 3, statistics.fmean(pairs), stats.sem(pairs)))
    arms_of = {arm["arm"]: arm for arm in summary["conditions"][0]["arms"]}
    for arm, rate in result.learning_rates().items():
        assert arms_of[arm]["learning_rates"] == [rate] and arms_of[arm]["tried_rates"] == 3


def test_each_arm_gets_the_rate_with_the_best_validation_score():
    def by_rate(run):
        run.enable(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)))
        assert run.tuning == (run.seed > 1000)
        best = {"bp": 0.2, "grapes": 0.1}[run.arm]
        if run.learning_rate == 0.4:
            return {"validation_accuracy": math.nan}  # it diverges, with a score that no other rate can have
        run.epoch(validation_accuracy=1 - abs(run.learning_rate - best) - 0.01 * run.seed % 2, test_accuracy=0.5)

    result = torch_grapes.compare(by_rate, ["bp", "grapes"], 2, tune=[0.4, 0.1, 0.2], folder="a")
    assert result.learning_rates() == {"bp": 0.2, "grapes": 0.1}
    assert "0.1 (edge)" in str(result) and "0.2 (edge)" not in str(result)
    tuning = json.loads(Path("a/compare.json").read_text())["tuning"]
    assert tuning["arms"]["bp"]["tried"][2] == {"learning_rate": 0.4, "validation": [None] * 3, "validation_mean": None}
    assert sorted(path.name for path in Path("a/tuning/bp/0.1").iterdir()) == ["seed-1001", "seed-1002", "seed-1003"]


def test_a_call_that_is_repeated_goes_on():
    begun = []

    def interrupted(run):
        begun.append((run.arm, run.seed))
        if len(begun) == 3:
            raise KeyboardInterrupt
        fit(run)

    with pytest.raises(KeyboardInterrupt, match="repeat the call to go on. The records are in a"):
        torch_grapes.compare(interrupted, ["bp", "grapes"], 2, folder="a")
    assert json.loads(Path("a/arms/bp/seed-2/status.json").read_text())["state"] == "interrupted"
    torch_grapes.compare(interrupted, ["bp", "grapes"], 2, folder="a")
    assert begun == [("bp", 1), ("grapes", 1), ("bp", 2), ("bp", 2), ("grapes", 2)]
    result = torch_grapes.compare(interrupted, ["grapes", "uniform"], 3, folder="a")
    assert begun[5:] == [("uniform", 1), ("uniform", 2), ("grapes", 3), ("uniform", 3)]
    assert result.arms == ["grapes", "uniform"] and [d[:3] for d in result.differences()] == [("uniform", "grapes", 3)]
    whole = torch_grapes.compare(train, ["bp", "grapes"], 2, folder="b")
    assert all(lines("a", arm, seed) == lines("b", arm, seed) for arm in whole.arms for seed in (1, 2))
    known = json.loads(Path("a/compare.json").read_text())
    assert known["arms"] == ["bp", "grapes", "uniform"] and known["seeds"] == [1, 2, 3]


SLOW = """
import time
import torch_grapes
from test_compare import fit

def train(run):
    if run.seed == 2 and run.arm == "bp":
        open("waits", "w").close()
        time.sleep(60 if WAIT else 0)
    fit(run)

torch_grapes.compare(train, ["bp", "grapes"], 2, folder="a", jobs=2)
"""


def test_processes_are_interrupted_together():
    environment = {**os.environ, "PYTHONPATH": f"{PYTHON}:{PYTHON / 'tests'}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SLOW.replace("if WAIT else", "if not __import__('os').path.exists('again') else")]
    heeds = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # tests in the background of a shell inherit that it is ignored
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heeds)
    while not (Path("waits").exists() and Path("a/arms/grapes/seed-1/status.json").exists()
               and "finished" in Path("a/arms/grapes/seed-1/status.json").read_text()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert "torch_grapes.compare was interrupted" in process.communicate(timeout=30)[1]
    ended = Path("a/arms/grapes/seed-1/status.json").stat().st_mtime_ns
    Path("again").touch()
    subprocess.run(command, env=environment, check=True)
    assert Path("a/arms/grapes/seed-1/status.json").stat().st_mtime_ns == ended
    assert all(json.loads(path.read_text())["state"] == "finished" for path in Path("a").glob("arms/*/*/status.json"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_fails_is_named_and_the_others_go_on(jobs):
    def fails(run):
        if (run.arm, run.seed) == ("grapes", 2) and not Path("mended").exists():
            raise OSError("no such picture")
        print(f"I am {run.name}")
        fit(run)

    result = torch_grapes.compare(fails, ["bp", "grapes"], 3, folder="a", jobs=jobs)
    assert "arm grapes, seed 2: OSError: no such picture" in str(result)
    assert list(result.scores("grapes")) == [1, 3] and list(result.scores("bp")) == [1, 2, 3]
    assert [d.pairs for d in result.differences()] == [2]
    assert 'raise OSError("no such picture")' in Path("a/arms/grapes/seed-2/log.txt").read_text()
    if jobs == 2:
        assert "I am arm bp, seed 1" in Path("a/arms/bp/seed-1/log.txt").read_text()
    Path("mended").touch()
    result = torch_grapes.compare(fails, ["bp", "grapes"], 3, folder="a", jobs=jobs)
    assert "OSError" not in str(result) and [d.pairs for d in result.differences()] == [3]


def test_a_process_that_dies_is_a_run_that_failed():
    def dies(run):
        if (run.arm, run.seed) == ("bp", 1):
            os._exit(9)
        fit(run)

    result = torch_grapes.compare(dies, ["bp", "grapes"], 2, folder="a", jobs=2)
    assert "arm bp, seed 1: its process ended with exit code 9" in str(result)


def test_without_a_learning_rate_an_arm_is_left_out():
    def fails(run):
        if run.arm == "grapes":
            raise ValueError("not with grapes")
        fit(run)

    result = torch_grapes.compare(fails, ["bp", "grapes"], 2, tune=[0.1, 0.2], tune_seeds=1, folder="a")
    assert "arm grapes at 0.1, seed 1001: ValueError: not with grapes" in str(result)
    assert "arm grapes: it was not compared" in str(result) and len(result.scores("bp")) == 2
    with pytest.raises(RuntimeError, match="no run has finished; arm grapes, seed 1: ValueError: not with grapes"):
        torch_grapes.compare(fails, ["grapes"], 1, folder="b")


def test_weights_that_become_infinite_are_a_divergence_and_no_failure():
    def diverges(run):
        model = fit(run)
        if run.arm == "grapes":
            with torch.no_grad():
                model[0].weight[0, 0] = math.inf
            model(X).sum().backward()

    result = torch_grapes.compare(diverges, ["bp", "grapes"], 1, folder="a")
    assert json.loads(Path("a/arms/grapes/seed-1/status.json").read_text())["state"] == "diverged"
    assert result.scores("grapes") == {} and "arm grapes, seed 1: it diverged: ValueError: torch_grapes: 0: " in str(result)


def test_arms_that_start_differently_are_no_pair():
    def unequal(run):
        if run.arm == "grapes":
            torch.rand(1)
        fit(run)

    result = torch_grapes.compare(unequal, ["bp", "grapes"], 2, folder="a")
    assert "the arms grapes and bp start from different weights with seed 1" in str(result) and result.differences() == []
    result = torch_grapes.compare(unequal, ["bp", "grapes"], 2, folder="b", paired=False)
    assert len(result.scores("grapes")) == 2 and result.differences() == []
    pairings = {json.loads(path.read_text())["pairing"] for path in Path("b").glob("arms/*/seed-1/run.json")}
    assert len(pairings) == 2


def test_another_order_of_the_examples_is_noticed():
    def unequal(run):
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        run.enable(model)
        torch.rand(2 if run.arm == "grapes" else 1)
        run.epoch(test_accuracy=0.5)

    assert "drew different random numbers" in str(torch_grapes.compare(unequal, ["bp", "grapes"], 2, folder="a"))
    assert "drew different" not in str(torch_grapes.compare(train, ["bp", "grapes", "shuffled", "fa"], 2, folder="b"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_result_has_the_warnings(jobs, recwarn):
    class Embedded(nn.Module):
        def __init__(self):
            super().__init__()
            self.letters, self.idle, self.hidden, self.head = nn.Embedding(3, 4), nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.head(torch.relu(self.hidden(self.letters(x))))

    def warns(run):
        model = Embedded()
        run.enable(model)
        model(torch.tensor([0, 2])).sum().backward()
        warnings.warn("of another package")
        run.epoch(test_accuracy=0.5)

    said = str(torch_grapes.compare(warns, ["bp", "grapes", "uniform"], 2, folder="a", jobs=jobs))
    assert said.count("these layers are not modulated: letters (a module of type Embedding)") == 1
    assert said.count("these layers are not modulated, because this forward pass did not call them: idle") == 1
    assert {str(one.message) for one in recwarn} == ({"of another package"} if jobs == 1 else set())


def test_a_folder_of_other_runs_is_refused():
    torch_grapes.compare(train, {"mine": dict(modulation="grapes", gain=3)}, 1, learning_rate=0.1, folder="a")

    def other(run):
        fit(run, epochs=3)

    for function, arm, rate, why in ((other, 3, 0.1, "the code of the training function has changed"), (train, 3, 0.2, "learning_rate was 0.1 and is 0.2"),
                                     (train, 2, 0.1, "the arm mine has other options")):
        with pytest.raises(ValueError, match=f"a has runs that differ from these: {why}"):
            torch_grapes.compare(function, {"mine": dict(modulation="grapes", gain=arm)}, 1, learning_rate=rate, folder="a")
    Path("b/arms").mkdir(parents=True)
    with pytest.raises(ValueError, match="b has runs, but no compare.json"):
        torch_grapes.compare(train, folder="b")


def test_by_default_another_function_gets_another_folder():
    def other(run):
        fit(run, epochs=3)

    folders = {torch_grapes.compare(function, ["bp"], 1).folder for function in (train, other, train)}
    assert len(folders) == 2 and {str(folder)[:11] for folder in folders} == {"runs/train-", "runs/other-"}


def test_only_one_process_works_on_a_folder():
    def inner(run):
        with pytest.raises(RuntimeError, match="another process is working on a"):
            torch_grapes.compare(inner, ["bp"], 1, folder="a")
        fit(run)

    torch_grapes.compare(inner, ["bp"], 1, folder="a")


WORDS = [
    (dict(arms=["grape"]), "unknown arm 'grape'; available: bp, fa"),
    (dict(arms="grapes"), "arms must be a list of names or a dictionary; got the text 'grapes'"),
    (dict(arms=[]), "arms is empty"),
    (dict(arms=["constant:x"]), "expected numbers after constant:"),
    (dict(arms=["ifa"]), "arm 'ifa': route ifa is not supported for existing models"),
    (dict(arms={"a/b": "bp"}), "is also the name of a folder, and cannot be 'a/b'"),
    (dict(arms={"mine": dict(gian=3)}), "arm 'mine' has the unknown option 'gian'; available: route, modulation"),
    (dict(arms={"mine": dict(modulation="grapes", gain=-1)}), "arm 'mine': gain must be above 0"),
    (dict(seeds=0), "seeds must be a number above 0"),
    (dict(seeds=[1, 1]), "a seed is named twice"),
    (dict(score="loss"), "score must be one of accuracy, r2, log_likelihood; got 'loss'"),
    (dict(jobs=0), "jobs must be at least 1; got 0"),
    (dict(tune=[0.1, -1]), "a learning rate must be a number above 0; got -1"),
    (dict(tune=[0.1], learning_rate=1.0), "either learning_rate or a grid"),
    (dict(train=3), "train must be a function that takes a torch_grapes.Run; got 3"),
    (dict(train=lambda: 0), "train is called with one argument"),
]


@pytest.mark.parametrize("options, words", WORDS, ids=[words[:30] for _, words in WORDS])
def test_invalid_options_are_explained(options, words):
    with pytest.raises(ValueError) as caught:
        torch_grapes.compare(**{"train": train, "folder": "a", **options})
    assert words in str(caught.value) and not Path("a").exists()


def test_a_training_function_that_does_too_little_is_explained():
    def sequential():
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))

    for function, words in (
            (lambda run: None, "did not call run.enable"),
            (lambda run: run.epoch(test_accuracy=1), "run.epoch.. was called before run.enable"),
            (lambda run: run.enable(sequential()) and None, "must have test_accuracy; it was not called"),
            (lambda run: (run.enable(sequential()), run.epoch(test_loss=1)) and None, "must have test_accuracy; got test_loss. For another measure"),
            (lambda run: [run.enable(sequential()) for _ in range(2)], "run.enable.. was called twice")):
        with pytest.raises(RuntimeError, match=words):
            torch_grapes.compare(function, ["bp"], 1)


def test_arms_have_the_names_of_the_program_and_options_of_convert():
    def half(m):
        return m / 2

    found = arms.options_of({"bp": "bp", "c": "constant:1.8,2", "fa+grapes": "fa+grapes", "half": half, "own": dict(gain=3, exclude="0")})
    assert found == {"bp": {"modulation": "none", "route": "bp"}, "c": {"modulation": "constant", "constants": (1.8, 2.0)},
                     "fa+grapes": {"route": "fa", "modulation": "grapes"}, "half": {"modulation": half}, "own": {"gain": 3, "exclude": "0"}}


def test_a_fingerprint_is_that_of_the_code():
    def made(text, name="f"):
        names = {"__name__": "somewhere"}
        exec(text, names)
        return fingerprint(names[name])

    base = "N = 3\ndef g(x):\n    return x + N\ndef f(x):\n    return [g(y) in {'a', 'b'} for y in x]\n"
    assert made(base) == made("# a comment\n\n" + base.replace("\ndef", "\n\n\ndef"))
    changed = [base.replace("N = 3", "N = 4"), base.replace("x + N", "x - N"), base.replace("'b'", "'c'"), base.replace("g(y) in", "g(y) not in")]
    assert len({made(base), *map(made, changed)}) == 5
    command = [sys.executable, "-c", f"from torch_grapes.comparing.fingerprint import fingerprint\n{base}print(fingerprint(f))"]
    hashes = {subprocess.run(command, env={**os.environ, "PYTHONPATH": str(PYTHON), "PYTHONHASHSEED": str(seed)}, check=True,
                             stdout=subprocess.PIPE).stdout for seed in (1, 2)}
    assert len(hashes) == 1


def test_what_is_missing_is_said(monkeypatch):
    result = torch_grapes.compare(train, ["bp", "grapes"], 2, folder="a")
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "there are no intervals, because SciPy is missing" in str(result) and result.differences()[0].interval is None
    assert "because the program grapes is not in PATH; with it, `grapes report a`" in str(result)
    assert "Matplotlib is missing" in result._repr_html_()
    with pytest.raises(FileNotFoundError, match="a has no page"):
        result.open()


def test_a_notebook_shows_tables_and_a_figure():
    pytest.importorskip("matplotlib")
    shown = torch_grapes.compare(train, ["bp", "grapes"], 2, folder="a")._repr_html_()
    assert shown.count("<table>") == 2 and "<svg" in shown and "<td>grapes − bp</td>" in shown


def test_bars_count_runs_on_a_terminal_only(monkeypatch):
    tqdm = pytest.importorskip("tqdm.auto")
    totals = []
    monkeypatch.setattr(tqdm, "tqdm", lambda **options: totals.append(options["total"]) or pytest.importorskip("unittest.mock").MagicMock())
    torch_grapes.compare(train, ["bp", "grapes"], 2, folder="a")
    assert totals == []
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    torch_grapes.compare(train, ["bp", "grapes"], 3, folder="a")
    assert totals == [2]


def test_processes_are_not_forked_when_the_gpu_is_in_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert pool._start_method() == "spawn"
    with pytest.raises(ValueError, match="must be defined in a module that other processes can import, because PyTorch already uses the GPU"):
        torch_grapes.compare(lambda run: fit(run), ["bp"], 1, folder="a", jobs=2)
