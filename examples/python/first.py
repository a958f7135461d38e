"""Train an ordinary PyTorch model with GRAPES: one added line."""
import torch
import torch_grapes

torch.manual_seed(1)
x = torch.randn(1000, 2)
y = (x.norm(dim=1) > 1.2).long()  # whether a point is outside a circle
model = torch.nn.Sequential(torch.nn.Linear(2, 50), torch.nn.ReLU(), torch.nn.Linear(50, 2))
optimizer = torch.optim.Adam(model.parameters(), 0.01)
print(torch_grapes.enable(model))  # the added line
for step in range(100):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
print(f"training accuracy {(model(x).argmax(1) == y).float().mean():.1%}")
