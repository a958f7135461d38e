#!/usr/bin/env python3
"""The training step of `grapes bench cnn` in PyTorch's eager mode, in turn with ours, and ours over theirs.

    /usr/bin/python3 bench/peers/cnn.py build/grapes [--rounds 3] [--seconds 8] [--json]

The authors' nine-layer residual network on a batch of 64 pictures, 3 x 32 x 32: PyTorch's conv2d, max_pool2d, relu,
cross_entropy, backward, and an in-place SGD that drops the gradients, one thread; the memory format that is faster of the
two. Ours also normalized (and theirs), recomputing, and in bf16. With GRAPES, an autograd function whose value is its input and whose backward pass multiplies by the factor of each
channel, made once a step. Each round times PyTorch in this process and then `grapes bench cnn` in its own; the ratio is
taken round by round, its median reported with the smallest and largest.
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

CHANNELS = [3, 64, 128, 128, 128, 256, 512, 512, 512]
POOLED = {1, 4, 5}
BATCH = 64


class Modulate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, m):
        ctx.save_for_backward(m)
        return z.view_as(z)

    @staticmethod
    def backward(ctx, error):
        return error * ctx.saved_tensors[0].view(1, -1, 1, 1), None


def factor(W):
    r = W.detach().abs().sum((1, 2, 3))
    return (2 * r / r.max()).clamp_(1, 2)


def learner(grapes, norm, layout):
    torch.manual_seed(1)
    weights = [torch.empty(out, n, 3, 3).uniform_(-1, 1).mul_((6 / (9 * n)) ** 0.5).contiguous(memory_format=layout).requires_grad_()
               for n, out in zip(CHANNELS, CHANNELS[1:])]
    head = torch.empty(10, 512).uniform_(-1, 1).mul_((6 / 512) ** 0.5).requires_grad_()
    scales = [torch.ones(n, requires_grad=True) for n in CHANNELS[1:]] if norm else []
    shifts = [torch.zeros(n, requires_grad=True) for n in CHANNELS[1:]] if norm else []
    running = [(torch.zeros(n), torch.ones(n)) for n in CHANNELS[1:]]
    x = torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=layout)
    t = torch.arange(BATCH) % 10

    def layer(l, h):
        z = F.conv2d(h, weights[l], padding=1)
        if grapes:
            z = Modulate.apply(z, factor(weights[l]))
        if norm:
            z = F.batch_norm(z, *running[l], scales[l], shifts[l], training=True)
        h = F.relu(z)
        return F.max_pool2d(h, 2) if l in POOLED else h

    def step():
        h = layer(1, layer(0, x))
        h = h + layer(3, layer(2, h))
        h = layer(5, layer(4, h))
        h = h + layer(7, layer(6, h))
        F.cross_entropy(F.linear(F.max_pool2d(h, 4).flatten(1), head), t).backward()
        with torch.no_grad():
            for parameter in [*weights, head, *scales, *shifts]:
                parameter.sub_(parameter.grad, alpha=1e-3)
                parameter.grad = None

    return step


def seconds_of(step, times):
    step()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        step()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grapes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    layouts = (torch.contiguous_format, torch.channels_last)
    kinds = ("float32", "batch norm", "recompute", "bf16")  # of ours; theirs is in float32 and keeps everything
    rules = (False, True)
    theirs = {(norm, grapes): [] for norm in (False, True) for grapes in rules}
    ours = {(kind, grapes): [] for kind in kinds for grapes in rules}
    for _ in range(options.rounds):
        for norm, grapes in theirs:
            theirs[norm, grapes].append(min(seconds_of(learner(grapes, norm, layout), 3) for layout in layouts))
        report = subprocess.run([options.grapes, "bench", "cnn", "--threads", "1", "--seconds", str(options.seconds), "--json"],
                                check=True, capture_output=True, text=True)
        for line in report.stdout.splitlines():
            timing = json.loads(line)
            kind = next((kind for kind in kinds[1:3] if kind in timing["case"]), timing["precision"])
            ours[kind, timing["rule"] == "grapes"].append(timing["step_us"] / 1e6)
    for kind, grapes in ours:
        mine, norm = ours[kind, grapes], kind == "batch norm"
        over = lambda other: [a / b for a, b in zip(mine, other)]
        ratios = over(theirs[norm, grapes])
        result = {"kind": kind, "rule": "grapes" if grapes else "bp", "ours_s": statistics.median(mine),
                  "theirs_s": statistics.median(theirs[norm, grapes]), "ratio": statistics.median(ratios),
                  "low": min(ratios), "high": max(ratios), "rounds": len(ratios),
                  "over_plain": statistics.median(over(theirs[norm, False]))}
        if options.json:
            print(json.dumps(result))
        else:
            print(f"resnet9, {kind:10} {result['rule']:7} ours {result['ours_s']:.3f} s, PyTorch {result['theirs_s']:.3f} s: "
                  f"{result['ratio']:.3f} [{result['low']:.3f}, {result['high']:.3f}], over PyTorch without GRAPES "
                  f"{result['over_plain']:.3f}")


if __name__ == "__main__":
    main()
