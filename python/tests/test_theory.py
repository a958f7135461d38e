"""The statements of docs/theory.md, by their numbers. Each test checks one of them numerically, in float64. Section 7 is in
test_theory_balanced.py."""
import copy
import math

import pytest
import torch
import torch_grapes
from torch import nn


def lowest_cosine(condition):
    """Of the angle by which a diagonal matrix with entries from 1 to `condition` can turn a vector."""
    return 2 * math.sqrt(condition) / (1 + condition)


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


@pytest.mark.parametrize("inputs, units, mean, deviation", [(784, 256, 1.89, 0.039), (256, 256, 1.81, 0.065), (100, 20, 1.81, 0.104)])
def test_table_of_the_page(inputs, units, mean, deviation):
    CV = 1 / math.sqrt(3 * inputs)
    predicted = 2 / (1 + largest_of_normals(units) * CV)
    assert abs(predicted - mean) < 0.005 and abs(CV * predicted - deviation) < 0.0005


def test_formula_does_not_hold_for_very_unequal_weights():
    generator = torch.Generator().manual_seed(3)
    weights = [torch.exp(2 * torch.randn(256, 784, dtype=torch.float64, generator=generator)) for _ in range(10)]
    CV = math.sqrt((math.exp(4) - 1) / 784)
    measured = sum(float(torch_grapes.factor(W, low=0).mean()) for W in weights) / len(weights)
    assert measured < 0.8 * 2 / (1 + largest_of_normals(256) * CV)


def test_factors_of_wider_layers_tend_to_2():
    means = [2 / (1 + largest_of_normals(N) / math.sqrt(3 * N)) for N in (64, 256, 1024, 4096)]
    assert means == sorted(means) and means[0] < 1.75 and means[-1] > 1.93


# 2. The local version is gradient descent with a preconditioner


def test_one_hidden_layer_makes_the_versions_equal():
    model, x, t = mlp(4, 6, 3), random(8, 4), random(8, 3)
    for a, b in zip(modulated(model, x, t, "grapes"), modulated(model, x, t, "grapes-local")):
        assert torch.allclose(a, b, rtol=1e-13, atol=1e-15)


def test_new_network_is_turned_by_one_to_two_degrees():
    model, x, t = mlp(784, 256, 256, 10, activation=nn.ReLU), random(64, 784), random(64, 10)
    for p in model.parameters():
        nn.init.kaiming_uniform_(p, nonlinearity="relu")
    degrees = [math.degrees(math.acos(cosine([a], [b])))
               for a, b in list(zip(modulated(model, x, t, "grapes-local"), gradients(model, x, t)))[:2]]
    for angle, inputs in zip(degrees, (784, 256)):
        assert abs(angle / math.degrees(1 / math.sqrt(3 * inputs)) - 1) < 0.25


@pytest.mark.parametrize("modulation", ["grapes", "grapes-local"])
def test_factors_add_no_bias_to_a_batch(modulation):
    """The mean over examples of what a rule makes of their gradients is what it makes of the gradient of all of them."""
    model, x, t = mlp(4, 6, 5, 3), random(8, 4), random(8, 3)
    each = [modulated(model, x[i:i + 1], t[i:i + 1], modulation) for i in range(8)]
    for whole, parts in zip(modulated(model, x, t, modulation), zip(*each)):
        assert torch.allclose(whole, torch.stack(parts).mean(0), rtol=1e-12, atol=1e-15)


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
        assert cosine(local, plain) >= lowest_cosine(2)


@pytest.mark.parametrize("condition, degrees", [(2, 19.471), (4, 36.870), (8, 51.058)])
def test_bound_of_the_angle_is_reached(condition, degrees):
    m, gradient = (torch.tensor(values, dtype=torch.float64) for values in ([1.0, condition], [math.sqrt(condition), 1.0]))
    assert abs(cosine([m * gradient], [gradient]) - lowest_cosine(condition)) < 1e-12
    assert abs(math.degrees(math.acos(lowest_cosine(condition))) - degrees) < 1e-3


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


def counterexample(lowest=0.01, highest=3.0):
    """1-1-2-1, linear, with the numbers of docs/theory.md, and the error 1."""
    model = mlp(1, 1, 2, 1, activation=nn.Identity)
    for layer, value in zip((0, 2, 4), ([[lowest]], [[1.0], [-0.5]], [[1.0, highest]])):
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


def test_propagating_version_rests_where_the_loss_has_a_slope_and_moves_where_it_has_none():
    for highest, plain, ours in ((4.0, -1.0, 0.0), (2.0, 0.0, 1.0)):  # a layer of zeros has the factor 1
        model, x, t = counterexample(0.0, highest)
        for modulation, first in (("none", plain), ("grapes", ours)):
            assert flat(modulated(model, x, t, modulation)).tolist() == [first, 0, 0, 0, 0]


def test_two_derivatives_of_the_field_differ_in_the_example_of_one_unit_per_layer():
    model, x, t = mlp(1, 1, 1, activation=nn.Identity), torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)

    def field(*w):
        nn.utils.vector_to_parameters(torch.tensor(w, dtype=torch.float64), model.parameters())
        return flat(modulated(model, x, t, "grapes"))

    h = 1e-6
    of_first = (field(1, 1 + h) - field(1, 1 - h))[0] / (2 * h)
    of_second = (field(1 + h, 1) - field(1 - h, 1))[1] / (2 * h)
    assert abs(of_first - 4) < 1e-8 and abs(of_second - 2) < 1e-8


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


def test_equal_factors_always_descend():
    for seed in range(20):
        model, x, t = mlp(5, 6, 6, 6, 2, seed=seed), random(8, 5, seed=seed), random(8, 2, seed=seed + 100)
        assert cosine(modulated(model, x, t, "uniform"), gradients(model, x, t)) >= lowest_cosine(2**3)


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


def test_grapes_has_the_numerator_of_lars_by_unit_but_not_its_denominator():
    W, g = random(5, 4), random(5, 4, seed=2)
    lars_by_unit = W.abs().sum(1, keepdim=True) / g.norm(dim=1, keepdim=True) * g
    ours = torch_grapes.factor(W, low=0)[:, None] * g
    assert torch.allclose(ours / g.norm(dim=1, keepdim=True), 2 / W.abs().sum(1).max() * lars_by_unit, rtol=1e-12, atol=0)


def test_grapes_changes_the_rates_of_layers_by_depth_and_hardly_by_width():
    shares = []
    for width in (32, 128, 512):
        model, x, t = mlp(width, width, width, 2, activation=nn.ReLU), random(16, width), random(16, 2)
        shares.append(float(modulated(model, x, t, "uniform")[0].norm() / gradients(model, x, t)[0].norm()))
    assert 2.4 < shares[0] < shares[1] < shares[2] < 4  # with μP it would grow 16 times


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
