"""Train an ordinary PyTorch model with GRAPES: one added line."""
import torch
import torch_grapes
from sklearn.datasets import load_digits

torch.manual_seed(1)
x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
model = torch.nn.Sequential(torch.nn.Linear(64, 50), torch.nn.ReLU(), torch.nn.Linear(50, 10))
optimizer = torch.optim.Adam(model.parameters(), 0.01)
print(torch_grapes.enable(model))  # the added line
for step in range(50):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x.float() / 16), y).backward()
    optimizer.step()
print(f"training accuracy {(model(x.float() / 16).argmax(1) == y).float().mean():.1%}")
