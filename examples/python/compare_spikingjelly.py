"""Compare learning rules for a spiking network of SpikingJelly's LIFNode neurons.

    PYTHONPATH=build/python python3 examples/python/compare_spikingjelly.py [--seeds 3] [--epochs 5]

The pixels of scikit-learn's handwritten digits become random spikes, and the class is the neuron with the most spikes. GRAPES scales
the error of the hidden layer at every time step by the same factors.
"""
import argparse

import torch
import torch_grapes
from sklearn.datasets import load_digits
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

TIME_STEPS = 8
x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
x = x.float() / 16
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--epochs", type=int, default=5)
options = parser.parse_args()
EPOCHS = options.epochs


def rates(model, x, generator):
    """Return how often each output neuron fires, for spikes whose probability is the brightness of a pixel."""
    functional.reset_net(model)  # forgets the membranes of the last batch
    return sum(model((torch.rand(x.shape, generator=generator) < x).float()) for _ in range(TIME_STEPS)) / TIME_STEPS


def train(run):
    model = nn.Sequential(layer.Linear(64, 64), neuron.LIFNode(tau=2.0, detach_reset=True), layer.Linear(64, 10),
                          neuron.LIFNode(tau=2.0, detach_reset=True))
    run.enable(model)
    optimizer = torch.optim.Adam(model.parameters(), run.learning_rate)
    spikes = torch.Generator().manual_seed(run.seed)
    for _ in range(EPOCHS):
        for batch in torch.randperm(1000).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(5 * rates(model, x[batch], spikes), y[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            run.epoch(test_accuracy=(rates(model, x[1000:], spikes).argmax(1) == y[1000:]).float().mean())


print(torch_grapes.compare(train, ["bp", "grapes", "uniform"], options.seeds, learning_rate=0.01, data="digits"))
