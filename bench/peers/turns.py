"""Shared code of the scripts in this folder. It times training steps of other packages and of Grapes in turn.

A round times each step of the other packages in this process, and then runs `grapes bench` in a process of its own. Each round gives a
ratio, the time of Grapes divided by that of the other package. The scripts print the median, the smallest and the largest ratio. Compiling
and warming up are not timed.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # OpenBLAS has a thread count of its own and reads it once

import torch


def options(doc, rounds, seconds):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the program, build/grapes")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=float, default=seconds, help="timing of each step per round")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"PyTorch {torch.__version__}, one thread", file=sys.stderr)
    return chosen


def timings(program, verb, *arguments):
    """Return what `grapes bench` measured, a dictionary for each step."""
    command = [program, "bench", verb, "--json", *map(str, arguments)]
    return [json.loads(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()]


def ready(makers):
    """Return the steps that can be made and run here, by name. A package may be missing, or torch.compile may not support its code."""
    steps = {}
    for name, make in makers.items():
        try:
            step = make()
            step()
            step()
        except Exception as error:  # of any package
            print(f"  {name} is left out: {type(error).__name__}: {str(error).strip().splitlines()[0]}", file=sys.stderr)
        else:
            steps[name] = step
    return steps


def timed(step, seconds):
    """Repeat a step for this time, at least 3 times. Return the microseconds of each."""
    step()
    taken = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken) < 3:
        begin = time.perf_counter()
        step()
        taken.append(1e6 * (time.perf_counter() - begin))
    return taken


def take_turns(theirs, ours, chosen):
    """Time and print.

    theirs  {case: {way: step}}
    ours    function that returns {case: {variant: timing of `grapes bench`}}
    """
    times = {case: {way: [] for way in ways} for case, ways in theirs.items()}
    mine = {}
    for _ in range(chosen.rounds):
        for case, ways in theirs.items():
            for way, step in ways.items():
                times[case][way].append(timed(step, chosen.seconds))
        for case, variants in ours().items():
            for variant, timing in variants.items():
                mine.setdefault(case, {}).setdefault(variant, []).append(timing)
    for case, ways in times.items():
        rounds = {way: [statistics.median(taken) for taken in of_rounds] for way, of_rounds in ways.items()}
        fastest = min(rounds, key=lambda way: statistics.median(rounds[way]))
        for variant, timed_here in mine[case].items():
            us = [timing["step_us"] for timing in timed_here]
            for way in rounds:
                ratios = [a / b for a, b in zip(us, rounds[way])]
                row = {"case": case, "ours": variant, "theirs": way, "fastest": way == fastest, "pytorch": torch.__version__,
                       "ours_us": statistics.median(us), "theirs_us": statistics.median(rounds[way]),
                       "ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios), "rounds": chosen.rounds,
                       "ours_n": sum(timing["n"] for timing in timed_here), "theirs_n": sum(map(len, ways[way]))}
                show(row, chosen.json)


def show(row, as_json):
    if as_json:
        print(json.dumps(row), flush=True)
    else:
        print(f"{row['case']:<40} ours {row['ours']:<14} {row['ours_us']:10.1f} µs, {row['theirs']:<24} {row['theirs_us']:10.1f} µs: "
              f"{row['ratio']:.3f} [{row['low']:.3f}, {row['high']:.3f}], n = {row['ours_n']} and {row['theirs_n']}"
              f"{', their fastest' if row['fastest'] else ''}", flush=True)
