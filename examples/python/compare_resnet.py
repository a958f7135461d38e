"""Compare learning rules for a small ResNet on a part of CIFAR-10.

    PYTHONPATH=build/python python3 examples/python/compare_resnet.py [--seeds 3] [--epochs 5] [--images 2000] [--jobs 1]

The images are read from cifar10/ in the folder that GRAPES_DATA names, where `grapes data get cifar10` puts them. A unit of a
convolution is an output channel. All convolutions are modulated, also those of the shortcuts; batch normalization is not.
"""
import argparse
import lzma
import os
import sys
from pathlib import Path

import torch
import torch_grapes
from torch import nn

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--images", type=int, default=2000)
parser.add_argument("--jobs", type=int, default=1)
options = parser.parse_args()
EPOCHS, IMAGES = options.epochs, options.images


def load(name, count):
    """Return the first images of a file, [count, 3, 32, 32] in -1 ... 1, and their classes. An image is a byte and three colors."""
    path = Path(os.environ.get("GRAPES_DATA", ".")) / "cifar10" / name
    if not path.exists() and not path.with_suffix(".bin.xz").exists():
        sys.exit(f"{path} is missing: set GRAPES_DATA to the folder above cifar10/")
    with open(path, "rb") if path.exists() else lzma.open(path.with_suffix(".bin.xz")) as file:
        records = torch.frombuffer(bytearray(file.read(3073 * count)), dtype=torch.uint8).view(count, 3073)
    return records[:, 1:].reshape(count, 3, 32, 32) / 127.5 - 1, records[:, 0].long()


class Block(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out))
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(channels, out, 1, stride, bias=False)

    def forward(self, x):
        return torch.relu(self.path(x) + self.shortcut(x))


def resnet():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
                         Block(8, 8, 1), Block(8, 16, 2), Block(16, 32, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


x, y = load("data_batch_1.bin", IMAGES)
test_x, test_y = load("test_batch.bin", IMAGES // 2)


def train(run):
    model = resnet()
    run.enable(model)
    optimizer = torch.optim.SGD(model.parameters(), run.learning_rate, momentum=0.9)
    for _ in range(EPOCHS):
        model.train()
        for batch in torch.randperm(IMAGES).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            run.epoch(test_accuracy=(model(test_x).argmax(1) == test_y).float().mean())


print(torch_grapes.compare(train, ["bp", "grapes", "uniform"], options.seeds, learning_rate=0.05, data="CIFAR-10", jobs=options.jobs))
