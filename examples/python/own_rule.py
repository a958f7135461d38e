"""Your own modulation: GRAPES reversed, with the smallest factor for the most responsible unit."""
import torch
import torch_grapes


def reflected(m):
    """Return the factors to use in place of the factors m [unit] of a layer."""
    return 2 * m.mean() - m


model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
with torch.no_grad():
    model[0].weight.copy_(torch.tensor([[1.0, 0.0], [1.0, -1.0], [3.0, 1.0]]))  # responsibilities 1, 2, 4
for rule in ("grapes", reflected):
    with torch_grapes.enabled(model, rule, clip=None) as handle:
        print(getattr(rule, "__name__", rule), [round(m, 3) for m in handle.factors()["0"].tolist()])
