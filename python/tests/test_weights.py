"""Weights that are not plain parameters of one layer: parametrized, normalized, pruned, tied, reused, frozen, lazy, 16-bit."""
import copy

import pytest
import torch
import torch_grapes
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize, prune

from reference import ByEquations, First, agree, drawn, expected, factor, gradients, network, scale, wide, written_out

X = drawn(4, 5)
VERSIONS = pytest.mark.parametrize("modulation", ["grapes", "grapes-local"])


def test_factors_follow_a_write_that_skips_the_version_counter():
    model = network()
    torch_grapes.enable(model)
    gradients(model, X)
    model[0].weight.data[2] *= 9  # as old optimizers do
    agree(gradients(model, X), expected(model, X))


def test_a_replaced_weight_has_its_own_factor():
    model = network()
    handle = torch_grapes.enable(model)
    first = handle.factors()["0"]
    old, model[0].weight = model[0].weight, nn.Parameter(model[0].weight.detach().flip(0))
    while model[0].weight._version < old._version:
        model[0].weight.detach().mul_(1)
    agree([handle.factors()["0"]], [first.flip(0)], 1e-300)


@VERSIONS
def test_autocast_on_cpu_in_bfloat16(modulation):
    torch.manual_seed(1)
    model = network().float()
    shared = nn.Sequential(model, nn.Linear(3, 5), model[0], nn.ReLU(), nn.Linear(7, 2))  # one layer twice, one cast of its weight
    double = copy.deepcopy(shared).double()
    x = X.float()

    def run():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = shared(x)
        assert output.dtype == torch.bfloat16
        return output.float()

    run.parameters = shared.parameters
    f = lambda x: run()
    f.parameters = shared.parameters
    plain = gradients(f, x)[:-1]
    torch_grapes.enable(shared, modulation)
    torch_grapes.enable(double, modulation)
    ours, exact = gradients(f, x)[:-1], gradients(double, X)[:-1]
    for a, b, c in zip(ours, exact, plain):
        assert a.dtype == torch.float32
        assert (a - b).norm() < 0.03 * b.norm() + 1e-6
    assert any((b - c).norm() > 0.2 * c.norm() for b, c in zip(exact, plain)), "the tolerance tells them apart"


def test_weights_in_bfloat16_have_factors_in_float32():
    model = network().bfloat16()
    handle = torch_grapes.enable(model)
    model(X.bfloat16()).sum().backward()
    agree([handle.factors()["0"]], [factor(model[0].weight.float())], 1e-6)


class Exponential(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, W):
        self.calls += 1
        return W.exp()


def test_parametrized_weights():
    model = network()
    counter = Exponential()
    parametrize.register_parametrization(model[2], "weight", counter)
    torch_grapes.enable(model)
    counter.calls = 0
    ours = gradients(model, X)
    assert counter.calls == 1, "not computed again for the factor"
    f = lambda x: written_out(model, x, weights=[model[0].weight, model[2].weight, model[4].weight])
    f.parameters = model.parameters
    agree(ours, gradients(f, X))
    with parametrize.cached():
        agree(gradients(model, X), ours)


def test_parametrized_weights_local():
    model = network()
    parametrize.register_parametrization(model[2], "weight", Exponential())
    names = [name for name, _ in model.named_parameters()]
    plain = dict(zip(names, gradients(model, X)))
    m0, m2 = factor(model[0].weight), factor(model[2].weight)
    for name, g in plain.items():
        g *= m0.view(-1, *[1] * (g.dim() - 1)) if name.startswith("0.") else m2.view(-1, *[1] * (g.dim() - 1)) if name.startswith("2.") else 1
    torch_grapes.enable(model, "grapes-local")
    ours = dict(zip(names, gradients(model, X)))
    agree([ours[name] for name in names], [plain[name] for name in names])  # exp acts element by element


def test_spectral_norm_is_not_iterated_more_often():
    plain, ours = network(), network()
    for model in (plain, ours):
        torch.manual_seed(1)
        nn.utils.parametrizations.spectral_norm(model[0])
    handle = torch_grapes.enable(ours)
    for _ in range(2):
        gradients(plain, X), gradients(ours, X), handle.factors()
    assert torch.equal(plain.state_dict()["0.parametrizations.weight.0._u"], ours.state_dict()["0.parametrizations.weight.0._u"])


def test_parametrizing_after_enable_is_an_error():
    model = network()
    torch_grapes.enable(model)
    parametrize.register_parametrization(model[2], "weight", Exponential())
    with pytest.raises(RuntimeError, match="parametrized after enable"):
        model(X)


def test_parametrized_recurrent_layers_are_an_error():
    model = nn.Sequential(nn.LSTM(3, 4))
    parametrize.register_parametrization(model[0], "weight_hh_l0", Exponential())
    with pytest.raises(ValueError, match="no layer to modulate"):
        torch_grapes.enable(model, include="*")


@VERSIONS
@pytest.mark.parametrize("how", ["weight_norm", "pruned"])
def test_weights_that_are_set_before_every_call(modulation, how):
    model, twin = network(), network()
    for net in (model, twin):
        nn.utils.weight_norm(net[2]) if how == "weight_norm" else prune.l1_unstructured(net[2], "weight", 0.3)
    torch_grapes.enable(model, modulation)

    def f(x):
        net = twin
        h = x
        for k in range(3):
            layer = net[2 * k]
            for hook in layer._forward_pre_hooks.values():
                hook(layer, None)
            W, b, m = layer.weight, layer.bias, factor(layer.weight)
            if k < 2 and modulation == "grapes-local":
                h = torch.relu(F.linear(h, scale(W, m.view(-1, 1)), scale(b, m)))
            else:
                h = F.linear(h, W, b)
                h = torch.relu(scale(h, m)) if k < 2 else h
        return h

    f.parameters = twin.parameters
    agree(gradients(model, X), gradients(f, X))


