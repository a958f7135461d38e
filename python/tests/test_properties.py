"""The laws that every factor and every modulation obeys, for weights of any shape and size."""
import itertools

import pytest
import torch
import torch_grapes
from torch_grapes import Rule, library

hypothesis = pytest.importorskip("hypothesis", reason="needs hypothesis, which draws the weights")
from hypothesis import strategies as st  # noqa: E402

GRAPES = ("grapes", "uniform", "shuffled", "shuffled-fixed", "inverse", "mean-one")
#: Sizes of weights from far below to far above those of networks; with so few digits, sums in float64 are exact enough for 1e-12.
number = st.one_of(st.just(0.0), st.floats(-100, 100, width=16), st.sampled_from([1e-30, -1e-8, 1e8, -1e30]))


@st.composite
def weights(draw, filled=False):
    """A weight [unit, ...] of 1 to 4 axes after the units, and sometimes rows of zeros."""
    shape = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    count = torch.Size(shape).numel()
    W = torch.tensor(draw(st.lists(number, min_size=count, max_size=count)), dtype=torch.float64).view(shape)
    if filled:
        W[0].view(-1)[0] = 1.0
    return W


def few(test):
    return hypothesis.settings(max_examples=40, deadline=None, derandomize=True, database=None)(test)


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def by_loops(W, gain, low, high):
    sums = [sum(map(abs, row.flatten().tolist())) for row in W]
    return torch.tensor([min(max(gain * r / max(sums), low), high) if max(sums) else 1.0 for r in sums], dtype=torch.float64)


@few
@hypothesis.given(weights(), st.floats(0.5, 4), st.sampled_from([(1.0, 2.0), (0.5, 1.5), None]))
def test_the_factor_is_its_definition(W, gain, clip):
    low, high = clip or (0.0, gain)
    close(torch_grapes.factor(W, gain=gain, low=low, high=high), by_loops(W, gain, low, high))
    close(Rule(gain=gain, clip=clip).factor(W), by_loops(W, gain, low, high))


@few
@hypothesis.given(weights(filled=True))
def test_factors_are_in_their_range_and_the_strongest_unit_has_2(W):
    m, free = torch_grapes.factor(W), torch_grapes.factor(W, low=0, high=2)
    r = torch_grapes.responsibility(W)
    assert 1 <= m.min() and m.max() == 2 and m[r.argmax()] == 2 and free.max() == 2
    assert (free[r == 0] == 0).all() and (m[r == 0] == 1).all()
    assert (m[r.argsort()].diff() >= 0).all()


@few
@hypothesis.given(weights(), st.integers(-40, 40), st.sampled_from([1, -1]), st.sampled_from(GRAPES))
def test_the_scale_and_signs_of_the_weights_do_not_count(W, power, sign, modulation):
    rule = Rule(modulation=modulation)
    m = rule.factor(W)
    assert torch.equal(rule.factor(W * (sign * 2.0**power)), m) and torch.equal(rule.factor(W.abs()), m)
    close(rule.factor(W * 0.3), m)


@few
@hypothesis.given(weights(), st.randoms(use_true_random=False), st.sampled_from(["grapes", "uniform", "inverse", "mean-one"]))
def test_factors_permute_with_the_units(W, random, modulation):
    order = random.sample(range(len(W)), len(W))
    rule = Rule(modulation=modulation)
    close(rule.factor(W[order]), rule.factor(W)[order])


@few
@hypothesis.given(weights(), st.integers(0, 3), st.integers(0, 9), st.integers(0, 2**31))
def test_controls_keep_what_their_names_say(W, layer, batch, seed):
    m = Rule().factor(W)
    made = {name: Rule(modulation=name, seed=seed).factor(W, layer=layer, batch=batch) for name in GRAPES}
    close(made["uniform"], m.mean().expand_as(m))
    close(made["mean-one"], m / m.mean())
    close(made["inverse"], m.max() + m.min() - m)
    for name in ("shuffled", "shuffled-fixed"):
        assert torch.equal(made[name].sort().values, m.sort().values)
    other = Rule(modulation="shuffled-fixed", seed=seed).factor(W, layer=layer, batch=batch + 1)
    assert torch.equal(made["shuffled-fixed"], other)


@few
@hypothesis.given(weights(filled=True), st.floats(0, 3))
def test_power_has_mean_one_and_constant_is_constant(W, exponent):
    r = torch_grapes.responsibility(W)
    hypothesis.assume(bool((r > 1e-3 * r.max()).all()))
    m = Rule(modulation="power", constants=(exponent,)).factor(W)
    p = (r / r.max()) ** exponent
    close(m, p / p.mean())
    close(m.mean(), torch.tensor(1.0, dtype=torch.float64))
    assert (Rule(modulation="constant", constants=(exponent + 1,)).factor(W) == exponent + 1).all()


@pytest.mark.parametrize("modulation, clip", list(itertools.product(GRAPES, [(1.0, 2.0), None])))
@pytest.mark.parametrize("W, expected", [
    (torch.tensor([[-3.0, 0.5]]), 2.0), (torch.full((4, 2, 3), -0.7), 2.0), (torch.zeros(3, 2), 1.0), (torch.zeros(1, 1), 1.0),
])
def test_one_unit_equal_units_and_zeros(W, expected, modulation, clip):
    m = Rule(modulation=modulation, clip=clip).factor(W)
    assert torch.equal(m, torch.full((len(W),), 1.0 if modulation == "mean-one" else expected))


@few
@hypothesis.given(weights(), st.integers(0, 1), st.sampled_from([float("nan"), float("inf"), -float("inf")]), st.data())
def test_a_weight_that_is_not_finite_is_an_error_wherever_it_is(W, dim, bad, data):
    W.view(-1)[data.draw(st.integers(0, W.numel() - 1))] = bad
    with pytest.raises(ValueError, match="finite"):
        torch_grapes.factor(W, None, dim)


@few
@hypothesis.given(weights(), st.integers(1, 3), st.data())
def test_modulate_keeps_the_value_and_multiplies_the_error_of_each_unit(W, batch, data):
    shape = (batch, len(W), *W.shape[2:])
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    z = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    error = torch.randn(shape, generator=generator, dtype=torch.float64)
    m = torch_grapes.factor(W)
    y = torch_grapes.modulate(z, m)
    assert torch.equal(y, z)
    y.backward(error)
    for unit in range(len(W)):
        assert torch.equal(z.grad[:, unit], error[:, unit] * m[unit])


@few
@hypothesis.given(weights(), st.sampled_from(GRAPES), st.integers(0, 5))
def test_compiled_operations_and_plain_ones_agree(W, modulation, batch):
    if library.compiled is None:
        pytest.skip(library.status)
    packed = (W, None, 0, 1, 1, *Rule(modulation=modulation)._packed, 0, batch, "layer")
    assert torch.equal(library.reference.layer_factor(*packed), library.compiled.layer_factor(*packed))
