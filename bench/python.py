#!/usr/bin/env python3
"""Time the cost of torch_grapes.enable() per training step: the same model with and without it, in turn.

    OPENBLAS_NUM_THREADS=1 PYTHONPATH=build/python /usr/bin/python3 bench/python.py [--rounds 15] [--steps 100] [--compile] [--json]

784-256-256-10 and a small residual network, batch 64, float32, SGD, cross-entropy, one thread. Both models take a step in
turn, in alternating order, so that noise affects both alike. A round gives the ratio of the two medians. The script
prints the median, the smallest and the largest ratio. With --compile both models are compiled by torch.compile.
"""
import argparse
import json
import statistics
import time

import torch
import torch_grapes
from torch import nn


def mlp():
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)), (64, 784)


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.skip = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.skip(x))


def resnet():
    return nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True), Residual(16, 16, 1),
                         Residual(16, 32, 2), Residual(32, 64, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)), (64, 3, 32, 32)


def learner(make, modulation, compile):
    torch.manual_seed(1)
    model, shape = make()
    if modulation != "bp":
        torch_grapes.enable(model, modulation)
    if compile:
        model = torch.compile(model, dynamic=False)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    x, t = torch.randn(shape), torch.arange(shape[0]) % 10

    def step():
        begin = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(x), t).backward()
        optimizer.step()
        return (time.perf_counter() - begin) * 1e6

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=100, help="steps of each model per round; the residual network takes a tenth of them")
    parser.add_argument("--compile", action="store_true", help="compile both models by torch.compile")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, make, steps in (("784-256-256-10", mlp, options.steps), ("resnet", resnet, max(2, options.steps // 10))):
        for modulation in ("grapes", "grapes-local"):
            both = [learner(make, arm, options.compile) for arm in ("bp", modulation)]
            ratios, medians = [], ([], [])
            for _ in range(3):
                both[0](), both[1]()
            for _ in range(options.rounds):
                times = ([], [])
                for step in range(steps):
                    for k in (0, 1) if step % 2 else (1, 0):
                        times[k].append(both[k]())
                for k in (0, 1):
                    medians[k].append(statistics.median(times[k]))
                ratios.append(medians[1][-1] / medians[0][-1])
            row = {"model": name, "batch": 64, "modulation": modulation, "compiled": options.compile, "pytorch": torch.__version__,
                   "rounds": options.rounds, "steps": steps,
                   "without_us": statistics.median(medians[0]), "with_us": statistics.median(medians[1]),
                   "ratio": statistics.median(ratios), "smallest": min(ratios), "largest": max(ratios)}
            if options.json:
                print(json.dumps(row), flush=True)
            else:
                print(f"{name:<15} {modulation:<12} without {row['without_us']:8.0f} µs  with {row['with_us']:8.0f} µs  "
                      f"ratio {row['ratio']:.3f} [{row['smallest']:.3f}, {row['largest']:.3f}]", flush=True)


if __name__ == "__main__":
    main()
