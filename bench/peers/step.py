#!/usr/bin/env python3
"""The training step of `grapes bench mlp` in PyTorch's eager mode, in turn with ours, and ours over theirs.

    /usr/bin/python3 bench/peers/step.py build/grapes [--rounds 5] [--seconds 1] [--json]

PyTorch runs as tightly as its public interface allows: one thread, F.linear, relu, cross_entropy, backward, and an
in-place SGD that drops the gradients; with GRAPES, an autograd function whose value is its input and whose backward
pass multiplies by the factor, made once a step from W.abs().sum(1). Each round times PyTorch in this process and then
`grapes bench mlp` in its own; the ratio is taken round by round, its median reported with the smallest and largest.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # it has a count of its own, read once

import torch
import torch.nn.functional as F

CASES = [
    {"nodes": [784, 256, 256, 10], "batch": 64, "dropout": 0.0},
    {"nodes": [784, 256, 256, 10], "batch": 64, "dropout": 0.1},
    {"nodes": [784] + 10 * [512] + [10], "batch": 64, "dropout": 0.0},
    {"nodes": [784, 256, 256, 10], "batch": 8, "dropout": 0.0},
    {"nodes": [784, 256, 256, 10], "batch": 1, "dropout": 0.0},
]


class Modulate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, m):
        ctx.save_for_backward(m)
        return z.view_as(z)

    @staticmethod
    def backward(ctx, error):
        return error * ctx.saved_tensors[0], None


def factor(W):
    r = W.detach().abs().sum(1)
    return (2 * r / r.max()).clamp_(1, 2)


def learner(case, grapes):
    torch.manual_seed(1)
    nodes = case["nodes"]
    weights = [torch.empty(out, n).uniform_(-((6 / n) ** 0.5), (6 / n) ** 0.5).requires_grad_() for n, out in zip(nodes, nodes[1:])]
    x = torch.randn(case["batch"], nodes[0])
    t = torch.arange(case["batch"]) % nodes[-1]

    def step():
        h = x
        for W in weights[:-1]:
            z = F.linear(h, W)
            if grapes:
                z = Modulate.apply(z, factor(W))
            h = F.relu(z)
            if case["dropout"] > 0:
                h = F.dropout(h, case["dropout"])
        loss = F.cross_entropy(F.linear(h, weights[-1]), t)
        loss.backward()
        with torch.no_grad():
            for W in weights:
                W.sub_(W.grad, alpha=1e-5)
                W.grad = None
        return loss.item()

    return step


def median_us(step, seconds):
    for _ in range(5):
        step()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 10:
        begin = time.perf_counter()
        step()
        times.append((time.perf_counter() - begin) * 1e6)
    return statistics.median(times)


def ours_us(program, case, seconds):
    command = [program, "bench", "mlp", "--json", "--seconds", str(3 * seconds), "--batch", str(case["batch"]),
               "--dropout", str(case["dropout"]), "--nodes", "-".join(map(str, case["nodes"]))]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line["rule"]: line["step_us"] for line in map(json.loads, lines)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="the grapes program, e.g. build/grapes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="of timing per case, rule and round")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for case in CASES:
        theirs = {"bp": [], "grapes": []}
        ours = {"bp": [], "grapes": []}
        for _ in range(options.rounds):
            for rule in theirs:
                theirs[rule].append(median_us(learner(case, rule == "grapes"), options.seconds))
            for rule, us in ours_us(options.program, case, options.seconds).items():
                ours[rule].append(us)
        for rule in theirs:
            ratios = [a / b for a, b in zip(ours[rule], theirs[rule])]
            row = {
                "nodes": case["nodes"], "batch": case["batch"], "dropout": case["dropout"], "rule": rule,
                "pytorch": torch.__version__, "ours_us": statistics.median(ours[rule]),
                "theirs_us": statistics.median(theirs[rule]), "ours_over_theirs": statistics.median(ratios),
                "smallest": min(ratios), "largest": max(ratios), "rounds": options.rounds,
            }
            if options.json:
                print(json.dumps(row), flush=True)
            else:
                name = "-".join(map(str, case["nodes"])) if len(case["nodes"]) < 7 else f"784-{len(case['nodes']) - 2}x512-10"
                print(f"{name:<16} batch {row['batch']:<4} dropout {row['dropout']:<4} {rule:<7} ours {row['ours_us']:9.1f} µs  "
                      f"PyTorch {row['theirs_us']:9.1f} µs  ours/theirs {row['ours_over_theirs']:.3f} "
                      f"[{row['smallest']:.3f}, {row['largest']:.3f}]", flush=True)


if __name__ == "__main__":
    sys.exit(main())
