"""Layers of torch_grapes.nn: values equal PyTorch's bit for bit, and routes equal explicit computations."""
import copy

import pytest
import torch
import torch_grapes
from torch import nn
from torch.nn import functional as F
from torch_grapes import nn as routed

from reference import agree, clip, drawn, factor, gradients, weighed, wide

ROUTES = pytest.mark.parametrize("route", [name for name in torch_grapes.routes if name != "ifa"])


@ROUTES
@pytest.mark.parametrize("modulation", ["none", "grapes", "grapes-local", "uniform", "inverse", "mean-one"])
def test_values_equal_those_of_pytorchs_layers(route, modulation):
    torch.manual_seed(1)
    for ours, theirs, x in (
        (routed.Linear(5, 4, route=route, modulation=modulation), nn.Linear(5, 4), torch.randn(3, 5)),
        (routed.Conv2d(4, 6, 3, 2, 1, groups=2, route=route, modulation=modulation), nn.Conv2d(4, 6, 3, 2, 1, groups=2), torch.randn(2, 4, 7, 7)),
    ):
        missing, unexpected = ours.load_state_dict(theirs.state_dict(), strict=False)
        assert missing == (["feedback"] if torch_grapes.routes[route].feedback == "above" else []) and not unexpected
        assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("modulation", ["grapes", "grapes-local"])
def test_gradients_equal_those_of_enable_bit_for_bit(modulation):
    ours = nn.Sequential(routed.Conv2d(1, 4, 3, modulation=modulation), nn.Tanh(), nn.Flatten(),
                         routed.Linear(64, 6, modulation=modulation), nn.Tanh(), routed.Linear(6, 3, modulation="none"))
    theirs = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, 3))
    wide(ours), theirs.double().load_state_dict(ours.state_dict())
    x = drawn(2, 1, 6, 6)
    torch_grapes.enable(theirs, modulation)
    for a, b in zip(gradients(ours, x), gradients(theirs, x)):
        assert torch.equal(a, b)


def chain(route, modulation="grapes"):
    layers = [wide(routed.Linear(a, b, route=route, modulation=m), seed)
              for seed, (a, b, m) in enumerate([(5, 7, modulation), (7, 6, modulation), (6, 3, "none")])]
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


@pytest.mark.parametrize("route", ["fa", "sign-symmetric"])
@pytest.mark.parametrize("modulation", ["none", "grapes", "grapes-local"])
def test_routes_equal_the_recursion_by_hand(route, modulation):
    model, x = chain(route, modulation), drawn(4, 5)
    L = [model[k] for k in (0, 2, 4)]
    with torch.no_grad():
        h = [x]
        for l in range(3):
            a = h[l] @ L[l].weight.t() + L[l].bias
            h.append(torch.tanh(a) if l < 2 else a)
        back = [layer.feedback if route == "fa" else (layer.weight.sign() * layer.weight.abs().mean()).t() for layer in L]
        delta = torch.linspace(-1, 2, 12, dtype=torch.float64).view(4, 3)
        expected = [delta.t() @ h[2], delta.sum(0)]
        for l in (1, 0):
            r = L[l].weight.abs().sum(1)
            m = 2 * r / r.max() if route == "fa" else clip(r)
            delta = delta @ back[l + 1].t() * (1 - h[l + 1] ** 2)
            own = delta * (1 if modulation == "none" else m)
            delta = own if modulation == "grapes" else delta
            expected = [own.t() @ h[l], own.sum(0), *expected]
        expected.append(delta @ back[0].t())
    agree(gradients(model, x), expected)


def test_routes_through_convolutions_equal_the_recursion():
    layer = wide(routed.Conv2d(4, 6, 3, 2, 1, groups=2, route="fa", modulation="none"))
    x = drawn(2, 4, 7, 7).requires_grad_()
    W, b = layer.weight.detach().requires_grad_(), layer.bias.detach()
    weighed(layer(x)).backward()
    y = x.detach().requires_grad_()
    other = (F.conv2d(x.detach(), W, b, 2, 1, 1, 2), F.conv2d(y, layer.feedback, None, 2, 1, 1, 2))
    weighed(other[0]).backward()
    weighed(other[1]).backward()
    agree([x.grad, layer.weight.grad], [y.grad, W.grad])
    assert (layer.feedback - layer.weight).abs().max() > 0.1 and not layer.feedback.requires_grad


class Direct(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = wide(routed.Conv2d(1, 2, 3, route="dfa", clip=(1, 2)), 1)
        self.b, self.c = wide(routed.Linear(32, 6, route="dfa"), 2), wide(routed.Linear(6, 3, route="dfa", modulation="none"), 3)
        self.direct = routed.DirectFeedback([32, 6], 3, dtype=torch.float64)

    def forward(self, x):
        h = torch.tanh(self.a(x))
        g = torch.tanh(self.b(h.flatten(1)))
        return self.direct(self.c(g), h, g)


@ROUTES
@pytest.mark.parametrize("modulation", ["none", "grapes", "grapes-local"])
@pytest.mark.parametrize("shape", [(5,), (2, 3, 5), (2, 1, 3, 5)])
def test_linear_takes_any_rank(route, modulation, shape):
    layer, x = wide(routed.Linear(5, 4, route=route, modulation=modulation)), drawn(*shape).requires_grad_()
    assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))

    def run(x, after):
        layer.zero_grad()
        torch.manual_seed(1)  # brsf draws its feedback weights in each pass
        y = after(layer(x))
        (y * torch.linspace(-1, 2, y.numel(), dtype=torch.float64).view(y.shape)).sum().backward()
        return layer.weight.grad.clone(), layer.bias.grad.clone(), torch.zeros_like(x) if x.grad is None else x.grad.clone()

    rows = x.detach().reshape(-1, 5).requires_grad_()
    ours, theirs = run(x, lambda y: y), run(rows, lambda y: y)
    agree(ours, [*theirs[:2], theirs[2].view(shape)])


