#!/usr/bin/env python3
"""Kill random workers of a study, and compare what the others write with an undisturbed run.

    kill_workers.py GRAPES [--kills 50] [--workers 3] [--seed 1] [--folder FOLDER]

A study with tuning runs in one process. Then workers share the same study in other folders. At random times one that has begun
a run is killed by SIGKILL, and another starts. The study is repeated until enough workers were killed. Afterward each folder must have the
same files as the undisturbed one, and apart from measured times the same metrics, checkpoints and report. No run may have come to
its end twice.
"""
import argparse
import collections
import glob
import json
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

STUDY = """
arms = ["bp", "grapes"]
seeds = 3
epochs = 20
model = "mlp:32,32"
dropout = 0.1
train-limit = 1000
test-limit = 200
validation-split = 100
jobs = 1
tune = true
grid = [0.05, 0.1]
tune-epochs = 2
"""
TIMES = ("seconds", "evaluation_seconds")


def rows(run):
    """Return the rows of a run's metrics without times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in lines]


def files(folder):
    """Return the files of a study, without the logs of its processes."""
    return {path.relative_to(folder) for path in folder.rglob("*")
            if path.relative_to(folder).parts[0] not in ("log.txt", "logs") and path.name != "workers"}


def report_without_times(grapes, folder):
    """Return the bytes of the report of a copy of the study in which nothing took any time."""
    with tempfile.TemporaryDirectory() as copy:
        copy = pathlib.Path(copy) / "study"
        shutil.copytree(folder, copy)
        for metrics in copy.rglob("metrics.jsonl"):
            metrics.write_text("".join(json.dumps({**row, "seconds": 1, "evaluation_seconds": 1}) + "\n" for row in rows(metrics.parent)))
            env = metrics.parent / "env.json"
            env.write_text(json.dumps({**json.loads(env.read_text()), "time": "never"}))
        subprocess.run([grapes, "report", copy], check=True, stdout=subprocess.DEVNULL)
        return [(copy / name).read_bytes() for name in ("report.html", "summary.json", "picture.svg")]


def without_times(checkpoint):
    """Return header and data of a safetensors file; the state of a sequence of tasks says how many seconds each took."""
    content = checkpoint.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return re.sub(rb'seconds\\":[-+.e0-9]+', b"", content[8:end]).rstrip(), content[end:]


def check(grapes, whole, shared):
    """Compare a study of many workers with the undisturbed one."""
    assert files(shared) == files(whole), f"other files: {sorted(map(str, files(shared) ^ files(whole)))}"
    assert not (shared / "workers").exists(), "the folder of the workers is left"
    for metrics in sorted(whole.rglob("metrics.jsonl")):
        run = metrics.parent.relative_to(whole)
        assert rows(whole / run) == rows(shared / run), f"{run}: other metrics"
        assert json.loads((shared / run / "status.json").read_text())["state"] == "finished", run
        for file in (whole / run).glob("checkpoints/*"):
            name = file.relative_to(whole)
            assert without_times(file) == without_times(shared / name), f"{name} differs"
    ends = collections.Counter(line.split(" ", 1)[1] for log in (shared / "logs").iterdir()
                               for line in log.read_text().splitlines() if ", seed " in line and "comparing" in line)
    assert all(count == 1 for count in ends.values()), f"came to the end twice: {ends}"
    page = (shared / "report.html").read_bytes()
    subprocess.run([grapes, "report", shared], check=True, stdout=subprocess.DEVNULL)
    assert (shared / "report.html").read_bytes() == page, "the report is not that of the records"
    assert report_without_times(grapes, shared) == report_without_times(grapes, whole), "the report differs"


def has_run(folder, worker):
    """Return whether a worker has a claim on a run."""
    def signed(path):
        try:
            return f"-{worker.pid}-" in pathlib.Path(path).read_text()
        except FileNotFoundError:  # another worker has ended its run
            return False
    return any(map(signed, glob.glob(f"{folder}/**/*.claims/*/worker", recursive=True)))


def disturbed(grapes, file, folder, workers, kills, rng):
    """Run the study with workers of which at most `kills` are killed. Return how many were, and how many of them had a run."""
    command = [grapes, "run", file, "--out", folder, "--shard", "auto", "--heartbeat", "0.5", "--quiet"]
    start = lambda: subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    running, killed, with_run = [start() for _ in range(workers)], 0, 0
    while killed < kills and all(one.poll() is None for one in running):
        busy = [one for one in running if has_run(folder, one)]
        time.sleep(rng.uniform(0.01, 0.5))
        if busy and all(one.poll() is None for one in running):
            victim = rng.choice(busy)
            victim.send_signal(signal.SIGSTOP)  # so that it does not end the run while its claims are read
            with_run += has_run(folder, victim)
            victim.kill()
            victim.communicate()
            running.remove(victim)
            running.append(start())
            killed += 1
    for one in running:
        said = one.communicate(timeout=600)[1]
        assert one.returncode == 0, f"a worker failed: {said}"
    return killed, with_run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grapes")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="keep the studies in this folder")
    options = parser.parse_args()
    grapes = str(pathlib.Path(options.grapes).resolve())
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(options.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "study.toml").write_text(STUDY)
        subprocess.run([grapes, "run", folder / "study.toml", "--out", folder / "whole", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        killed, with_run, studies = 0, 0, 0
        while killed < options.kills:
            studies += 1
            shared = folder / f"shared-{studies}"
            now = disturbed(grapes, folder / "study.toml", shared, options.workers, options.kills - killed, rng)
            killed, with_run = killed + now[0], with_run + now[1]
            check(grapes, folder / "whole", shared)
            print(f"study {studies}: {killed} workers killed so far; equal", flush=True)
    print(f"{killed} workers killed in {studies} studies, {with_run} of them during a run; all studies equal the undisturbed one")


if __name__ == "__main__":
    sys.exit(main())
