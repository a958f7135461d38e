"""Plot learning curves of bp, grapes and the control uniform, from the same initial weights and batches.

    PYTHONPATH=build/python python3 examples/python/learning_curve.py [curves.png] [--seeds 3] [--steps 200]

uniform gives every unit its layer's mean factor. What it gains over bp comes from larger steps, and only what grapes gains
over uniform can come from different factors for different units. Lines are means over seeds; bands reach from the smallest
to the largest. All arms use one learning rate here; a claim needs the best rate of each arm (`grapes compare --tune`).
"""
import argparse

import matplotlib
import torch
import torch_grapes

from fashion import load, mlp

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


def curve(arm, seed, x, t, test_x, test_t, steps, every):
    torch.manual_seed(seed)
    model = mlp()
    torch_grapes.enable(model, arm)  # "none" is bp
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    order, found = torch.randperm(len(x)), []
    for step in range(steps):
        if step % every == 0:
            with torch.no_grad():
                found.append((model(test_x).argmax(1) == test_t).float().mean().item())
        at = order[(torch.arange(32) + 32 * step) % len(x)]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x[at]), t[at]).backward()
        optimizer.step()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", nargs="?", default="curves.png")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    data = (*load("train", 6000), *load("t10k", 1000))
    every = max(1, options.steps // 20)
    figure, axes = pyplot.subplots(figsize=(6, 4))
    for arm, name in (("none", "bp"), ("grapes", "grapes"), ("uniform", "uniform")):
        found = 100 * torch.tensor([curve(arm, seed, *data, options.steps, every) for seed in range(options.seeds)])
        at = [k * every for k in range(found.shape[1])]
        (line,) = axes.plot(at, found.mean(0), label=f"{name}, n = {options.seeds}")
        axes.fill_between(at, found.min(0).values, found.max(0).values, color=line.get_color(), alpha=0.2)
        print(f"{name:<8} {found[:, -1].mean():.1f} % after {at[-1]} steps, from {found[:, -1].min():.1f} to {found[:, -1].max():.1f}, n = {options.seeds}")
    axes.set(xlabel="step", ylabel="test accuracy %")
    axes.legend()
    figure.savefig(options.picture, dpi=120, bbox_inches="tight")


if __name__ == "__main__":
    main()
