#!/usr/bin/env python3
"""Time the training steps of `grapes bench snn` in PyTorch, in spiking libraries and in Grapes, and print the ratios.

    python3 bench/peers/snn.py build/grapes [--rounds 5] [--seconds 0.5] [--only recurrent] [--json]

PyTorch is timed in two ways: "loop" is a loop over time of PyTorch's operations, with a small autograd function for the derivative of the
step; "by hand" is the whole layer as one autograd function with a hand-written backward pass. SpikingJelly, snnTorch, Norse and sinabs are
timed if they are installed (requirements.txt). Each uses its leaky integrate-and-fire neuron, which is reset to zero; their thresholds are
not learned, which is less work than in Grapes. All ways but "by hand" are also timed with layers that torch.compile has compiled. In every
way the input products of all time steps are one product. All steps use one thread and in-place SGD. Only Grapes is timed with GRAPES.

Memory is the most memory that tensors take at one time in a step: for PyTorch by its profiler, for Grapes as the bench counts it.
"""
import functools
import math
import sys

import turns  # before torch

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


def loop(R, theta):
    return functools.partial(in_a_loop, R=R, theta=theta)


def in_a_loop(current, R, theta):
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
            at_threshold -= at_y.sum(0).sum_to_size(theta.shape)
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


def by_hand(R, theta):
    return lambda current: Layer.apply(current, R, theta)


def over_time(cell, current, R):
    """Run a cell, (current, state) -> (spikes, state), over all time steps, with its spikes fed back through R."""
    y, state, outputs = None, None, []
    for c in current:
        y, state = cell(c if R is None or y is None else torch.addmm(c, y, R.t()), state)
        outputs.append(y)
    return torch.stack(outputs)


def spikingjelly(R, theta):
    from spikingjelly.activation_based import functional, neuron, surrogate
    node = neuron.LIFNode(tau=1 / (1 - DECAY), decay_input=False, surrogate_function=surrogate.ATan(), step_mode="m" if R is None else "s")

    def layer(current):
        functional.reset_net(node)
        return node(current) if R is None else over_time(lambda c, _: (node(c), None), current, R)

    return layer


def snntorch(R, theta):
    import snntorch
    node = snntorch.Leaky(beta=DECAY, reset_mechanism="zero")
    return lambda current: over_time(lambda c, state: node(c, torch.zeros_like(c) if state is None else state), current, R)


def norse(R, theta):
    from norse.torch import LIFBoxCell, LIFBoxParameters
    node = LIFBoxCell(LIFBoxParameters(tau_mem_inv=torch.tensor(1000 * (1 - DECAY))))  # time steps of 1 ms
    return lambda current: over_time(node, current, R)


def sinabs(R, theta):
    from sinabs.activation import MembraneReset, SingleSpike
    from sinabs.layers import LIF, LIFRecurrent
    settings = dict(tau_mem=-1 / math.log(DECAY), spike_fn=SingleSpike, reset_fn=MembraneReset(), norm_input=False)
    if R is None:
        node = LIF(**settings)
    else:
        feedback = torch.nn.Linear(*R.shape, bias=False)
        feedback.weight = R
        node = LIFRecurrent(rec_connect=feedback, **settings)
    for parameter in node.parameters():
        parameter.requires_grad_(parameter is R)

    def layer(current):
        node.reset_states()
        return node(current.transpose(0, 1)).transpose(0, 1)

    return layer


# Each makes a layer, currents [time, batch, unit] -> spikes, from the feedback R of the recurrent case and the thresholds θ.
LAYERS = {"loop": loop, "by hand": by_hand, "SpikingJelly": spikingjelly, "snnTorch": snntorch, "Norse": norse, "sinabs": sinabs}


def learner(case, layer_of, compile=False):
    torch.manual_seed(1)
    nodes = case["nodes"]

    def weight(out, n):
        return torch.nn.Parameter(torch.empty(out, n).uniform_(-((6 / n) ** 0.5), (6 / n) ** 0.5))

    weights = [weight(out, n) for n, out in zip(nodes, nodes[1:])]
    spiking = len(weights) - case["recurrent"]
    thetas = [torch.ones(n).requires_grad_() for n in nodes[1:1 + spiking]]
    loops = [weight(n, n) if case["recurrent"] else None for n in nodes[1:1 + spiking]]
    layers = [layer_of(R, theta) for R, theta in zip(loops, thetas)]
    if compile:
        layers = [torch.compile(layer, dynamic=False) for layer in layers]
    x = (torch.rand(case["steps"], case["batch"], nodes[0]) < case["density"]).float()
    t = torch.arange(case["batch"]) % nodes[-1]
    parameters = weights + thetas + [R for R in loops if R is not None]

    def step():
        h = x
        for W, layer in zip(weights, layers):
            h = layer(F.linear(h.flatten(0, 1), W).view(case["steps"], case["batch"], -1))
        if case["recurrent"]:
            logits = F.linear(h.flatten(0, 1), weights[-1])
            loss = F.binary_cross_entropy_with_logits(logits, x.flatten(0, 1), reduction="sum") / len(logits)
        else:
            loss = F.cross_entropy(h.mean(0), t)
        loss.backward()
        with torch.no_grad():
            for parameter in parameters:
                if parameter.grad is not None:  # a library does not use this threshold
                    parameter.sub_(parameter.grad, alpha=1e-5)
                parameter.grad = None

    step.bytes = 4 * sum(tensor.numel() for tensor in [x, *parameters])
    return step


def held(step):
    """Return the most bytes that tensors take at one time in a step, including inputs and weights."""
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        step()
    now = most = 0
    for event in sorted(profile.kineto_results.events(), key=lambda e: e.start_ns() if hasattr(e, "start_ns") else e.start_us()):
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return step.bytes + most


def main():
    chosen = turns.options(__doc__, rounds=5, seconds=0.5)
    theirs = {}
    for case in CASES:
        if chosen.only not in case["case"]:
            continue
        makers = {name: functools.partial(learner, case, layer) for name, layer in LAYERS.items()}
        if not chosen.no_compile:
            makers.update({f"{name}, compiled": functools.partial(learner, case, layer, compile=True)
                           for name, layer in LAYERS.items() if name != "by hand"})
        theirs[case["case"]] = turns.ready(makers)

    def ours():
        found = {}
        for timing in turns.timings(chosen.program, "snn", "--seconds", 4 * chosen.seconds):
            if timing["rule"] in ("bp", "grapes"):
                found.setdefault(timing["case"], {})[f"{timing['variant']}, {timing['rule']}"] = timing
        return found

    turns.take_turns(theirs, ours, chosen)
    for case, ways in theirs.items():
        for way in ("loop", "by hand"):
            print(f"{case:<40} memory of {way:<8} {held(ways[way]) / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