class Tied(nn.Module):
    """One weight in three roles: two hidden layers, and the output layer that is not modulated."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = (wide(nn.Linear(5, 5, bias=False), 1) for _ in range(3))
        self.b.weight = self.out.weight = self.a.weight

    def forward(self, x):
        return self.out(torch.tanh(self.b(torch.tanh(self.a(x)))))


@VERSIONS
def test_weight_tying(modulation):
    model = Tied()
    W, m = model.a.weight, factor(model.a.weight)

    def f(x):
        if modulation == "grapes-local":
            own = scale(W, m.view(-1, 1))
            h = torch.tanh(F.linear(torch.tanh(F.linear(x, own)), own))
        else:
            h = torch.tanh(scale(F.linear(torch.tanh(scale(F.linear(x, W), m)), W), m))
        return F.linear(h, W)

    f.parameters = model.parameters
    theirs = gradients(f, X)
    torch_grapes.enable(model, modulation)
    agree(gradients(model, X), theirs)


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.step, self.out = wide(nn.Linear(5, 5), 1), wide(nn.Linear(5, 3), 2)

    def forward(self, x):
        for _ in range(3):
            x = torch.tanh(self.step(x))
        return self.out(x)


@VERSIONS
def test_a_module_called_several_times(modulation):
    model = Looped()
    W, b, m = model.step.weight, model.step.bias, factor(model.step.weight)

    def f(x):
        for _ in range(3):
            if modulation == "grapes-local":
                x = torch.tanh(F.linear(x, scale(W, m.view(-1, 1)), scale(b, m)))
            else:
                x = torch.tanh(scale(F.linear(x, W, b), m))
        return model.out(x)

    f.parameters = model.parameters
    theirs = gradients(f, X)
    torch_grapes.enable(model, modulation)
    agree(gradients(model, X), theirs)


@pytest.mark.parametrize("modulation, expected", [("grapes", [[2, 4], [5, 10], [8, 16]]), ("grapes-local", [[1, 2], [4, 8], [4, 8]]),
                                                  ("none", [[1, 2], [4, 8], [2, 4]])])
def test_a_frozen_layer_by_hand(modulation, expected):
    """src/grapes/credit/backward_test.cpp has the same numbers."""
    model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        for layer, W in zip(model, ([[1, 0], [1, -1], [3, 1]], [[1, 1, 2], [0, 1, 0]], [[1, 3]])):
            layer.weight.copy_(torch.tensor(W))  # m = 1, 1, 2 and m = 2, 1; the last one is the output layer
    model[1].weight.requires_grad_(False)
    torch_grapes.enable(model, modulation)
    model(torch.tensor([[1.0, 2.0]])).sum().backward()
    assert model[0].weight.grad.tolist() == expected and model[1].weight.grad is None


def test_a_frozen_layer_scales_the_error_that_passes_through_it():
    model = network()
    model[2].requires_grad_(False)
    theirs = expected(model, X)
    torch_grapes.enable(model)
    ours = gradients(model, X)
    assert len(ours) == 5  # two layers and x
    agree(ours, theirs)


def test_a_frozen_layer_with_the_local_version_scales_nothing():
    model = network()
    model[2].requires_grad_(False)
    plain = gradients(model, X)
    m = factor(model[0].weight)
    torch_grapes.enable(model, "grapes-local")
    agree(gradients(model, X), [plain[0] * m.view(-1, 1), plain[1] * m, *plain[2:]])


def test_a_bias_alone_can_learn_with_the_local_version():
    model = network()
    model[0].weight.requires_grad_(False)
    plain = gradients(model, X)
    torch_grapes.enable(model, "grapes-local", include="0")
    agree(gradients(model, X), [plain[0] * factor(model[0].weight), *plain[1:]])


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("frozen", ["weight_ih_l0", "weight_ih_l1", "weight_hh_l0", "l0", "l1"])
@pytest.mark.parametrize("compounding", [False, True])
def test_frozen_weights_of_a_recurrent_layer_scale_the_error(kind, frozen, compounding):
    module = wide(kind(3, 4, 2))
    for name, p in module.named_parameters():
        p.requires_grad_(not name.endswith(frozen))
    theirs = gradients(ByEquations(module, False, compounding), drawn(5, 2, 3))
    torch_grapes.enable(module, include="*", compounding=compounding)
    agree(gradients(First(module), drawn(5, 2, 3)), theirs)


def test_frozen_recurrent_weights_that_autocast_copies_are_an_error():
    model = nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 4))
    model[1].weight_ih_l0.requires_grad_(False)
    torch_grapes.enable(model, include="*")
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(RuntimeError, match="1: .*exclude the layer"):
        model(torch.randn(5, 2, 3))


def test_a_lazy_layer_gets_its_factors_when_it_has_its_shape():
    model = nn.Sequential(nn.LazyLinear(7), nn.ReLU(), nn.Linear(7, 3)).double()
    torch_grapes.enable(model)
    model(X)
    wide(model[0])
    m = factor(model[0].weight)
    f = lambda x: model[2](torch.relu(scale(F.linear(x, model[0].weight, model[0].bias), m)))
    f.parameters = model.parameters
    theirs = gradients(f, X)
    agree(gradients(model, X), theirs)
