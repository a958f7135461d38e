"""ExponentiatedGradient takes the steps of the optimizer `eg` of the program; src/grapes/optim/optim_test.cpp has the same recursion."""
import math

import pytest
import torch

import torch_grapes


@pytest.mark.parametrize("decay", (0.0, 0.01))
def test_its_steps_are_those_of_the_equation(decay):
    w, b = [[1.0, -2.0, 0.5], [0.0, 0.1, -4.0]], [0.0, 0.3]
    W, c = torch.tensor(w, dtype=torch.float64, requires_grad=True), torch.tensor(b, dtype=torch.float64, requires_grad=True)
    optimizer = torch_grapes.ExponentiatedGradient([W, c], lr=0.1, weight_decay=decay)
    for t in range(6):
        optimizer.zero_grad()
        (W.cos().sum() + t * W.sum() + (c * c).sum()).backward()
        optimizer.step()
        g = [[-math.sin(x) + t + decay * x for x in row] for row in w]
        w = [[x * math.exp(-0.1 * math.copysign(1, x) * d) if x else x for x, d in zip(row, slopes)] for row, slopes in zip(w, g)]
        b = [x - 0.1 * (2 * x + decay * x) for x in b]
    torch.testing.assert_close(W.detach(), torch.tensor(w, dtype=torch.float64), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(c.detach(), torch.tensor(b, dtype=torch.float64), rtol=1e-13, atol=1e-13)


def test_weights_keep_their_signs_with_grapes():
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(5, 9), torch.nn.ReLU(), torch.nn.Linear(9, 3))
    torch_grapes.enable(model)
    signs = [p.detach().sign() for p in model.parameters() if p.dim() == 2]
    optimizer = torch_grapes.ExponentiatedGradient(model.parameters(), lr=0.5)
    x, y = torch.randn(40, 5), torch.randint(3, (40,))
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.equal(p.detach().sign(), sign) for p, sign in zip((p for p in model.parameters() if p.dim() == 2), signs))


def test_invalid_numbers_are_refused():
    with pytest.raises(ValueError, match="lr must be above 0"):
        torch_grapes.ExponentiatedGradient([torch.ones(2, 2)], lr=0)
    with pytest.raises(ValueError, match="weight_decay must be at least 0"):
        torch_grapes.ExponentiatedGradient([torch.ones(2, 2)], lr=1, weight_decay=-1)
