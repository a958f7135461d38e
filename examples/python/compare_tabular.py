"""Is GRAPES worth it for my model? A network on a table of measurements, compared with backpropagation and two controls.

    PYTHONPATH=build/python python3 examples/python/compare_tabular.py [--seeds 5] [--jobs 1] [--epochs 15]

The table is scikit-learn's: 30 measurements of 569 tumors, of which 357 are benign.
"""
import argparse

import torch
import torch_grapes
from sklearn.datasets import load_breast_cancer
from torch import nn

x, y = (torch.tensor(part) for part in load_breast_cancer(return_X_y=True))
order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
x, y = x[order].float(), y[order]
x = (x - x[:300].mean(0)) / x[:300].std(0)
training, validation, test = slice(0, 300), slice(300, 400), slice(400, None)
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--seeds", type=int, default=5)
parser.add_argument("--jobs", type=int, default=1)
parser.add_argument("--epochs", type=int, default=15)
options = parser.parse_args()
EPOCHS = options.epochs


def accuracy(model, part):
    return (model(x[part]).argmax(1) == y[part]).float().mean()


def train(run):
    model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    run.enable(model)
    optimizer = torch.optim.SGD(model.parameters(), run.learning_rate, momentum=0.9)
    for _ in range(EPOCHS):
        for batch in torch.randperm(300).split(20):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[training][batch]), y[training][batch]).backward()
            optimizer.step()
        run.epoch(validation_accuracy=accuracy(model, validation), test_accuracy=accuracy(model, test))


print(torch_grapes.compare(train, ["bp", "grapes", "uniform", "shuffled"], options.seeds, tune=[0.003, 0.01, 0.03, 0.1], data="breast cancer",
                           jobs=options.jobs))
