"""Layers that enable() modulates, messages about the others, and the modulations by name."""
import copy
import pickle
import re
import warnings

import pytest
import torch
import torch_grapes
from torch import nn

from reference import agree, differ, drawn, factor, gated, gradients, wide

X = drawn(4, 5)


def network():
    return nn.Sequential(wide(nn.Linear(5, 7), 1), nn.Tanh(), wide(nn.Linear(7, 6), 2), nn.Tanh(), wide(nn.Linear(6, 3), 3))


def test_the_handle_shows_what_is_modulated():
    model = nn.ModuleDict({"embed": nn.Embedding(9, 5), "norm": nn.LayerNorm(5), "body": network()})
    with pytest.warns(UserWarning, match="not modulated: embed \\(a module of type Embedding") as caught:
        handle = torch_grapes.enable(model, gain=3, clip=None)
    assert len(caught) == 1
    assert handle.modulated == ("body.0", "body.2") and handle.states["body.4"] == "output"
    assert repr(handle).splitlines() == [
        "grapes: gain 3, clip [0, 3], incoming responsibility",
        "  embed   unmatched: a module of type Embedding",
        "  body.0  modulated",
        "  body.2  modulated",
        "  body.4  output",
    ]
    handle.disable()
    assert repr(handle).splitlines()[1:] == ["  reverted"]
    with torch_grapes.enabled(network(), "constant", constants=[1.5, 2], include="*", exclude="0", local="2", responsibility="input") as other:
        assert repr(other).splitlines() == ["constant:1.5,2: gain 2, clip [1, 2], input responsibility", "  0  excluded", "  2  local", "  4  modulated"]


def test_factors_by_name_are_copies_of_what_the_weights_give():
    model = nn.Sequential(wide(nn.Linear(5, 4)), wide(nn.LSTM(4, 3, 2, bidirectional=True)))
    handle = torch_grapes.enable(model, include="*")
    found = handle.factors()
    assert list(found) == ["0", "1.l0", "1.l0_reverse", "1.l1", "1.l1_reverse"]
    agree([found["0"], found["1.l1"]], [factor(model[0].weight), gated(model[1].weight_ih_l1, model[1].weight_hh_l1)])
    found["0"].zero_()
    assert handle.factors()["0"].max() == 2 and not found["1.l0"].requires_grad


def test_include_exclude_and_output_by_name():
    model = nn.ModuleDict({"a": network(), "b": network()})
    modulated = lambda **options: torch_grapes.enable(copy.deepcopy(model), **options).modulated
    assert modulated() == ("a.0", "a.2", "a.4", "b.0", "b.2")
    assert modulated(include="a") == ("a.0", "a.2", "a.4")
    assert modulated(include=["*.0", "b.2"]) == ("a.0", "b.0", "b.2")
    assert modulated(exclude="a.*", include="*") == ("b.0", "b.2", "b.4"), "what is named is modulated, the last layer too"
    assert modulated(output=["a.4", "b.4"]) == ("a.0", "a.2", "b.0", "b.2")
    assert modulated(include="b", output="b.0") == ("b.2", "b.4")
    with pytest.raises(ValueError, match="include must name layers of the model; got 'c'; available: a.0, a.2"):
        modulated(include="c")
    with pytest.raises(ValueError, match="no layer to modulate besides the output layer, the model itself"):
        torch_grapes.enable(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="no layer to modulate besides the output layer, b.4"):
        modulated(exclude=["a", "b.0", "b.2"])
    with pytest.raises(ValueError, match="no layer to modulate"):
        torch_grapes.enable(nn.ReLU())


def test_enabling_twice_is_an_error_and_a_with_block_ends_with_its_error():
    model = network()
    plain = gradients(model, X)
    with pytest.raises(KeyError):
        with torch_grapes.enabled(model):
            with pytest.raises(RuntimeError, match="has a rule already"):
                torch_grapes.enable(model)
            with pytest.raises(RuntimeError, match="has a rule already"):
                torch_grapes.enable(nn.Sequential(model[0], nn.Linear(7, 2)))
            raise KeyError
    agree(gradients(model, X), plain, 1e-300)
    assert not model._forward_hooks and not model._forward_pre_hooks


