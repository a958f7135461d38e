"""A multilayer perceptron and a small convolutional network on Fashion-MNIST, each trained with GRAPES by one added line.

    PYTHONPATH=build/python python3 examples/python/fashion.py [--steps 100] [--modulation grapes]

A modulation is grapes, grapes-local, uniform, shuffled, or none. The data are read from the folder that
GRAPES_DATA names, or from Debian's package dataset-fashion-mnist.
"""
import argparse
import gzip
import os
import sys
from pathlib import Path

import torch
import torch_grapes
from torch import nn


def load(name, count):
    """Return the first `count` images, [count, 1, 28, 28] in 0 ... 1, and their labels. `name` is train or t10k."""
    for folder in (os.environ.get("GRAPES_DATA", ""), "/usr/share/datasets"):
        path = Path(folder) / "fashion-mnist" / f"{name}-images-idx3-ubyte.gz"
        if folder and path.exists():
            break
    else:
        sys.exit("no fashion-mnist: install dataset-fashion-mnist, or set GRAPES_DATA to the folder above fashion-mnist/")
    with gzip.open(path) as images, gzip.open(str(path).replace("images-idx3", "labels-idx1")) as labels:
        images.read(16), labels.read(8)  # the headers
        pictures = torch.frombuffer(bytearray(images.read(784 * count)), dtype=torch.uint8)
        return pictures.view(-1, 1, 28, 28).float() / 255, torch.frombuffer(bytearray(labels.read(count)), dtype=torch.uint8).long()


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))


def cnn():
    return nn.Sequential(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(inplace=True), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(inplace=True),
                         nn.Flatten(), nn.Linear(16 * 25, 64), nn.ReLU(inplace=True), nn.Linear(64, 10))


def train(model, x, t, steps, batch=64):
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    for step in range(steps):
        at = torch.arange(step * batch, (step + 1) * batch) % len(x)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[at]), t[at]).backward()
        optimizer.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--modulation", default="grapes")
    options = parser.parse_args()
    x, t = load("train", 60000)
    test_x, test_t = load("t10k", 2000)
    for make in (mlp, cnn):
        torch.manual_seed(1)
        model = make()
        handle = torch_grapes.enable(model, options.modulation)  # the added line
        print(f"{make.__name__}, {handle}")
        train(model, x, t, options.steps)
        for name, m in handle.factors().items():
            print(f"  factors of {name} after {options.steps} steps: {m.min():.2f} to {m.max():.2f}, mean {m.mean():.2f}")
        with torch.no_grad():
            print(f"  {(model(test_x).argmax(1) == test_t).float().mean():.1%} of 2,000 test pictures\n")


if __name__ == "__main__":
    main()
