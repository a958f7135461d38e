"""Train an ordinary PyTorch model by another route, and watch how far it is from backpropagation."""
import sys

import torch
import torch_grapes
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy

route = sys.argv[1] if len(sys.argv) > 1 else "fa"
torch.manual_seed(1)
x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
x = x.float() / 16
model = torch.nn.Sequential(torch.nn.Linear(64, 50), torch.nn.ReLU(), torch.nn.Linear(50, 30), torch.nn.ReLU(), torch.nn.Linear(30, 10))
handle = torch_grapes.convert(model, route)  # the added line; call it first: on kolen-pollack the optimizer updates B too
optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-3)
for step in range(201):
    optimizer.zero_grad()
    loss = cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        angles = torch_grapes.alignment(model, lambda: cross_entropy(model(x), y))
        print(f"step {step}:", ", ".join(f"{name} {row.transport:.0f}°" for name, row in angles.items()))
print(f"training accuracy {(model(x).argmax(1) == y).float().mean():.1%}")
handle.revert()
