#!/usr/bin/env python3
"""Train on several hosts that are network namespaces of this machine, and cut a link during the training.

    hosts.py GRAPES [--hosts 2]

Needs root. Each host has its own address on one bridge. The result must equal that of one process; after the cut, every
process must end within the timeout and name a process that it cannot reach.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

TIMEOUT = 10  # seconds
TRAIN = ["train", "--quiet", "--model", "mlp:100", "--precision", "float64", "--modulation", "grapes", "--timeout", str(TIMEOUT)]


def ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True)


def build(hosts, name):
    ip("link", "add", f"{name}br", "type", "bridge")
    ip("link", "set", f"{name}br", "up")
    for host in range(hosts):
        ip("netns", "add", f"{name}{host}")
        ip("link", "add", f"{name}v{host}", "type", "veth", "peer", "name", "eth0", "netns", f"{name}{host}")
        ip("link", "set", f"{name}v{host}", "master", f"{name}br", "up")
        ip("-n", f"{name}{host}", "addr", "add", f"10.77.0.{host + 1}/24", "dev", "eth0")
        for device in ["lo", "eth0"]:
            ip("-n", f"{name}{host}", "link", "set", device, "up")


def remove(hosts, name):
    for host in range(hosts):
        subprocess.run(["ip", "netns", "del", f"{name}{host}"], check=False)
    subprocess.run(["ip", "link", "del", f"{name}br"], check=False)


def start(grapes, hosts, name, folder, *options):
    """Start a process on each host."""
    return [subprocess.Popen(["ip", "netns", "exec", f"{name}{rank}", grapes, *TRAIN, *options], cwd=folder, text=True,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             env={**os.environ, "RANK": str(rank), "WORLD_SIZE": str(hosts), "MASTER_ADDR": "10.77.0.1"})
            for rank in range(hosts)]


def losses(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row["validation_loss"] for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("grapes", type=pathlib.Path)
    parser.add_argument("--hosts", type=int, default=2)
    given = parser.parse_args()
    grapes, name = given.grapes.resolve(), f"g{os.getpid() % 10000}"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        try:
            build(given.hosts, name)
            subprocess.run([grapes, *TRAIN, "--epochs", "3", "--out", "one"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            for process in start(grapes, given.hosts, name, folder, "--epochs", "3", "--out", "many"):
                if process.wait() != 0:
                    sys.exit(f"a process ended with exit code {process.returncode}: {process.stderr.read()}")
            apart = max(abs(a - b) for a, b in zip(losses(folder / "one"), losses(folder / "many")))
            print(f"{given.hosts} hosts: the losses differ from those of one process by at most {apart:.1e}")
            if apart > 1e-12:
                sys.exit("the losses differ by more than 1e-12")

            processes = start(grapes, given.hosts, name, folder, "--epochs", "100000", "--out", "cut")
            while not (folder / "cut/metrics.jsonl").exists() or len(losses(folder / "cut")) < 3:
                if any(process.poll() is not None for process in processes):
                    sys.exit("a process ended before the link was cut")
                time.sleep(0.1)
            ip("link", "set", f"{name}v{given.hosts - 1}", "down")  # the last host
            cut = time.monotonic()
            for process in processes:
                _, said = process.communicate()
                print(f"{time.monotonic() - cut:4.1f} s after the cut, exit code {process.returncode}: {said.strip()}")
                if process.returncode != 1 or not re.search(r"rank \d+ of \d+ .*does not answer", said) or time.monotonic() - cut > TIMEOUT:
                    sys.exit("it did not end in time with the reason")
        finally:
            remove(given.hosts, name)


if __name__ == "__main__":
    main()
