#!/usr/bin/env python3
"""Fit and check the model of docs/scaling.md: how long a training step in several processes takes over a given link.

    step_time.py GRAPES [--keep FILE] [--seconds 0.6] [--tries 2]

Needs root and SciPy. It runs `grapes bench dist` on 2 to 4 hosts of tools/link.py, fits the model's four numbers to half
of the settings by least squares of the relative error, compares the model with the other settings, and prints what it
predicts for more nodes. --keep FILE keeps each measurement as a line; those that it has are not repeated.
"""
import argparse
import itertools
import json
import math
import pathlib
import subprocess
import sys
import time

import numpy
import scipy.optimize

import link

# (hosts, Mbit/s, ms, model): the model is fitted to the first list and checked on the second, of which no setting of the
# link is in the first.
FITTED = [*itertools.product([2, 4], [50, 200], [0.1, 5], ["mlp:64", "mlp:512"]), (2, 200, 20, "mlp:1024,1024"), (2, 400, 0.1, "mlp:1024,1024"),
          (3, 200, 20, "mlp:64")]
CHECKED = [*itertools.product([2, 3, 4], [100, 400], [1, 20], ["mlp:128", "mlp:384"]), (2, 400, 5, "mlp:1024,1024"), (4, 400, 10, "mlp:1024,1024")]
BATCH = 16  # so small that the links, and not the two cores of a small machine, decide how long a step takes
NODES = [16, 256, 4096]
LINKS = [(1e9, 100e-6, "1 Gbit/s, 0.1 ms"), (10e9, 50e-6, "10 Gbit/s, 0.05 ms"), (100e9, 10e-6, "100 Gbit/s, 0.01 ms")]
# name, bytes of the gradients, buckets, seconds of one process alone
EXAMPLES = [("784-2048-2048-10", 23306240, 3, 0.25), ("25.6 million weights", 102228128, 25, 4.0)]


def measure(grapes, setting, seconds):
    """Return what `grapes bench dist` says about one setting, and the link's own latency and bandwidth.

    A link that differs from what was asked for, because the machine is busy, is measured again.
    """
    hosts, rate, latency, model = setting
    with link.Network(hosts, rate * 1e6, latency / 1e3) as network:
        for _ in range(20):
            found = link.probe(network, 0.3)
            if abs(found["rate"] / (rate * 1e6) - 1) < 0.1 and found["latency"] - latency / 1e3 < 1e-4 + latency / 1e4:
                break
            time.sleep(1)
        else:
            sys.exit(f"the machine is too busy for a link of {rate} Mbit/s and {latency} ms: it measures {found}")
        processes = network.start([grapes, "bench", "dist", "--model", model, "--batch", BATCH, "--seconds", seconds, "--json"],
                                  stdout=subprocess.PIPE, text=True)
        said = processes[0].communicate()[0]
        if any(process.wait() != 0 for process in processes):
            sys.exit(f"grapes bench dist failed at {setting}")
    return {"setting": list(setting), "link": found, **json.loads(said)}


def terms(processes, size, buckets, rate, latency):
    """Return what the model's numbers multiply: the seconds of a step besides those of one process are their product.

    Gloo sums by a ring: 2 (n - 1) times, each process sends 1 / n of a bucket to the next one. Two of its threads sum
    the buckets and the few numbers that go with them, so half of these sums wait for each other.
    """
    hops = 2 * (processes - 1) * math.ceil((buckets + 1) / 2)
    return numpy.array([hops * latency, 2 * (processes - 1) / processes * 8 * size / rate, hops, 1.0])


def terms_of(one):
    _, rate, latency, _ = one["setting"]
    return terms(one["processes"], one["bytes"], one["buckets"], rate * 1e6, latency / 1e3)


def step_of(numbers, one):
    return one["alone_us"] / 1e6 + terms_of(one) @ numbers


def fit(measured):
    steps = numpy.array([one["step_us"] / 1e6 for one in measured])
    rows = numpy.array([terms_of(one) for one in measured])
    wanted = steps - numpy.array([one["alone_us"] / 1e6 for one in measured])
    return scipy.optimize.nnls(rows / steps[:, None], wanted / steps)[0]  # each term is a cost


def table(numbers, measured):
    print(f"{'hosts':>5} {'Mbit/s':>7} {'ms':>5}  {'model':<14} {'alone':>9} {'step':>9} {'model':>9} {'error':>7}  link measured")
    errors = []
    for one in measured:
        hosts, rate, latency, model = one["setting"]
        step, said = one["step_us"] / 1e6, step_of(numbers, one)
        errors.append(abs(said / step - 1))
        print(f"{hosts:5} {rate:7g} {latency:5g}  {model:<14} {one['alone_us'] / 1e3:6.2f} ms {step * 1e3:6.1f} ms {said * 1e3:6.1f} ms "
              f"{100 * (said / step - 1):+6.1f}%  {one['link']['rate'] / 1e6:.0f} Mbit/s, {one['link']['latency'] * 1e3:.2f} ms")
    print(f"error: median {100 * numpy.median(errors):.1f} %, largest {100 * max(errors):.1f} %, within 15 %: "
          f"{sum(error <= 0.15 for error in errors)} of {len(errors)}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("grapes", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=0.6, help="of each measurement")
    parser.add_argument("--tries", type=int, default=2, help="measurements of each setting, of which the fastest counts")
    given = parser.parse_args()
    lines = given.keep.read_text().splitlines() if given.keep and given.keep.exists() else []
    known = {tuple(one["setting"]): one for one in map(json.loads, lines)}
    for setting in FITTED + CHECKED:
        if setting in known:
            continue
        tries = [measure(given.grapes.resolve(), setting, given.seconds) for _ in range(given.tries)]
        known[setting] = min(tries, key=lambda one: one["step_us"])  # other work on the machine only adds time
        if given.keep:
            with given.keep.open("a") as file:
                file.write(json.dumps(known[setting]) + "\n")
    numbers = fit([known[setting] for setting in FITTED])
    print("fitted:")
    table(numbers, [known[setting] for setting in FITTED])
    print("checked, not fitted:")
    table(numbers, [known[setting] for setting in CHECKED])
    a, b, c, d = numbers
    print("step = alone + a hops latency + b 2 (n - 1) / n bits / bandwidth + c hops + d,  hops = 2 (n - 1) ceil((buckets + 1) / 2)")
    print(f"a = {a:.2f}, b = {b:.2f}, c = {c * 1e6:.0f} µs, d = {d * 1e3:.2f} ms\n")
    print("predicted, not measured: seconds of a step (efficiency)")
    for name, size, buckets, alone in EXAMPLES:
        for rate, latency, words in LINKS:
            steps = [alone + terms(n, size, buckets, rate, latency) @ numbers for n in NODES]
            print(f"{name:<28} {words:<20} " + "  ".join(f"{n} nodes: {step:.3f} s ({alone / step:.2f})" for n, step in zip(NODES, steps)))


if __name__ == "__main__":
    main()
