"""LocalOptimizer takes the steps of enable(model, "grapes-local") with any optimizer, after a plain backward pass."""
import copy
import pickle

import pytest
import torch
import torch_grapes
from torch import nn

from reference import agree, drawn, factor, network, weighed, wide

X = drawn(4, 5)
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 0.01, eps=0.1),  # with a small eps, a constant factor would cancel out
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01),
}


def steps(model, optimizer, count=3, x=X):
    for _ in range(count):
        optimizer.zero_grad()
        output = model(x)
        weighed(output[0] if isinstance(output, tuple) else output).backward()
        optimizer.step()
    return [p.detach().clone() for p in model.parameters()]


def same(ours, theirs):
    agree([p.detach() for p in ours], [p.detach() for p in theirs], 1e-14)


@pytest.mark.parametrize("kind", list(OPTIMIZERS))
def test_steps_equal_those_of_the_local_version(kind):
    model, other, plain = network(), network(), network()
    ours = steps(model, torch_grapes.LocalOptimizer(OPTIMIZERS[kind](model.parameters()), model))
    torch_grapes.enable(other, "grapes-local")
    same(ours, steps(other, OPTIMIZERS[kind](other.parameters())))
    assert any((a - b).abs().max() > 1e-4 for a, b in zip(ours, steps(plain, OPTIMIZERS[kind](plain.parameters()))))


@pytest.mark.parametrize("make, shape", [(lambda: nn.Conv2d(2, 4, 3), (2, 2, 5, 6)), (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2), (2, 4, 3, 3)),
                                         (lambda: nn.LSTM(3, 4, 2, bidirectional=True), (5, 2, 3)), (lambda: nn.GRUCell(3, 4), (2, 3))])
def test_all_kinds_of_layers_are_scaled(make, shape):
    model, other = wide(make()), wide(make())
    ours = steps(model, torch_grapes.LocalOptimizer(torch.optim.SGD(model.parameters(), 0.05), model, include="*"), x=drawn(*shape))
    torch_grapes.enable(other, "grapes-local", include="*")
    for a, b in zip(ours, steps(other, torch.optim.SGD(other.parameters(), 0.05), x=drawn(*shape))):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-13)  # the sum over time is scaled, not its terms


def test_gradients_are_restored_after_the_step():
    model = network()
    optimizer = torch_grapes.LocalOptimizer(torch.optim.SGD(model.parameters(), 0.1), model)
    weighed(model(X)).backward()
    before = [p.grad.clone() for p in model.parameters()]
    W, m = model[0].weight.detach().clone(), factor(model[0].weight)
    optimizer.step()
    for p, gradient in zip(model.parameters(), before):
        assert torch.equal(p.grad, gradient)
    same([model[0].weight], [W - 0.1 * (m.view(-1, 1) * before[0])])


def test_it_shows_how_each_layer_is_treated():
    model = nn.Sequential(nn.Embedding(9, 5), nn.Linear(5, 4), nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 4), nn.Linear(4, 2))
    with pytest.warns(UserWarning, match="0 \\(a module of type Embedding"):
        optimizer = torch_grapes.LocalOptimizer(torch.optim.SGD(model.parameters(), 0.1), model, exclude="3", gain=3)
    assert list(optimizer.states.values()) == ["unmatched", "local", "frozen", "excluded", "output"]
    assert repr(optimizer).startswith("grapes: gain 3, clip [1, 2]") and "  1  local" in repr(optimizer) and "lr: 0.1" in repr(optimizer)


def test_invalid_options_and_states_are_errors():
    model = network()
    inner = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(ValueError, match="the route must be bp"):
        torch_grapes.LocalOptimizer(inner, model, route="fa")
    with pytest.raises(ValueError, match="include must name layers of the model; got '9'"):
        torch_grapes.LocalOptimizer(inner, model, include="9")
    optimizer = torch_grapes.LocalOptimizer(inner, model)
    weighed(model(X)).backward()
    with torch.no_grad():
        model[2].weight[1, 1] = float("nan")
    before = model[2].weight.grad
    with pytest.raises(ValueError, match="torch_grapes: 2: factor: every weight must be finite"):
        optimizer.step()
    assert model[2].weight.grad is before and model[0].weight.grad is not None
    torch.nn.utils.parametrizations.spectral_norm(model[0])
    with torch.no_grad():
        model[2].weight[1, 1] = 0
    with pytest.raises(ValueError, match="0: its weight is computed from other parameters"):
        optimizer.step()