def test_direct_feedback_equals_the_recursion_by_hand():
    model, x = Direct(), drawn(4, 1, 6, 6)
    with torch.no_grad():
        h = torch.tanh(F.conv2d(x, model.a.weight, model.a.bias))
        g = torch.tanh(F.linear(h.flatten(1), model.b.weight, model.b.bias))
        e = torch.linspace(-1, 2, 12, dtype=torch.float64).view(4, 3)
        r = model.b.weight.abs().sum(1)
        d = 2 * r / r.max() * (e @ model.direct.feedback1.t()) * (1 - g * g)
        c = factor(model.a.weight).view(1, 2, 1, 1) * (e @ model.direct.feedback0.t()).view_as(h) * (1 - h * h)
        patches = F.unfold(x, 3)  # [batch, 9, positions]
        expected = [torch.einsum("bcp,bip->ci", c.flatten(2), patches).view(2, 1, 3, 3), c.sum((0, 2, 3)),
                    d.t() @ h.flatten(1), d.sum(0), e.t() @ g, e.sum(0)]
    weighed(model(x)).backward()
    agree([p.grad for p in model.parameters()], expected)


def test_enable_does_not_change_these_layers_and_copies_keep_their_route():
    model = chain("fa")
    model.append(nn.Tanh()).append(wide(nn.Linear(3, 4))).append(nn.Linear(4, 2).double())
    handle = torch_grapes.enable(model, warn=False)
    assert handle.modulated == ("6",)
    ours = gradients(model, drawn(4, 5))
    for a, b in zip(gradients(copy.deepcopy(model), drawn(4, 5)), ours):
        assert torch.equal(a, b)
    assert "route=fa, modulation=grapes" in repr(model)


def test_invalid_rules_and_shapes_are_errors():
    with pytest.raises(ValueError, match="route ifa sends the error upward through a network"):
        routed.Linear(2, 2, route="ifa")
    with pytest.raises(ValueError, match="route must be one of bp, fa, .*got 'up'"):
        routed.Conv2d(2, 2, 1, route="up")
    with pytest.raises(ValueError, match=r"Linear: responsibility must be incoming or input, because a single layer does not know"):
        routed.Linear(2, 2, responsibility="outgoing")
    with pytest.raises(ValueError, match="padding"):
        routed.Conv2d(1, 1, 3, padding="same")
    with pytest.raises(ValueError, match="2 hidden activations are expected; got 1"):
        routed.DirectFeedback([3, 4], 2)(torch.zeros(1, 2), torch.zeros(1, 3))


def test_an_in_place_activation_may_follow():
    layer, x = routed.Linear(5, 6, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    expected = torch.autograd.grad((layer(x).relu() ** 2).sum(), layer.weight)[0]
    assert torch.equal(torch.autograd.grad((layer(x).relu_() ** 2).sum(), layer.weight)[0], expected)


def test_a_spiking_layer_in_a_model_that_is_enabled_is_modulated_once():
    torch.manual_seed(2)
    spiking = routed.Snu(5, 4, output="sigmoid", dtype=torch.float64)
    with torch.no_grad():
        spiking.weight.mul_(torch.linspace(0.5, 2, 4, dtype=torch.float64)[:, None])
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    model = nn.Sequential(spiking, nn.Linear(4, 3, dtype=torch.float64), nn.Linear(3, 2, dtype=torch.float64))

    def gradient():
        return torch.autograd.grad((model(x) ** 2).sum(), spiking.weight)[0]

    alone = gradient()
    with torch_grapes.enabled(model, "constant", constants=[1]) as handle:
        assert list(handle.factors()) == ["1"]
        assert torch.equal(gradient(), alone)
    spiking.rule = torch_grapes.Rule(modulation="none")
    agree(alone, gradient() * torch_grapes.factor(spiking.weight)[:, None])


def test_invalid_options_of_a_spiking_layer_are_errors():
    with pytest.raises(ValueError, match="reset must be one of hard, subtract, none, lateral; got 'soft'"):
        routed.Snu(3, 2, reset="soft")
    with pytest.raises(ValueError, match=r"x must be \[time, batch, 3\].*got \[4, 3\]"):
        routed.Snu(3, 2)(torch.zeros(4, 3))
    with pytest.raises(RuntimeError, match="present must be"):
        routed.Snu(3, 2).run(torch.zeros(5, 4, 3), present=torch.ones(4, 5, dtype=torch.bool))
