#!/usr/bin/env python3
"""The training steps of `grapes bench snn` in PyTorch's eager mode, in turn with ours, and ours over theirs.

    /usr/bin/python3 bench/peers/snn.py build/grapes [--rounds 5] [--seconds 2] [--json]

PyTorch in two ways: a loop over time of its own operations, the derivative of the step by an autograd function that is as
small as can be; and "by hand", the whole layer as one autograd function whose backward pass is written out, which is what
remains without leaving Python. Input products of all steps are one product in both. One thread, in-place SGD. Each round
times PyTorch in this process and then `grapes bench snn` in its own; the ratio is taken round by round, its median
reported with the smallest and largest. Memory: the most that tensors hold at one time in a step, PyTorch's by its
profiler, ours as the bench counts it.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # it has a count of its own, read once

import torch
import torch.nn.functional as F

CASES = [
    {"case": "784-256-256-10, T 25, random", "nodes": [784, 256, 256, 10], "steps": 25, "batch": 64, "density": 0.13, "recurrent": False},
    {"case": "88-150-88, recurrent, T 60, random", "nodes": [88, 150, 88], "steps": 60, "batch": 16, "density": 4 / 88, "recurrent": True},
]
DECAY, SLOPE = 0.8, 0.1


class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, error):
        return error * (1 - ctx.saved_tensors[0].tanh().square())


def loop(current, R, theta):
    s = y = torch.zeros_like(current[0])
    outputs = []
    for c in current:
        if R is not None:
            c = torch.addmm(c, y, R.t())
        s = F.leaky_relu(c + DECAY * s * (1 - y), SLOPE)
        y = Step.apply(s - theta)
        outputs.append(y)
    return torch.stack(outputs)


class Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, current, R, theta):
        s, y = torch.empty_like(current), torch.empty_like(current)
        for t in range(len(current)):
            a = current[t].clone()
            if t > 0:
                if R is not None:
                    a.addmm_(y[t - 1], R.t())
                a.addcmul_(s[t - 1], 1 - y[t - 1], value=DECAY)
            s[t] = F.leaky_relu(a, SLOPE)
            torch.gt(s[t], theta, out=y[t])
        ctx.save_for_backward(s, y, R, theta)
        return y

    @staticmethod
    def backward(ctx, error):
        s, y, R, theta = ctx.saved_tensors
        slope = 1 - (s - theta).tanh_().square_()
        delta = torch.empty_like(s)
        to_s, to_y = torch.zeros_like(s[0]), torch.zeros_like(s[0])
        at_threshold = torch.zeros_like(theta)
        for t in range(len(s) - 1, -1, -1):
            at_y = (error[t] + to_y) * slope[t]
            at_threshold -= at_y.sum(0)
            d = at_y.add_(to_s)
            d = torch.where(s[t] > 0, d, SLOPE * d)
            delta[t] = d
            if t > 0:
                to_s = DECAY * d * (1 - y[t - 1])
                to_y = -DECAY * d * s[t - 1]
                if R is not None:
                    to_y.addmm_(d, R)
        gradient = None
        if R is not None:
            gradient = delta[1:].flatten(0, 1).t().mm(y[:-1].flatten(0, 1))
        return delta, gradient, at_threshold


def learner(case, layer):
    torch.manual_seed(1)
    nodes = case["nodes"]

    def weight(out, n):
        return torch.empty(out, n).uniform_(-((6 / n) ** 0.5), (6 / n) ** 0.5).requires_grad_()

    weights = [weight(out, n) for n, out in zip(nodes, nodes[1:])]
    spiking = len(weights) - case["recurrent"]
    thetas = [torch.ones(n).requires_grad_() for n in nodes[1:1 + spiking]]
    loops = [weight(n, n) if case["recurrent"] else None for n in nodes[1:1 + spiking]]
    x = (torch.rand(case["steps"], case["batch"], nodes[0]) < case["density"]).float()
    t = torch.arange(case["batch"]) % nodes[-1]
    parameters = weights + thetas + [R for R in loops if R is not None]

    def step():
        h = x
        for W, R, theta in zip(weights, loops, thetas):
            current = F.linear(h.flatten(0, 1), W).view(case["steps"], case["batch"], -1)
            h = layer(current, R, theta)
        if case["recurrent"]:
            logits = F.linear(h.flatten(0, 1), weights[-1])
            loss = F.binary_cross_entropy_with_logits(logits, x.flatten(0, 1), reduction="sum") / len(logits)
        else:
            loss = F.cross_entropy(h.mean(0), t)
        loss.backward()
        with torch.no_grad():
            for parameter in parameters:
                parameter.sub_(parameter.grad, alpha=1e-5)
                parameter.grad = None

    step.bytes = 4 * sum(tensor.numel() for tensor in [x, *parameters])
    return step


def held(step):
    """Most bytes of tensors in a step, inputs and weights among them."""
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        step()
    now = most = 0
    for event in sorted(profile.kineto_results.events(), key=lambda e: e.start_us()):
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return step.bytes + most


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grapes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ways = {"loop": loop, "by hand": Layer.apply}
    learners = {(case["case"], way): learner(case, layer) for case in CASES for way, layer in ways.items()}
    theirs = {key: [] for key in learners}
    ours = {}
    for _ in range(options.rounds):
        for key, step in learners.items():
            step()
            times = []
            begin = time.perf_counter()
            while time.perf_counter() - begin < options.seconds / 2 or len(times) < 5:
                start = time.perf_counter()
                step()
                times.append(1e6 * (time.perf_counter() - start))
            theirs[key].append(statistics.median(times))
        lines = subprocess.run([options.grapes, "bench", "snn", "--seconds", str(options.seconds), "--json"], check=True,
                               capture_output=True, text=True).stdout.splitlines()
        for timing in map(json.loads, lines):
            if timing["rule"] in ("bp", "grapes"):
                ours.setdefault((timing["case"], timing["variant"], timing["rule"]), []).append(timing)
    for (case, way), times in theirs.items():
        memory = held(learners[case, way])
        for (name, products, rule), timings in ours.items():
            if name != case:
                continue
            ratios = [timing["step_us"] / time for timing, time in zip(timings, times)]
            result = {"case": case, "products": products, "rule": rule, "pytorch": way,
                      "ours_us": statistics.median(t["step_us"] for t in timings), "theirs_us": statistics.median(times),
                      "ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios),
                      "ours_bytes": timings[0]["peak_bytes"], "theirs_bytes": memory, "rounds": len(ratios)}
            if options.json:
                print(json.dumps(result))
            else:
                print(f"{case:28} {products:7} {rule:7} over PyTorch {way:8} {result['ours_us'] / 1000:7.2f} ms /"
                      f" {result['theirs_us'] / 1000:7.2f} ms = {result['ratio']:.3f} [{result['low']:.3f}, {result['high']:.3f}],"
                      f" memory {result['ours_bytes'] / 1e6:.1f} MB / {memory / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
