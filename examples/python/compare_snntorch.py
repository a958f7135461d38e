"""Compare learning rules for a spiking network of snnTorch: two layers of leaky neurons that see the same image at every time step.

    PYTHONPATH=build/python python3 examples/python/compare_snntorch.py [--seeds 3] [--epochs 5]

It is the kind of network that snnTorch's tutorials begin with, on scikit-learn's handwritten digits. GRAPES scales the error of the
hidden layer at every time step by the same factors; what runs back in time through a neuron's membrane is not scaled again.
"""
import argparse

import snntorch
import torch
import torch_grapes
from sklearn.datasets import load_digits
from snntorch import functional
from torch import nn

TIME_STEPS = 10
x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
x = x.float() / 16
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--epochs", type=int, default=5)
options = parser.parse_args()
EPOCHS = options.epochs


class Spiking(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(64, 64), nn.Linear(64, 10)
        self.neurons = nn.ModuleList(snntorch.Leaky(beta=0.9) for _ in range(2))

    def forward(self, x):
        membranes = [neuron.init_leaky() for neuron in self.neurons]
        spikes = []
        for _ in range(TIME_STEPS):
            hidden, membranes[0] = self.neurons[0](self.hidden(x), membranes[0])
            out, membranes[1] = self.neurons[1](self.out(hidden), membranes[1])
            spikes.append(out)
        return torch.stack(spikes)  # [time, batch, class]


def train(run):
    model = Spiking()
    run.enable(model, output="out")
    optimizer = torch.optim.Adam(model.parameters(), run.learning_rate)
    loss = functional.ce_rate_loss()
    for _ in range(EPOCHS):
        for batch in torch.randperm(1000).split(50):
            optimizer.zero_grad()
            loss(model(x[batch]), y[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            run.epoch(test_accuracy=functional.accuracy_rate(model(x[1000:]), y[1000:]))


print(torch_grapes.compare(train, ["bp", "grapes", "uniform"], options.seeds, learning_rate=0.003, data="digits"))
