#!/usr/bin/env python3
"""Time the training step of `grapes bench cnn` in PyTorch and in Grapes, and print the ratios.

    python3 bench/peers/cnn.py build/grapes [--rounds 3] [--seconds 4] [--only "norm, grapes"] [--json]

The authors' nine-layer residual network on a batch of 64 pictures, 3 × 32 × 32, with and without batch normalization, in float32:
PyTorch's conv2d, max_pool2d, relu, cross_entropy, backward, and an in-place SGD that drops the gradients, with one thread. PyTorch runs in
three ways: eager in both memory formats, and compiled in channels_last. With GRAPES, an autograd function returns its input and multiplies
by the factor of each channel in the backward pass. The factors are computed once per step. Grapes is also timed with recomputation, and in
bf16 if the processor supports it.
"""
import functools

import turns  # before torch

import torch
import torch.nn.functional as F

CHANNELS = [3, 64, 128, 128, 128, 256, 512, 512, 512]
POOLED = {1, 4, 5}
BATCH = 64
RULES = ("bp", "grapes")


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
    return (2 * r / r.max()).clamp(1, 2)


def learner(norm, rule, layout, compile):
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
        if rule == "grapes":
            z = Modulate.apply(z, factor(weights[l]))
        if norm:
            z = F.batch_norm(z, *running[l], scales[l], shifts[l], training=True)
        h = F.relu(z)
        return F.max_pool2d(h, 2) if l in POOLED else h

    def loss_of(x, t):
        h = layer(1, layer(0, x))
        h = h + layer(3, layer(2, h))
        h = layer(5, layer(4, h))
        h = h + layer(7, layer(6, h))
        return F.cross_entropy(F.linear(F.max_pool2d(h, 4).flatten(1), head), t)

    if compile:
        loss_of = torch.compile(loss_of, fullgraph=True, dynamic=False)

    def step():
        loss_of(x, t).backward()
        with torch.no_grad():
            for parameter in [*weights, head, *scales, *shifts]:
                parameter.sub_(parameter.grad, alpha=1e-3)
                parameter.grad = None

    return step


def variant(timing):
    """Return what distinguishes a step of Grapes. PyTorch's steps are in float32 and store all activations."""
    return "recompute" if "recompute" in timing["case"] else timing["precision"]


def main():
    chosen = turns.options(__doc__, rounds=3, seconds=4)
    ways = {"eager": (torch.contiguous_format, False), "eager, channels_last": (torch.channels_last, False),
            "compiled, channels_last": (torch.channels_last, True)}
    if chosen.no_compile:
        del ways["compiled, channels_last"]
    theirs = {}
    for norm in (False, True):
        for rule in RULES:
            case = f"resnet9{', batch norm' if norm else ''}, {rule}"
            if chosen.only in case:
                theirs[case] = turns.ready({way: functools.partial(learner, norm, rule, *how) for way, how in ways.items()})

    def ours():
        found = {}
        for timing in turns.timings(chosen.program, "cnn", "--batch", BATCH, "--seconds", 2 * chosen.seconds):
            case = f"resnet9{', batch norm' if 'batch norm' in timing['case'] else ''}, {timing['rule']}"
            found.setdefault(case, {})[variant(timing)] = timing
        return found

    turns.take_turns(theirs, ours, chosen)


if __name__ == "__main__":
    main()
