"""The statements of docs/theory.md, by their numbers. Each test checks one of them numerically, in float64."""
import copy
import math

import pytest
import torch
import torch_grapes
from torch import nn

LOWEST_COSINE = 2 * math.sqrt(2) / 3


def random(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def mlp(*sizes, activation=nn.Tanh, seed=1):
    torch.manual_seed(seed)
    layers = [layer for pair in zip(sizes, sizes[1:]) for layer in (nn.Linear(*pair, bias=False), activation())]
    return nn.Sequential(*layers[:-1]).double()


def gradients(model, x, t):
    """The gradients of the mean over examples of half the squared error; with a rule, what the rule makes of them."""
    model.zero_grad()
    (0.5 * (model(x) - t).square().sum(1)).mean().backward()
    return [p.grad.clone() for p in model.parameters()]


def modulated(model, x, t, modulation, **options):
    """The same with a modulation, by layer. The model is not changed."""
    other = copy.deepcopy(model)
    torch_grapes.enable(other, modulation, **options)
    return gradients(other, x, t)


def flat(tensors):
    return torch.cat([x.flatten() for x in tensors])


def cosine(a, b):
    a, b = flat(a), flat(b)
    return float(a @ b / a.norm() / b.norm())


def largest_of_normals(units):
    """Expected maximum of `units` independent standard normal numbers, by the integral of 1 - F^units - (1 - F)^units."""
    z = torch.linspace(0, 9, 90001, dtype=torch.float64)
    F = torch.special.ndtr(z)
    return float(torch.trapezoid((1 - F**units) - (1 - F)**units, z))


# 1. The mean factor


def test_largest_of_normals_has_its_known_values():
    assert abs(largest_of_normals(2) - 1 / math.sqrt(math.pi)) < 1e-6
    assert abs(largest_of_normals(3) - 1.5 / math.sqrt(math.pi)) < 1e-6


@pytest.mark.parametrize("inputs, units", [(784, 256), (256, 256), (100, 20), (1000, 1000)])
def test_mean_factor_follows_from_the_number_of_units_and_their_variation(inputs, units):
    generator = torch.Generator().manual_seed(2)
    draws = [torch.rand(units, inputs, dtype=torch.float64, generator=generator) * 2 - 1 for _ in range(60)]
    factors = torch.stack([torch_grapes.factor(W, low=0) for W in draws])
    CV = 1 / math.sqrt(3 * inputs)
    mean = 2 / (1 + largest_of_normals(units) * CV)
    assert abs(factors.mean() / mean - 1) < 0.005
    assert abs(factors.std(1).mean() / (mean * CV) - 1) < 0.05


# 2. The local version is gradient descent with a preconditioner


def test_local_version_multiplies_rows_and_turns_the_gradient_by_the_variation_of_the_factors():
    for seed in range(20):
        model, x, t = mlp(6, 5, 7, 3, seed=seed), random(4, 6, seed=seed), random(4, 3, seed=seed + 100)
        plain, local = gradients(model, x, t), modulated(model, x, t, "grapes-local")
        for i, W in enumerate(model.parameters()):
            m = torch_grapes.factor(W)[:, None] if i < 2 else torch.ones(3, 1, dtype=torch.float64)
            assert torch.allclose(local[i], m * plain[i], rtol=1e-12, atol=1e-15)
            share = plain[i].square().sum(1, keepdim=True) / plain[i].square().sum()
            average = (share * m).sum()
            CV = ((share * (m - average).square()).sum().sqrt() / average).item()
            assert abs(math.tan(math.acos(min(1.0, cosine([local[i]], [plain[i]])))) - CV) < 1e-6
        assert cosine(local, plain) >= LOWEST_COSINE


def test_bound_of_the_angle_is_reached():
    m, gradient = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([math.sqrt(2), 1], dtype=torch.float64)
    assert abs(cosine([m * gradient], [gradient]) - LOWEST_COSINE) < 1e-12
    assert abs(math.degrees(math.acos(LOWEST_COSINE)) - 19.471) < 1e-3


def test_local_version_descends_with_every_rate_below_that_of_the_smoothness():
    for seed in range(20):
        A = random(30, 10, seed=seed)
        H = A.T @ A / 30
        smoothness = float(torch.linalg.eigvalsh(H)[-1])
        w, m = random(10, seed=seed + 50), 1 + torch.rand(10, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        for share in (0.01, 0.5, 0.999):
            step = share / smoothness * m * (H @ w)
            assert (w - step) @ H @ (w - step) < w @ H @ w


# 3. The propagating version


def counterexample():
    """1-1-2-1, linear, with the numbers of docs/theory.md."""
    model = mlp(1, 1, 2, 1, activation=nn.Identity)
    for layer, value in zip((0, 2, 4), ([[0.01]], [[1.0], [-0.5]], [[1.0, 3.0]])):
        model[layer].weight.data = torch.tensor(value, dtype=torch.float64)
    x = torch.ones(1, 1, dtype=torch.float64)
    return model, x, model(x).detach() - 1


def test_propagating_version_can_point_uphill():
    model, x, t = counterexample()
    plain, ours = gradients(model, x, t), modulated(model, x, t, "grapes")
    assert abs(plain[0].item() + 0.5) < 1e-12 and abs(ours[0].item() - 1) < 1e-12
    assert cosine(ours, plain) < -0.99
    with torch.no_grad():
        before = 0.5 * (model(x) - t).square().item()
        for p, g in zip(model.parameters(), ours):
            p -= 1e-3 * g
        assert 0.5 * (model(x) - t).square().item() > before


@pytest.mark.parametrize("modulation, symmetric", [("none", True), ("grapes", False), ("grapes-local", False)])
def test_modulated_field_is_the_gradient_of_no_function(modulation, symmetric):
    model, x, t = mlp(3, 4, 4, 2), random(5, 3), random(5, 2)
    start = nn.utils.parameters_to_vector(model.parameters()).detach()

    def field(w):
        nn.utils.vector_to_parameters(w, model.parameters())
        return flat(modulated(model, x, t, modulation))

    h = 1e-5
    J = torch.stack([(field(start + h * e) - field(start - h * e)) / (2 * h) for e in torch.eye(len(start), dtype=torch.float64)])
    asymmetry = float((J - J.T).norm() / J.norm())
    assert asymmetry < 1e-8 if symmetric else asymmetry > 0.1


# 4. Equal factors are learning rates by layer


@pytest.mark.parametrize("momentum", [0, 0.9])
def test_constant_factors_are_rates_that_compound_from_the_output_down(momentum):
    factors, rate = [1.7, 1.9, 1.3], 0.05
    model, x, t = mlp(5, 6, 6, 6, 2), random(8, 5), random(8, 2)
    other = copy.deepcopy(model)
    torch_grapes.enable(model, "constant", constants=factors)
    rates = [rate * math.prod(factors[i:]) for i in range(4)]
    ours = torch.optim.SGD(model.parameters(), rate, momentum=momentum)
    theirs = torch.optim.SGD([{"params": [p], "lr": r} for p, r in zip(other.parameters(), rates)], rate, momentum=momentum)
    for _ in range(20):
        gradients(model, x, t), gradients(other, x, t)
        ours.step(), theirs.step()
    for a, b in zip(model.parameters(), other.parameters()):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-13)


# 5. Linear networks


def test_linear_network_keeps_the_difference_of_its_layers_divided_by_their_rates():
    c = 1.8
    model, x, t = mlp(3, 4, 5, 2, activation=nn.Identity), random(6, 3), random(6, 2)
    torch_grapes.enable(model, "constant", constants=[c])
    rates = [c**2, c, 1]

    def conserved():
        W = [p.detach() for p in model.parameters()]
        return [W[l + 1].T @ W[l + 1] / rates[l + 1] - W[l] @ W[l].T / rates[l] for l in range(2)]

    def drift(steps):
        start, saved = conserved(), copy.deepcopy(model.state_dict())
        for _ in range(steps):
            for p, g in zip(model.parameters(), gradients(model, x, t)):
                p.data -= 0.4 / steps * g
        end = max(float((a - b).norm()) for a, b in zip(conserved(), start))
        model.load_state_dict(saved)
        return end

    coarse, fine = drift(200), drift(400)
    assert fine < 0.005 and abs(coarse / fine - 2) < 0.1  # the rest comes from the size of the steps, and is proportional to it


def test_layers_of_a_linear_chain_share_the_product_by_the_roots_of_their_rates():
    c = 1.8
    model = mlp(1, 1, 1, activation=nn.Identity)
    for p in model.parameters():
        p.data.fill_(1e-4)
    torch_grapes.enable(model, "constant", constants=[c])
    x, t = torch.ones(1, 1, dtype=torch.float64), torch.full((1, 1), 4.0, dtype=torch.float64)
    for _ in range(3000):
        for p, g in zip(model.parameters(), gradients(model, x, t)):
            p.data -= 5e-3 * g
    first, second = (p.item() for p in model.parameters())
    assert abs(first * second - 4) < 1e-6 and abs(first / second - math.sqrt(c)) < 1e-2


# 6. Neighbors


def adam_step(g, steps=1):
    p = nn.Parameter(torch.zeros_like(g))
    optimizer = torch.optim.Adam([p], 0.1, eps=1e-30)
    for i in range(steps):
        p.grad = g * (1 + i)
        optimizer.step()
    return p.detach()


def lars_step(W, g):
    return W.norm() / g.norm() * g


def nero_step(g):
    """One step of Nero without its projection: each row is divided by its root mean square over time, here of one step."""
    return g / g.norm(dim=1, keepdim=True)


def test_rules_that_divide_by_the_size_of_the_gradient_cancel_factors_of_that_size():
    W, g = random(5, 4), random(5, 4, seed=2)
    m = torch_grapes.factor(W)[:, None]
    assert torch.allclose(adam_step(m * g, 3), adam_step(g, 3), rtol=1e-12, atol=0)  # by weight: every factor that does not change
    assert torch.allclose(nero_step(m * g), nero_step(g), rtol=1e-12, atol=0)  # by row
    assert torch.allclose(lars_step(W, 1.8 * g), lars_step(W, g), rtol=1e-12, atol=0)  # by layer: only equal factors
    assert not torch.allclose(lars_step(W, m * g), lars_step(W, g), rtol=1e-3, atol=0)


def test_weight_normalization_takes_smaller_steps_in_longer_rows_and_grapes_takes_larger_ones():
    direction, g = random(1, 4).expand(2, 4), random(1, 4, seed=2).expand(2, 4)
    v = nn.Parameter(torch.tensor([[1.0], [2.0]], dtype=torch.float64) * direction)
    (v / v.norm(dim=1, keepdim=True) * g).sum().backward()
    assert torch.allclose(v.grad[0], 2 * v.grad[1], rtol=1e-12, atol=0)
    assert torch_grapes.factor(v.detach()).tolist() == [1, 2]


def test_rescaling_of_a_unit_changes_the_steps_of_grapes():
    """A ReLU unit's incoming weights times c and its outgoing ones divided by c: the function stays, the step does not."""
    model, x, t = mlp(4, 6, 2, activation=nn.ReLU), random(8, 4), random(8, 2)
    c = torch.tensor([1, 0.5, 2, 1, 3, 1], dtype=torch.float64)
    other = copy.deepcopy(model)
    other[0].weight.data *= c[:, None]
    other[2].weight.data /= c
    assert torch.allclose(other(x), model(x), rtol=1e-12, atol=1e-14)
    for modulation in ("none", "grapes"):
        after = []
        for net in (model, other):
            copied = copy.deepcopy(net)
            for p, g in zip(copied.parameters(), modulated(net, x, t, modulation)):
                p.data -= 0.1 * g
            after.append(copied(x))
        assert (after[0] - after[1]).abs().max() > 1e-2
