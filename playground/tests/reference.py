#!/usr/bin/env python3
"""Write the cases that reference.test.ts compares with: small networks that torch_grapes trains in float64.

    reference.py FILE.json

Every route, modulation and activation of the playground with one to six hidden layers: initial weights, feedback weights, factors, the
weights after 20 steps of SGD, and the angles that torch_grapes.alignment measures then.
"""
import itertools
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
import torch_grapes  # noqa: E402

ROUTES = ("bp", "fa", "dfa")
MODULATIONS = ("none", "grapes", "grapes-local", "uniform", "inverse", "mean-one")
ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
HIDDEN = ([8], [8, 8], [5, 8, 6], [8, 8, 8, 8], [8] * 6)
STEPS, BATCH, EXAMPLES, RATE = 20, 8, 50, 0.05


def network(sizes, activation):
    """Return a network whose units have unlike weights, so that the factors differ."""
    model = torch.nn.Sequential()
    for l, (inputs, units) in enumerate(zip(sizes, sizes[1:])):
        layer = torch.nn.Linear(inputs, units, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(units, inputs) * torch.randn(units, inputs).exp() * (0.5 / inputs) ** 0.5)
        model.add_module(f"layer{l}", layer)
        if l < len(sizes) - 2:
            model.add_module(f"activation{l}", ACTIVATIONS[activation]())
    return model


def layers_of(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}


def numbers(tensor):
    return tensor.detach().flatten().tolist()


def case(route, modulation, activation, hidden, seed):
    torch.manual_seed(seed)
    sizes = [2, *hidden, 2 + seed % 2]
    model = network(sizes, activation)
    x = torch.randn(EXAMPLES, sizes[0], dtype=torch.float64)
    y = torch.randint(sizes[-1], (EXAMPLES,))
    layers = layers_of(model)
    handle = torch_grapes.convert(model, route, modulation, seed=seed) if (route, modulation) != ("bp", "none") else None
    model(x)  # on dfa, the first pass draws the feedback weights
    feedback = {} if handle is None or route == "bp" else handle.feedback()
    found = {
        "name": f"{route} {modulation} {activation} {'-'.join(map(str, sizes))}", "route": route, "modulation": modulation,
        "activation": activation, "sizes": sizes, "rate": RATE, "x": numbers(x), "y": y.tolist(),
        "batches": [torch.randperm(EXAMPLES)[:BATCH].tolist() for _ in range(STEPS)],
        "initial": [{"W": numbers(layer.weight), "b": numbers(layer.bias), "B": numbers(feedback.get(name, torch.empty(0)))}
                    for name, layer in layers.items()],
        "factors": [numbers(m) for m in handle.factors().values()] if handle and modulation != "none" else [[1.0] * n for n in hidden],
    }
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    for batch in found["batches"]:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
    found["final"] = [{"W": numbers(layer.weight), "b": numbers(layer.bias)} for layer in layers.values()]
    with torch.no_grad():
        logits = model(x)
        found["loss"] = torch.nn.functional.cross_entropy(logits, y).item()
        found["accuracy"] = (logits.argmax(1) == y).double().mean().item()
    if handle is not None:
        angles = torch_grapes.alignment(model, lambda: torch.nn.functional.cross_entropy(model(x), y))
        found["angles"] = [{"transport": angles[name].transport, "modulation": angles[name].modulation} if name in angles else None
                           for name in layers]
    return found


def main():
    kinds = itertools.product(ROUTES, MODULATIONS, ACTIVATIONS, HIDDEN)
    cases = [case(*kind, seed) for seed, kind in enumerate(kinds, 1)]
    Path(sys.argv[1]).write_text(json.dumps(cases, allow_nan=False))
    print(f"{len(cases)} cases of torch_grapes {torch_grapes.__version__}, PyTorch {torch.__version__}, {torch_grapes.library.status}")


if __name__ == "__main__":
    main()