@pytest.mark.parametrize("options, sentence", [
    ({"gain": 0}, "gain must be above 0"),
    ({"clip": (2, 1)}, "0 <= low <= high"), ({"clip": 2}, "clip must be (low, high), None or 'by-route'; got 2"), ({"clip": "none"}, "got 'none'"),
    ({"responsibility": "outgoing"}, "which is unknown for a single layer"),
    ({"modulation": "grape"}, "modulation must be one of none, grapes, grapes-local, uniform, shuffled, shuffled-fixed, inverse, mean-one, power, constant, norm-matched, balanced, balanced-once, balanced-shuffled; got 'grape'"),
    ({"modulation": "constant"}, "constant must have constants"),
    ({"modulation": "constant", "constants": [0]}, "constants must be above 0"),
    ({"modulation": "power"}, "power must have constants"),
    ({"modulation": "power", "constants": [float("inf")]}, "constants must be finite"),
    ({"modulation": "balanced"}, "the modulation balanced needs the whole network, and is only supported by grapes train"),
    ({"modulation": "norm-matched"}, "the modulation norm-matched needs the whole network"),
    ({"route": "ifa"}, "route ifa is not supported for existing models"),
    ({"responsibility": "all"}, "responsibility must be one of"),
    ({"every": 0}, "every must be at least 1"),
])
def test_invalid_options_are_errors(options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        torch_grapes.enable(network(), **options)


def test_a_weight_that_is_not_finite_names_its_layer():
    model = network()
    torch_grapes.enable(model)
    with torch.no_grad():
        model[2].weight[1, 1] = float("inf")
    with pytest.raises(ValueError, match="torch_grapes: 2: factor: every weight must be finite"):
        model(X)


class Late(nn.Module):
    """Layers that are registered in another order than they run."""

    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Linear(4, 2), nn.Linear(5, 4)

    def forward(self, x):
        return {"logits": (self.head(self.body(x).relu_()),)}


def test_a_wrong_guess_of_the_output_layer_stops_the_first_pass():
    model = Late()
    torch_grapes.enable(model)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="'body' is treated as the output layer.*computed by 'head': call enable"):
            model(torch.randn(3, 5))
    torch_grapes.disable(model)
    handle = torch_grapes.enable(model, output="head")
    model(torch.randn(3, 5))["logits"][0].sum().backward()
    assert handle.modulated == ("body",)


