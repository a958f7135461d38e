"""Section 7 of docs/theory.md, a factor from both sides of a unit, in float64. The definition is written here once more in its simplest
form; train/rescaling_test.cpp checks the program's."""
import copy
import math

import pytest
import torch


def random(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def flat(tensors):
    return torch.cat([x.flatten() for x in tensors])


class Chain:
    """A chain of dense layers with ReLU and biases, and steps of SGD whose gradients are multiplied by f_j / f_i."""

    def __init__(self, *sizes, seed=1):
        self.W = [random(n, k, seed=seed + l) / math.sqrt(k) for l, (k, n) in enumerate(zip(sizes, sizes[1:]))]
        self.b = [0.3 * random(n, seed=seed + 50 + l) for l, n in enumerate(sizes[1:])]
        self.v = [torch.zeros_like(w) for w in self.W + self.b]

    def __call__(self, x, W=None, b=None):
        for l, (w, c) in enumerate(zip(W or self.W, b or self.b)):
            x = x @ w.T + c if l == 0 else x.relu() @ w.T + c
        return x

    def rescaled(self, scales):
        """Incoming weights and biases times c, outgoing weights divided by c; scales: c of each hidden layer."""
        other = copy.deepcopy(self)
        for l, (above, below) in enumerate(self.both_sides(scales)):
            other.W[l] = other.W[l] * above[:, None] / below
            other.b[l] = other.b[l] * above
        return other

    def both_sides(self, of_hidden):
        ones = [torch.ones(n, dtype=torch.float64) for n in (self.W[0].shape[1], self.W[-1].shape[0])]
        all_layers = [ones[0], *of_hidden, ones[1]]
        return list(zip(all_layers[1:], all_layers))

    def sums(self, scales):
        """Return the incoming sums Σ |W_ji| s_i + |b_j| and the outgoing sums Σ |W_kj| / s_k of each hidden layer."""
        sides = self.both_sides(scales)
        return ([self.W[l].abs() @ sides[l][1] + self.b[l].abs() for l in range(len(scales))],
                [self.W[l + 1].abs().T @ (1 / sides[l + 1][0]) for l in range(len(scales))])

    def balancing(self, start=None):
        """Return s of each hidden layer: the solution of s² = incoming / outgoing, layer by layer until nothing changes."""
        s = start or [torch.ones(w.shape[0], dtype=torch.float64) for w in self.W[:-1]]
        for _ in range(1000):
            before = list(s)
            for l in range(len(s)):
                into, out = self.sums(s)
                s[l] = (into[l] / out[l]).sqrt()
            if max(float((new / old - 1).abs().max()) for new, old in zip(s, before)) < 1e-14:
                return s
        raise AssertionError("the scales do not converge")

    def objective(self, s):
        """Σ |W_ji| s_i / s_j + Σ |b_j| / s_j: the sum of the absolute weights of the rescaled network, without the output's biases."""
        W = sum((w.abs() * below / above[:, None]).sum() for w, (above, below) in zip(self.W, self.both_sides(s)))
        return float(W + sum((b.abs() / one).sum() for b, one in zip(self.b, s)))

    def factors(self, rule):
        if rule == "bp":
            return [torch.ones(w.shape[0], dtype=torch.float64) for w in self.W[:-1]]
        if rule == "balanced":
            return [one.square() for one in self.balancing()]
        into, out = self.sums(self.factors("bp"))
        return [a / c for a, c in zip(into, out)]

    def step(self, x, t, rule, rate=0.002, momentum=0.0, decay=0.0):
        f = self.both_sides(self.factors(rule))
        leaves = [w.clone().requires_grad_() for w in self.W + self.b]
        L = len(self.W)
        g = list(torch.autograd.grad(0.5 * (self(x, leaves[:L], leaves[L:]) - t).square().sum(1).mean(), leaves))
        for l, (above, below) in enumerate(f):
            g[l], g[L + l] = g[l] * above[:, None] / below, g[L + l] * above
        self.v = [momentum * v + one for v, one in zip(self.v, g)]
        new = [(1 - rate * decay) * w - rate * v for w, v in zip(self.W + self.b, self.v)]
        self.W, self.b = new[:L], new[L:]


def log_normal(sizes, sigma=1.0, seed=9):
    return [torch.exp(sigma * random(n, seed=seed + i)) for i, n in enumerate(sizes)]


def test_scales_that_balance_a_network_exist_once():
    network = Chain(5, 7, 6, 8, 3)
    s, again = network.balancing(), network.balancing(log_normal((7, 6, 8), 3))
    into, out = network.sums(s)
    for l in range(3):
        assert torch.allclose(s[l], again[l], rtol=1e-11, atol=0)
        assert torch.allclose(into[l] / s[l], out[l] * s[l], rtol=1e-11, atol=0)  # both sums of every unit of the balanced network
    for seed in range(20):  # and they minimize the sum of absolute weights
        assert network.objective([a * b for a, b in zip(s, log_normal((7, 6, 8), 0.1, seed))]) > network.objective(s)


def test_rescaling_multiplies_f_by_the_square_of_the_scale():
    network, c = Chain(5, 7, 6, 8, 3), log_normal((7, 6, 8))
    other = network.rescaled(c)
    for before, after, one in zip(network.factors("balanced"), other.factors("balanced"), c):
        assert torch.allclose(after, one.square() * before, rtol=1e-10, atol=0)


def largest_difference(sizes, rule, **options):
    """Between the outputs of a network and its rescaled copy, over 20 steps, and how much the first one changes."""
    network, x, t = Chain(*sizes), random(16, sizes[0]), random(16, sizes[-1])
    other, first, largest = network.rescaled(log_normal(sizes[1:-1])), network(x), 0.0
    for _ in range(20):
        largest = max(largest, float((network(x) - other(x)).abs().max()))
        network.step(x, t, rule, **options), other.step(x, t, rule, **options)
    assert float((network(x) - first).abs().max()) > 0.01
    return max(largest, float((network(x) - other(x)).abs().max()))


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"decay": 0.1}])
def test_balanced_steps_do_not_depend_on_the_scales_of_units(options):
    assert largest_difference((5, 7, 6, 3), "balanced", **options) < 1e-9
    assert largest_difference((5, 7, 6, 3), "bp", **options) > 1e-2


