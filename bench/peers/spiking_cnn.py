#!/usr/bin/env python3
"""Time the spiking convolutions of `grapes bench snn` in PyTorch, in spiking libraries and in Grapes, and print the ratios.

    python3 bench/peers/spiking_cnn.py build/grapes [--rounds 3] [--seconds 2] [--only lenet] [--json]

The neurons are those of snn.py, on the currents of conv2d. Convolutions and pooling run on all time steps in one call, as if the steps were
examples. Each way is timed in both memory formats of PyTorch, with one thread and in-place SGD. Only Grapes is timed with GRAPES.
"""
import functools

import turns  # before torch

import torch
import torch.nn.functional as F

from snn import LAYERS

# A layer is the channels of a convolution (with kernel and padding), the side of an average pooling, or the units of a dense layer.
CASES = [
    {"case": "spiking-vgg:64,128, T 4, 3 x 32 x 32", "input": [3, 32, 32], "steps": 4, "batch": 4,
     "layers": [("conv", 64, 3, 1), ("conv", 64, 3, 1), ("pool", 2), ("conv", 128, 3, 1), ("conv", 128, 3, 1), ("pool", 2), ("dense", 128),
                ("dense", 10)]},
    {"case": "spiking-lenet, T 25, 2 x 34 x 34", "input": [2, 34, 34], "steps": 25, "batch": 16,
     "layers": [("conv", 6, 5, 0), ("pool", 2), ("conv", 16, 5, 0), ("pool", 2), ("dense", 120), ("dense", 84), ("dense", 10)]},
]
THRESHOLD = 0.25


def learner(case, neuron, layout):
    torch.manual_seed(1)
    parameters, layers = [], []
    shape = list(case["input"])

    def trained(tensor):
        parameters.append(tensor.requires_grad_())
        return tensor

    def weight(out, *rest):
        bound = (6 / torch.Size(rest).numel()) ** 0.5
        return torch.empty(out, *rest).uniform_(-bound, bound)

    def spiking(units, *rest):
        """Return the neurons of [time, batch, units, ...]; a threshold for each channel or unit."""
        theta = trained(torch.full([units] + [1] * len(rest), THRESHOLD))
        layer = neuron(None, theta)
        return lambda z: layer(z.unflatten(0, (case["steps"], case["batch"]))).flatten(0, 1)

    for what, size, *rest in case["layers"]:
        if what == "pool":
            layers.append(functools.partial(F.avg_pool2d, kernel_size=size))
            shape[1:] = [side // size for side in shape[1:]]
        elif what == "conv":
            kernel, padding = rest
            W = trained(weight(size, shape[0], kernel, kernel).contiguous(memory_format=layout))
            layers.append(functools.partial(F.conv2d, weight=W, padding=padding))
            shape = [size] + [side + 2 * padding - kernel + 1 for side in shape[1:]]
            layers.append(spiking(*shape))
        else:
            W = trained(weight(size, torch.Size(shape).numel()))
            layers.append(lambda h, W=W: F.linear(h.flatten(1), W))
            shape = [size]
            layers.append(spiking(size))
    x = (torch.rand(case["steps"] * case["batch"], *case["input"]) < 0.13).float().contiguous(memory_format=layout)
    t = torch.arange(case["batch"]) % 10

    def step():
        h = x
        for layer in layers:
            h = layer(h)
        F.cross_entropy(h.unflatten(0, (case["steps"], case["batch"])).mean(0), t).backward()
        with torch.no_grad():
            for parameter in parameters:
                if parameter.grad is not None:  # a library does not use this threshold
                    parameter.sub_(parameter.grad, alpha=1e-5)
                parameter.grad = None

    return step


def main():
    chosen = turns.options(__doc__, rounds=3, seconds=2)
    theirs = {case["case"]: turns.ready({f"{name}{ending}": functools.partial(learner, case, neuron, layout)
                                         for name, neuron in LAYERS.items()
                                         for layout, ending in ((torch.contiguous_format, ""), (torch.channels_last, ", channels_last"))})
              for case in CASES if chosen.only in case["case"]}

    def ours():
        found = {}
        for timing in turns.timings(chosen.program, "snn", "--seconds", 4 * chosen.seconds):
            if timing["rule"] in ("bp", "grapes") and timing["case"] in theirs:
                found.setdefault(timing["case"], {})[timing["rule"]] = timing
        return found

    turns.take_turns(theirs, ours, chosen)


if __name__ == "__main__":
    main()