def test_a_layer_that_is_replaced_later_is_reported_once():
    """The new layer has no hook, so it would learn by plain backpropagation in silence."""
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2))
    torch_grapes.enable(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model(torch.randn(3, 4))
        model(torch.randn(3, 4))
        assert not caught
        model[2] = nn.Linear(5, 6)
        with torch.no_grad():
            model(torch.randn(3, 4))
        assert not caught
        for _ in range(2):
            model(torch.randn(3, 4))
        assert len(caught) == 1 and "not modulated any more" in str(caught[0].message) and ": 2; call revert()" in str(caught[0].message)


def test_a_layer_that_is_wrapped_later_is_still_modulated():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    torch_grapes.enable(model, modulation="constant", constants=[2.0])
    inputs = torch.randn(3, 4)
    model(inputs).sum().backward()
    expected = model[0].weight.grad.clone()
    model.zero_grad()
    model[0] = nn.Sequential(model[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(inputs).sum().backward()
    assert torch.equal(model[0][0].weight.grad, expected)


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.first, self.second, self.idle = nn.Linear(5, 4), nn.Linear(4, 2), nn.Linear(4, 2), nn.Linear(3, 3)

    def forward(self, x):
        h = self.body(x).relu_()
        return self.first(h), self.second(h)


def test_several_heads_and_an_uncalled_layer_cause_warnings():
    model = Heads()
    torch_grapes.enable(model, output="second")
    with pytest.warns(UserWarning) as caught:
        model(torch.randn(3, 5))
        model(torch.randn(3, 5))
    assert [str(w.message) for w in caught] == ["torch_grapes: these layers are not modulated, because this forward pass did not call them: idle"]
    torch_grapes.disable(model)
    del model.idle
    torch_grapes.enable(model)
    with pytest.warns(UserWarning, match="first are modulated, but lead directly to the model's output") as caught:
        model(torch.randn(3, 5))
        model(torch.randn(3, 5))
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch_grapes.disable(model)
        torch_grapes.enable(model, output=["first", "second"])
        model(torch.randn(3, 5))


def test_attention_causes_a_warning():
    model = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, dropout=0), nn.Linear(8, 3))
    with pytest.warns(UserWarning, match="0.self_attn \\(a module of type MultiheadAttention"):
        handle = torch_grapes.enable(model)
    assert handle.modulated == ("0.linear1", "0.linear2")


def test_a_layer_with_projections_is_an_error():
    model = nn.Sequential(nn.LSTM(3, 4, proj_size=2))
    with pytest.raises(ValueError, match="no layer to modulate"):
        torch_grapes.enable(model, include="*")


def test_uniform_gives_all_units_the_mean_factor():
    model = network()
    handle = torch_grapes.enable(model, "uniform")
    m = factor(model[0].weight)
    agree([handle.factors()["0"]], [torch.full_like(m, m.mean().item())])
    ours = gradients(model, X)
    handle.disable()
    a, b = (factor(model[k].weight).mean().item() for k in (0, 2))
    torch_grapes.enable(model, "constant", constants=[a, b])
    agree(gradients(model, X), ours)


def test_shuffled_permutes_the_factors_for_every_batch_and_equally_in_copies():
    model = network()
    handle = torch_grapes.enable(model, "shuffled")
    m = factor(model[0].weight)
    dealt = []
    for _ in range(12):
        model(X).sum().backward()
        dealt.append(handle.factors()["0"])
        agree([dealt[-1].sort().values], [m.sort().values])
    assert len({tuple(d.tolist()) for d in dealt}) > 6
    other = network()
    again = torch_grapes.enable(other, "shuffled")
    other(X).sum().backward()
    agree([again.factors()["0"]], [dealt[0]], 1e-300)


def test_shuffled_fixed_has_one_permutation_for_the_whole_run_and_one_per_layer():
    model = network()
    handle = torch_grapes.enable(model, "shuffled-fixed", seed=3, clip=None)
    dealt = []
    for _ in range(3):
        model(X).sum().backward()
        dealt.append(list(handle.factors().values()))
    agree(dealt[1] + dealt[2], dealt[0] + dealt[0], 1e-300)
    r = [model[k].weight.detach().abs().sum(1) for k in (0, 2)]
    plain = [2 * each / each.max() for each in r]
    agree([m.sort().values for m in dealt[0]], [m.sort().values for m in plain])
    with torch.no_grad():  # the permutation of the units stays when the weights change
        model[0].weight.copy_(torch.eye(*model[0].weight.shape) + 1)
        model[0].weight[0] *= 9
    assert handle.factors()["0"].argmax() == (dealt[0][0] - plain[0][0]).abs().argmin()


CONTROLS = {
    "inverse": ({}, lambda r: clipped(r).max() + clipped(r).min() - clipped(r)),
    "mean-one": ({}, lambda r: clipped(r) / clipped(r).mean()),
    "power": ({"constants": [1.5]}, lambda r: r**1.5 / (r**1.5).mean()),
}


def clipped(r):
    return (2 * r / r.max()).clamp(1, 2)


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_equal_a_recursion_by_hand(name):
    """Linear, tanh, Linear, tanh, Linear: δ is multiplied by the control's factors at both hidden layers."""
    torch.manual_seed(5)
    sizes = (6, 5, 4, 3)
    layers = [torch.nn.Linear(a, b, bias=False).double() for a, b in zip(sizes, sizes[1:])]
    model = torch.nn.Sequential(layers[0], torch.nn.Tanh(), layers[1], torch.nn.Tanh(), layers[2])
    options, formula = CONTROLS[name]
    W = [layer.weight.detach() for layer in layers]
    m = [formula(w.abs().sum(1)) for w in W]
    h = [torch.randn(7, 6).double()]
    for w in W[:2]:
        h.append(torch.tanh(h[-1] @ w.t()))
    delta = h[2] @ W[2].t()  # of the loss Σ y² / 2
    expected = [delta.t() @ h[2]]
    for l in (1, 0):
        delta = m[l] * (delta @ W[l + 1]) * (1 - h[l + 1] ** 2)
        expected.insert(0, delta.t() @ h[l])
    with torch_grapes.enabled(model, name, **options):
        (model(h[0]) ** 2 / 2).sum().backward()
    agree([layer.weight.grad for layer in layers], expected, 1e-12)


def test_constant_has_one_value_or_one_per_layer():
    model = network()
    for constants, expected in (([1.5], (1.5, 1.5)), ([1.5, 1.25], (1.5, 1.25))):
        with torch_grapes.enabled(model, "constant", constants=constants) as handle:
            assert [m.unique().tolist() for m in handle.factors().values()] == [[c] for c in expected]


def test_none_equals_backpropagation():
    model = network()
    plain = gradients(model, X)
    with torch_grapes.enabled(model, "none") as handle:
        agree(gradients(model, X), plain, 1e-300)
        assert handle.factors() == {} and set(handle.states.values()) == {"excluded"}


def reflected(m):
    return m.mean() * 2 - m


def test_a_custom_modulation():
    model = network()
    handle = torch_grapes.enable(model, reflected)
    m = factor(model[0].weight)
    agree([handle.factors()["0"]], [2 * m.mean() - m])
    assert repr(handle).startswith("reflected:")
    agree(gradients(pickle.loads(pickle.dumps(model)), X), gradients(model, X))
    handle.disable()
    torch_grapes.enable(model, lambda m: m[:2])
    with pytest.raises(ValueError, match=r"0: a modulation must return finite factors of shape \[7\]"):
        model(X)


def test_clip_and_gain_change_the_factor():
    model = network()
    r = model[0].weight.detach().abs().sum(1)
    with torch_grapes.enabled(model, gain=3, clip=(0.5, 2.5)) as handle:
        agree([handle.factors()["0"]], [(3 * r / r.max()).clamp(0.5, 2.5)])
    with torch_grapes.enabled(model, clip=None) as handle:
        agree([handle.factors()["0"]], [2 * r / r.max()])
        differ([handle.factors()["0"]], [factor(model[0].weight)])
