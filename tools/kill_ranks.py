#!/usr/bin/env python3
"""Kill random processes of a training again and again, and compare its result with that of an undisturbed one.

    kill_ranks.py GRAPES [--kills 20] [--processes 3] [--seed 1]

Trains with `grapes launch --restarts`, sends SIGKILL to a random rank after a random time, and does so until a training was
disturbed KILLS times. The checkpoints and the metrics must equal those of a training that nobody disturbed.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

TRAIN = ["train", "--quiet", "--model", "mlp:200,200", "--modulation", "grapes", "--dropout", "0.1", "--epochs", "60",
         "--batch-size", "128", "--optimizer", "adam", "--learning-rate", "0.0005"]
TIMES = ["seconds", "evaluation_seconds"]


def ranks(launch):
    """Return the processes that a launch has started."""
    try:
        return [int(one) for one in pathlib.Path(f"/proc/{launch.pid}/task/{launch.pid}/children").read_text().split()]
    except OSError:
        return []


def result(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return ((folder / "checkpoints/best.safetensors").read_bytes(),
            [{name: value for name, value in row.items() if name not in TIMES} for row in rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("grapes", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        launch = [given.grapes.resolve(), "launch", "-n", str(given.processes), "--timeout", "30", "--restarts", str(given.kills)]
        start = time.monotonic()
        subprocess.run([*launch, "--", *TRAIN, "--out", folder / "whole"], check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - start
        killed, trainings = 0, 0
        while killed < given.kills:
            run = folder / f"run{trainings}"
            trainings += 1
            running = subprocess.Popen([*launch, "--", *TRAIN, "--out", run], stdout=subprocess.DEVNULL)
            while running.poll() is None:
                time.sleep(draw.uniform(0.2, 1) * seconds / 3)
                alive = ranks(running)
                if killed < given.kills and len(alive) == given.processes:
                    victim = draw.randrange(len(alive))
                    subprocess.run(["kill", "-9", str(alive[victim])], check=False)
                    killed += 1
                    print(f"kill {killed}: rank {victim}", flush=True)
            if running.returncode != 0:
                sys.exit(f"training {trainings} ended with exit code {running.returncode}")
            if result(run) != result(folder / "whole"):
                sys.exit(f"training {trainings} differs from the undisturbed one")
            halves = [file for file in run.rglob("*") if file.suffix == ".part"]
            if halves:
                sys.exit(f"files that are not complete: {halves}")
    print(f"{killed} kills in {trainings} trainings of {given.processes} processes: results equal the undisturbed one")


if __name__ == "__main__":
    main()
