#!/usr/bin/env python3
"""Train on several hosts that are network namespaces of this machine, slow a link and cut a link during the training.

    hosts.py GRAPES [--hosts 2]

Needs root. Each host has its own address (tools/link.py). The result must equal that of one process, also if a link
becomes slow in the middle of a step; after a cut, every process must end within the timeout and name a process that it
cannot reach.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import link

TIMEOUT = 10  # seconds
TRAIN = ["train", "--quiet", "--model", "mlp:100", "--precision", "float64", "--modulation", "grapes", "--timeout", str(TIMEOUT)]


def losses(run):
    file = run / "metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [row["validation_loss"] for row in rows]


def wait_for_epochs(processes, run, epochs):
    while len(losses(run)) <= epochs:
        if any(process.poll() is not None for process in processes):
            sys.exit("a process ended too early")
        time.sleep(0.01)


def require_good(processes):
    for process in processes:
        _, said = process.communicate()
        if process.returncode != 0:
            sys.exit(f"a process ended with exit code {process.returncode}: {said}")


def require_equal(one, many, words):
    if len(one) != len(many):
        sys.exit(f"{words}: {len(many)} epochs instead of {len(one)}")
    apart = max(abs(a - b) for a, b in zip(one, many))
    print(f"{words}: the losses differ from those of one process by at most {apart:.1e}")
    if apart > 1e-12:
        sys.exit("the losses differ by more than 1e-12")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("grapes", type=pathlib.Path)
    parser.add_argument("--hosts", type=int, default=2)
    given = parser.parse_args()
    grapes = given.grapes.resolve()
    with tempfile.TemporaryDirectory() as folder, link.Network(given.hosts, latency=2e-4) as network:
        folder = pathlib.Path(folder)

        def start(*options):
            return network.start([grapes, *TRAIN, *options], cwd=folder, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

        subprocess.run([grapes, *TRAIN, "--epochs", "4", "--out", "one"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        one = losses(folder / "one")
        require_good(start("--epochs", "4", "--out", "many"))
        require_equal(one, losses(folder / "many"), f"{given.hosts} hosts")

        processes = start("--epochs", "4", "--out", "slow")
        wait_for_epochs(processes, folder / "slow", 1)
        slowed = time.monotonic()
        network.set(given.hosts - 1, rate=5e6, latency=0.03)  # the last host
        wait_for_epochs(processes, folder / "slow", 2)
        print(f"an epoch took {time.monotonic() - slowed:.1f} s after the last host's link became slow")
        network.set(given.hosts - 1, latency=2e-4)
        require_good(processes)
        require_equal(one, losses(folder / "slow"), "a slow link")

        processes = start("--epochs", "100000", "--out", "cut")
        wait_for_epochs(processes, folder / "cut", 2)
        network.cut[-1] = True
        cut = time.monotonic()
        for process in processes:
            _, said = process.communicate()
            print(f"{time.monotonic() - cut:4.1f} s after the cut, exit code {process.returncode}: {said.strip()}")
            if process.returncode != 1 or not re.search(r"rank \d+ of \d+ .*does not answer", said) or time.monotonic() - cut > TIMEOUT:
                sys.exit("it did not end in time with the reason")


if __name__ == "__main__":
    main()