def test_it_is_an_optimizer_for_schedulers_and_scaler_and_closures():
    model = network()
    inner = torch.optim.SGD(model.parameters(), 1.0)
    optimizer = torch_grapes.LocalOptimizer(inner, model)
    assert isinstance(optimizer, torch.optim.Optimizer)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    steps(model, optimizer, 1)
    scheduler.step()
    assert inner.param_groups[0]["lr"] == 0.5 and scheduler.get_last_lr() == [0.5]
    model, other = network(), network()
    ours, theirs = torch.optim.LBFGS(model.parameters(), max_iter=3), torch.optim.LBFGS(other.parameters(), max_iter=3)
    torch_grapes.enable(other, "grapes-local")
    for net, optimizer in ((model, torch_grapes.LocalOptimizer(ours, model)), (other, theirs)):
        def closure():
            optimizer.zero_grad()
            loss = weighed(torch.tanh(net(X)))
            loss.backward()
            return loss
        assert isinstance(optimizer.step(closure), torch.Tensor)
    same(model.parameters(), other.parameters())


@pytest.mark.parametrize("way", ["state_dict", "pickle"])
def test_a_run_that_resumes_computes_the_same_bits(way):
    def made():
        model = network()
        return model, torch_grapes.LocalOptimizer(OPTIMIZERS["adam"](model.parameters()), model, "shuffled", every=3)

    whole = made()
    expected = steps(*whole, 7)
    model, optimizer = made()
    steps(model, optimizer, 4)
    if way == "pickle":
        model, optimizer = pickle.loads(pickle.dumps((model, optimizer)))
    else:
        saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
        model, optimizer = made()
        model.load_state_dict(saved[0])
        optimizer.load_state_dict(saved[1])
        with pytest.raises(ValueError, match="saved by a LocalOptimizer"):
            optimizer.load_state_dict(optimizer.optimizer.state_dict())
        with pytest.raises(ValueError, match="saved for the layers 0; got 0, 2"):
            torch_grapes.LocalOptimizer(optimizer.optimizer, model, include="0").load_state_dict(saved[1])
    for a, b in zip(steps(model, optimizer, 3), expected):
        assert torch.equal(a, b)


class Tied(nn.Module):
    """Two hidden layers with one weight. On request, a third has the bias of the first, or the output layer has the weight too."""

    def __init__(self, bias=False, output=False):
        super().__init__()
        self.a, self.b, self.o = (wide(nn.Linear(5, 5), seed) for seed in (1, 2, 3))
        self.b.weight = self.a.weight
        if output:
            self.o.weight = self.a.weight
        if bias:
            self.o = nn.Sequential(wide(nn.Linear(5, 5), 3), wide(nn.Linear(5, 2), 4))
            self.o[0].bias = self.a.bias

    def forward(self, x):
        return self.o(torch.tanh(self.b(torch.tanh(self.a(x)))))


def test_a_tied_weight_is_scaled_once():
    model, other = Tied(), Tied()
    ours = steps(model, torch_grapes.LocalOptimizer(torch.optim.SGD(model.parameters(), 0.05), model))
    torch_grapes.enable(other, "grapes-local")
    same(ours, steps(other, torch.optim.SGD(other.parameters(), 0.05)))


def test_the_gradient_of_a_tied_weight_is_restored():
    model = Tied()
    optimizer = torch_grapes.LocalOptimizer(torch.optim.SGD(model.parameters(), 0.05), model)
    weighed(model(X)).backward()
    before = model.a.weight.grad.clone()
    optimizer.step()
    assert torch.equal(model.a.weight.grad, before)


def test_a_parameter_of_layers_with_different_factors_is_an_error():
    model = Tied(output=True)
    with pytest.raises(ValueError, match="a shares a parameter with o, which is not scaled"):
        torch_grapes.LocalOptimizer(torch.optim.SGD(model.parameters(), 0.05), model)
    model = Tied(bias=True)
    optimizer = torch_grapes.LocalOptimizer(torch.optim.SGD(model.parameters(), 0.05), model)
    weighed(model(X)).backward()
    before = [p.grad.clone() for p in model.parameters()]
    with pytest.raises(ValueError, match="o.0 shares a parameter with a layer that has other factors"):
        optimizer.step()
    for p, gradient in zip(model.parameters(), before):
        assert torch.equal(p.grad, gradient)


def test_a_layer_that_enable_scales_too_is_an_error():
    model = network()
    handle = torch_grapes.enable(model)
    with pytest.raises(RuntimeError, match="0 is modulated by enable.. or convert.. too"):
        torch_grapes.LocalOptimizer(torch.optim.SGD(model.parameters(), 0.05), model)
    handle.disable()
    optimizer = torch_grapes.LocalOptimizer(torch.optim.SGD(model.parameters(), 0.05), model, exclude="2")
    with torch_grapes.enabled(model, include="2"):  # another layer
        steps(model, optimizer)
    with torch_grapes.enabled(model), pytest.raises(RuntimeError, match="scaled twice"):
        steps(model, optimizer)
    torch_grapes.convert(model, "fa")  # a route scales nothing
    steps(model, optimizer)
