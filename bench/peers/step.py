#!/usr/bin/env python3
"""Time the training step of `grapes bench mlp` in PyTorch and in Grapes, and print the ratios.

    python3 bench/peers/step.py build/grapes [--rounds 5] [--seconds 0.5] [--only "batch 64"] [--json]

The step in PyTorch has as little overhead as the public interface allows: one thread, F.linear, relu, cross_entropy, backward, and an
in-place update that drops the gradients. It runs in three ways: eager, with the update in a loop; eager, with the update by torch._foreach;
and compiled by torch.compile, with the update by torch._foreach. With GRAPES, an autograd function returns its input and multiplies by the
factor in the backward pass. The factor is computed once per step from W.abs().sum(1).
"""
import functools

import turns  # before torch

import torch
import torch.nn.functional as F

CASES = {
    "784-256-256-10, batch 64": {"nodes": [784, 256, 256, 10], "batch": 64},
    "784-256-256-10, batch 64, dropout": {"nodes": [784, 256, 256, 10], "batch": 64, "dropout": 0.1},
    "ten layers of 512, batch 64": {"nodes": [784] + 10 * [512] + [10], "batch": 64},
    "784-256-256-10, batch 8": {"nodes": [784, 256, 256, 10], "batch": 8},
    "784-256-256-10, batch 1": {"nodes": [784, 256, 256, 10], "batch": 1},
}
RULES = ("bp", "grapes")


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
    return (2 * r / r.max()).clamp(1, 2)


def in_a_loop(weights):
    for W in weights:
        W.sub_(W.grad, alpha=1e-5)


def by_foreach(weights):
    torch._foreach_add_(weights, [W.grad for W in weights], alpha=-1e-5)


def learner(rule, update, compile, nodes, batch, dropout=0.0):
    torch.manual_seed(1)
    weights = [torch.empty(out, n).uniform_(-((6 / n) ** 0.5), (6 / n) ** 0.5).requires_grad_() for n, out in zip(nodes, nodes[1:])]
    x = torch.randn(batch, nodes[0])
    t = torch.arange(batch) % nodes[-1]

    def loss_of(x, t, weights):
        h = x
        for W in weights[:-1]:
            z = F.linear(h, W)
            if rule == "grapes":
                z = Modulate.apply(z, factor(W))
            h = F.relu(z)
            if dropout > 0:
                h = F.dropout(h, dropout)
        return F.cross_entropy(F.linear(h, weights[-1]), t)

    if compile:
        loss_of = torch.compile(loss_of, fullgraph=True, dynamic=False)

    def step():
        loss = loss_of(x, t, weights)
        loss.backward()
        with torch.no_grad():
            update(weights)
        for W in weights:
            W.grad = None
        return loss.item()

    return step


def main():
    chosen = turns.options(__doc__, rounds=5, seconds=0.5)
    ways = {"eager": (in_a_loop, False), "eager, foreach": (by_foreach, False), "compiled": (by_foreach, True)}
    if chosen.no_compile:
        del ways["compiled"]
    for name, case in CASES.items():
        if chosen.only not in name:
            continue
        theirs = {f"{name}, {rule}": turns.ready({way: functools.partial(learner, rule, *how, **case) for way, how in ways.items()})
                  for rule in RULES}

        def ours():
            found = turns.timings(chosen.program, "mlp", "--seconds", 3 * chosen.seconds, "--batch", case["batch"],
                                  "--dropout", case.get("dropout", 0), "--nodes", "-".join(map(str, case["nodes"])))
            return {f"{name}, {timing['rule']}": {"": timing} for timing in found if timing["rule"] in RULES}

        turns.take_turns(theirs, ours, chosen)


if __name__ == "__main__":
    main()
