#!/usr/bin/env python3
"""Accuracy of inference and learning in integers on the embedded digits: float, 16 and 8 bits; bp and grapes.

    accuracy.py [--grapes build/grapes] [--net mlp:32] [--seeds 5] [--passes 5]

Inference: per seed, a network is trained for 20 epochs in float, then evaluated in float and in integers. Learning: a network
that was trained for a single epoch continues, one example at a time, for PASSES passes, in float (batch of 1) and in
integers. The rate is 2^-5 or 2^-6, whichever has the better mean on validation data over all seeds for this arm. Examples come in
the order of the file. The script prints mean and standard deviation of the test accuracy, and the paired difference from float.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHIFTS = [5, 6]


def spread(values):
    return f"{statistics.mean(values):6.2f} ± {statistics.stdev(values):.2f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--grapes", default=os.environ.get("GRAPES", HERE.parents[1] / "build" / "grapes"))
    parser.add_argument("--net", default="mlp:32")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--passes", type=int, default=5)
    options = parser.parse_args()
    seeds = range(1, options.seeds + 1)

    def ask(*arguments):
        done = subprocess.run([str(word) for word in (options.grapes, "--quiet", *arguments, "--json")], capture_output=True,
                              text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        return json.loads(done.stdout)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        def trained(seed, epochs):
            saved = folder / f"{seed}-{epochs}.safetensors"
            if not saved.exists():
                ask("train", "--model", options.net, "--epochs", epochs, "--order", "file", "--seed", seed, "--out", saved.with_suffix(""),
                    "--save", saved)
            return saved

        def integers(seed, epochs, bits, part, *more):
            return ask("export", "c", trained(seed, epochs), "--out", folder / "net.h", "--weight-bits", bits, "--evaluate", part,
                       *more)["accuracy"]

        real = {}  # trained float networks, which are scored on all parts at once

        def learned(seed, rule, bits, shift, part):
            if bits == "float":
                out = folder / f"{seed}-{rule}-{shift}"
                last = real.get(out) or ask("train", "--model", options.net, "--modulation", {"bp": "none"}.get(rule, rule), "--init",
                           trained(seed, 1), "--batch-size", 1, "--learning-rate", 2.0**-shift, "--epochs", options.passes, "--order",
                           "file", "--seed", seed, "--out", out)["last"]
                real[out] = last
                return last[f"{part}_accuracy"]
            return integers(seed, 1, bits, part, "--learn", "--rule", rule, "--rate-shift", shift, "--rehearse",
                            options.passes)["rehearsed"][-1]

        def percent(get):
            return [100 * get(seed) for seed in seeds]

        first = percent(lambda seed: integers(seed, 20, 16, "test")["float"])
        print(f"test accuracy in %, {options.net}, n = {options.seeds} seeds; trained in float:")
        print(f"  float    {spread(first)}")
        for bits in (16, 8):
            there = percent(lambda seed: integers(seed, 20, bits, "test")["integers"])
            print(f"  {bits:>2} bits  {spread(there)}   against float {spread([a - b for a, b in zip(there, first)])}")
        print(f"begun in float, then {options.passes} passes, one example at a time:")
        for rule in ("bp", "grapes"):
            base = None
            for bits in ("float", 16, 8):
                shift = max(SHIFTS, key=lambda s: statistics.mean(percent(
                    lambda seed: learned(seed, rule, bits, s, "validation"))))
                there = percent(lambda seed: learned(seed, rule, bits, shift, "test"))
                base = base or there
                against = "" if bits == "float" else f"   against float {spread([a - b for a, b in zip(there, base)])}"
                arm = "float" if bits == "float" else f"{bits:>2} bits"
                print(f"  {rule:<6}  {arm:<7}  rate 2^-{shift}  {spread(there)}{against}", flush=True)


if __name__ == "__main__":
    main()