def test_own_sums_of_a_unit_are_enough_with_one_hidden_layer_only():
    assert largest_difference((5, 7, 3), "balanced-once") < 1e-9
    assert largest_difference((5, 7, 6, 3), "balanced-once") > 1e-3


def test_balanced_step_is_that_of_gradient_descent_in_the_balanced_network():
    network, x, t = Chain(5, 7, 6, 3), random(16, 5), random(16, 3)
    balanced = network.rescaled([1 / s for s in network.balancing()])
    assert all(torch.allclose(f, torch.ones_like(f), rtol=1e-11, atol=0) for f in balanced.factors("balanced"))
    network.step(x, t, "balanced"), balanced.step(x, t, "bp")
    assert torch.allclose(network(x), balanced(x), rtol=1e-11, atol=1e-12)


def test_rates_at_which_balanced_is_stable_do_not_depend_on_the_scales():
    """The eigenvalues of D H, of which the largest limits the rate: near a minimum, steps are stable below 2 / the largest."""
    network, x, t = Chain(3, 4, 4, 2), random(16, 3), random(16, 2)
    largest = {"bp": [], "balanced": []}
    for one in (network, network.rescaled(log_normal((4, 4), 2))):
        shapes = [w.shape for w in one.W + one.b]

        def loss(w, one=one, shapes=shapes):
            parts = [p.view(shape) for p, shape in zip(w.split([s.numel() for s in shapes]), shapes)]
            return 0.5 * (one(x, parts[:3], parts[3:]) - t).square().sum(1).mean()

        H = torch.autograd.functional.hessian(loss, flat(one.W + one.b))
        for rule, found in largest.items():
            f = one.both_sides(one.factors(rule))
            D = flat([above[:, None] / below for above, below in f] + [above for above, _ in f])
            found.append(float(torch.linalg.eigvals(D[:, None] * H).real.max()))
    assert abs(largest["balanced"][1] / largest["balanced"][0] - 1) < 1e-8
    assert largest["bp"][1] > 10 * largest["bp"][0]
