"""Runs the examples."""
import importlib.util
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from torch_grapes import library

ROOT = Path(__file__).parents[2]
needs_fashion = pytest.mark.skipif(
    not any((Path(folder) / "fashion-mnist" / "train-images-idx3-ubyte.gz").exists()
            for folder in (os.environ.get("GRAPES_DATA", "/usr/share/datasets"), "/usr/share/datasets")),
    reason="fashion-mnist is missing (package dataset-fashion-mnist)")


def run(name, *arguments, **options):
    path = os.pathsep.join([str(ROOT / "python"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1",
                   "GRAPES_LIBRARY": "none" if library.compiled is None else str(library.path)}
    done = subprocess.run([sys.executable, str(ROOT / "examples" / "python" / name), *map(str, arguments)],
                          env=environment, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_first_is_a_complete_program_of_at_most_fifteen_lines():
    text = (ROOT / "examples" / "python" / "first.py").read_text()
    assert len(text.splitlines()) <= 15
    said = run("first.py")
    assert "  0  modulated" in said
    assert float(re.search(r"training accuracy ([\d.]+)%", said)[1]) > 90


@needs_fashion
def test_fashion():
    said = run("fashion.py", "--steps", 60)
    right = [float(percent) for percent in re.findall(r"([\d.]+)% of 2,000", said)]
    assert len(right) == 2 and min(right) > 40
    assert said.count("factors of") == 5 and said.count("2.00, mean") == 5
    assert [float(percent) for percent in re.findall(r"([\d.]+)% of 2,000", run("fashion.py", "--steps", 60, "--modulation", "none"))] != right


def test_char_lstm_reproduces_its_text():
    said = run("char_lstm.py")
    assert "the error at each unit is scaled by the weight that arrives at it." in said


def test_own_rule():
    assert run("own_rule.py") == "grapes [0.5, 1.0, 2.0]\nreflected [1.833, 1.333, 0.333]\n"


def played(midi, steps):
    """Return the notes of each step of a MIDI file with one track, read by the description of the format."""
    assert midi[:14] == b"MThd\0\0\0\6\0\0\0\1" + midi[12:14] and midi[14:18] == b"MTrk"
    ticks, length = struct.unpack(">H", midi[12:14])[0], struct.unpack(">I", midi[18:22])[0]
    assert len(midi) == 22 + length
    since, notes, at, time = {}, [[] for _ in range(steps)], 22, 0
    while at < len(midi):
        wait, more = 0, True
        while more:
            wait, more, at = wait << 7 | midi[at] & 127, midi[at] >= 128, at + 1
        time += wait
        status, note = midi[at], midi[at + 1]
        if status == 0xFF:
            assert note != 0x2F or at + 3 == len(midi)
            at += 3 + midi[at + 2]
            continue
        if status == 0x90:
            assert note not in since
            since[note] = time // ticks
        else:
            assert status == 0x80
            for t in range(since.pop(note), time // ticks):
                notes[t].append(note)
        at += 3
    assert not since, "a note never ends"
    return [sorted(step) for step in notes]


def test_chorale_is_continued(tmp_path):
    # Pieces in which every step is the previous one, a note higher, which is easy to predict.
    pieces = [[[low + t % 12, low + 7 + t % 12] for t in range(14)] for low in range(40, 50)]
    (tmp_path / "notes.json").write_text(json.dumps({"train": pieces[1:], "valid": pieces[:1], "test": pieces[:1]}))
    arguments = ("chorale.py", tmp_path / "notes.json", tmp_path / "a.mid", "--epochs", 3, "--prime", 4, "--steps", 6)
    said = run(*arguments)
    assert "4 steps of Bach, then 6 of the network" in said
    losses = [float(loss) for loss in re.findall(r"epoch \d: ([\d.]+) nats", said)]
    assert len(losses) == 3 and losses[2] < losses[0]
    midi = (tmp_path / "a.mid").read_bytes()
    steps = played(midi, 10)
    assert steps[:4] == [sorted(step) for step in pieces[0][:4]]
    assert "<svg" in (tmp_path / "a.svg").read_text()
    run(*arguments)
    assert (tmp_path / "a.mid").read_bytes() == midi  # with the same seed


@needs_fashion
def test_learning_curve_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    said = run("learning_curve.py", tmp_path / "curves.png", "--seeds", 2, "--steps", 60)
    assert [line.split()[0] for line in said.splitlines()] == ["bp", "grapes", "uniform"]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "curves.png").stat().st_size > 10000


def test_the_notebook_compares_arms_that_start_alike(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    stats = pytest.importorskip("scipy.stats")
    book = json.loads((ROOT / "examples" / "python" / "first_comparison.ipynb").read_text())
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert book["nbformat"] == 4 and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    monkeypatch.chdir(tmp_path)
    names = {}
    for cell in cells:
        source = "".join(cell["source"])
        if not source.startswith("%pip"):
            exec(compile(source, "first_comparison.ipynb", "exec"), names)  # as a kernel does: in one namespace, in order
    runs = {}
    for file in tmp_path.glob("runs/*/*/run.json"):
        run, rows = json.loads(file.read_text()), (file.parent / "metrics.jsonl").read_text().splitlines()
        assert json.loads((file.parent / "status.json").read_text())["state"] == "finished"
        runs[run["arm"], run["seed"]] = [json.loads(row) for row in rows]
    arms, seeds = {arm for arm, _ in runs}, {seed for _, seed in runs}
    assert arms == {"bp", "grapes", "constant", "uniform", "shuffled"} and len(seeds) >= 5 and len(runs) == len(arms) * len(seeds)
    assert not seeds & set(names["TUNING_SEEDS"])
    for seed in seeds:
        assert len({runs[arm, seed][0]["validation_loss"] for arm in arms}) == 1  # the same start
        assert len({runs[arm, seed][1]["validation_loss"] for arm in arms}) == len(arms)
    assert all("test_accuracy" not in row for rows in runs.values() for row in rows[:-1])
    for (arm, other), (mean, low, high) in {pair: names["difference"](*pair)[1:] for pair in names["COMPARED"]}.items():
        pairs = [100 * (runs[arm, seed][-1]["test_accuracy"] - runs[other, seed][-1]["test_accuracy"]) for seed in sorted(seeds)]
        interval = stats.ttest_1samp(pairs, 0).confidence_interval(0.95)
        assert (mean, low, high) == pytest.approx((sum(pairs) / len(pairs), interval.low, interval.high), abs=1e-9)
    if shutil.which("grapes"):
        summary = json.loads(next(tmp_path.glob("runs/*/summary.json")).read_text())
        reported = [d for d in summary["conditions"][0]["differences"] if d["measure"] == "test_accuracy"]
        assert {(d["arm"], d["against"]) for d in reported} >= {(arm, "bp") for arm in arms - {"bp"}}
        for d in reported:
            found = names["difference"](d["arm"], d["against"])[1:]
            assert [100 * d["mean"], *(100 * end for end in d["interval"])] == pytest.approx(found, abs=1e-6)
    names["figure"].savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 20000


#: Examples of compare(): the modules that they need, short arguments, the least mean score, and layers that are modulated.
COMPARED = {
    "compare_tabular.py": ("sklearn", ("--epochs", 3), 0.9, {"0", "2"}),
    "compare_resnet.py": ("torch", ("--epochs", 4, "--images", 800), 0.2, {"0", "3.path.0", "3.path.3", "4.shortcut", "5.path.3"}),
    "compare_lightning.py": ("lightning", ("--epochs", 6), 0.3, {"lstm"}),
    "compare_gpt.py": ("transformers", ("--steps", 40), -2.7, {"blocks.0.qkv", "blocks.0.project", "blocks.0.mlp.0", "blocks.1.mlp.2"}),
    "compare_snntorch.py": ("snntorch", ("--epochs", 2), 0.5, {"hidden"}),
    "compare_spikingjelly.py": ("spikingjelly", ("--epochs", 2), 0.5, {"0"}),
}


@pytest.mark.parametrize("name", COMPARED)
def test_examples_compare_the_rules_on_models_of_others(name, tmp_path):
    module, arguments, least, modulated = COMPARED[name]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is missing (make test-python installs it)")
    if name == "compare_resnet.py" and not list(Path(os.environ.get("GRAPES_DATA", "/none")).glob("cifar10/data_batch_1.bin*")):
        pytest.skip("cifar10 is missing (GRAPES_DATA)")
    said = run(name, "--seeds", 2, *arguments, cwd=tmp_path)
    assert re.search(r"^grapes − bp +2 +[+−]", said, re.MULTILINE) and "different" not in said and "failed" not in said
    scores = {}
    for file in tmp_path.glob("runs/*/arms/*/*/metrics.jsonl"):
        row = json.loads(file.read_text().splitlines()[-1])
        scores[file.parts[-3:-1]] = row.get("test_accuracy", row.get("test_log_likelihood"))
        assert {layer["name"].split(".l0")[0] for layer in row.get("layers", [])} >= (modulated if file.parts[-3] == "grapes" else set())
    assert len(scores) >= 6 and sum(scores.values()) / len(scores) > least
    assert len({scores[arm, "seed-1"] for arm in ("bp", "grapes")} | {scores[arm, "seed-2"] for arm in ("bp", "grapes")}) > 1
    assert ("Embedding" in said) == (name == "compare_gpt.py")
