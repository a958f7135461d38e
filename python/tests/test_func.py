"""torch.func and second derivatives: correct, or an error with a message."""
import pytest
import torch
import torch_grapes
from torch import nn
from torch_grapes.context import TORCH

from reference import agree, differ, drawn, gradients, network, weighed

pytestmark = pytest.mark.skipif(TORCH < (2, 0), reason="torch.func is part of PyTorch from 2.0")
X = drawn(4, 5)
VERSIONS = pytest.mark.parametrize("modulation", ["grapes", "grapes-local"])


def enabled_network(modulation="grapes", **options):
    model = network()
    torch_grapes.enable(model, modulation, **options)
    return model


def weights(model):
    return {name: p.detach() for name, p in model.named_parameters()}


def loss_of(model):
    return lambda parameters, x: weighed(torch.func.functional_call(model, parameters, (x,)))


@VERSIONS
def test_grad(modulation):
    model = enabled_network(modulation)
    ours = torch.func.grad(loss_of(model))(weights(model), X)
    agree(list(ours.values()), gradients(model, X)[:-1])
    differ(list(ours.values()), gradients(network(), X)[:-1])
    with torch.no_grad():
        agree(list(torch.func.grad(loss_of(model))(weights(model), X).values()), list(ours.values()))


@VERSIONS
def test_gradients_of_each_example(modulation):
    model = enabled_network(modulation)
    one = lambda parameters, x: loss_of(model)(parameters, x[None])
    each = torch.func.vmap(torch.func.grad(one), (None, 0))(weights(model), X)
    for b in range(4):
        agree([g[b] for g in each.values()], gradients(model, X[b : b + 1])[:-1])


@VERSIONS
def test_several_models_at_once(modulation):
    """Each has weights and therefore factors of its own."""
    models = [network() for _ in range(3)]
    for k, model in enumerate(models):
        for p in model.parameters():
            with torch.no_grad():
                p.mul_(torch.linspace(1, 1 + k, len(p), dtype=torch.float64).view(-1, *[1] * (p.dim() - 1)))
    stacked = {name: p.detach() for name, p in torch.func.stack_module_state(models)[0].items()}
    one = enabled_network(modulation)
    ours = torch.func.vmap(torch.func.grad(loss_of(one)), (0, None))(stacked, X)
    for k, model in enumerate(models):
        torch_grapes.enable(model, modulation)
        agree([g[k] for g in ours.values()], gradients(model, X)[:-1])


@VERSIONS
def test_jacrev(modulation):
    model = enabled_network(modulation)
    jacobian = torch.func.jacrev(model)(X)
    error = torch.linspace(-1, 2, 12, dtype=torch.float64).view(4, 3)
    agree([torch.einsum("bk,bkcj->cj", error, jacobian)], gradients(model, X)[-1:])


def test_forward_mode_is_an_error():
    """Forward mode has no error that a factor could scale."""
    model = enabled_network()
    for transform in (torch.func.jacfwd, torch.func.hessian):
        with pytest.raises(RuntimeError, match="jvp"):
            transform(lambda x: model(x).square().sum())(X)


def test_modulations_that_count_batches_are_an_error():
    model = enabled_network("shuffled")
    with pytest.raises(RuntimeError, match="counts batches"):
        torch.func.grad(loss_of(model))(weights(model), X)


def test_a_wrong_guess_of_the_output_layer_is_an_error():
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.body = nn.Linear(4, 2).double(), nn.Linear(5, 4).double()

        def forward(self, x):
            return self.head(self.body(x).relu())

    model = Late()
    torch_grapes.enable(model)
    with pytest.raises(RuntimeError, match="'body' is treated as the output layer"):
        torch.func.grad(loss_of(model))(weights(model), X)


def test_a_recurrent_layer_is_an_error():
    model = nn.LSTM(5, 4).double()
    torch_grapes.enable(model, include="*")
    with pytest.raises(RuntimeError, match="a recurrent layer cannot be modulated inside torch.func; exclude the layer"):
        torch.func.grad(lambda p: torch.func.functional_call(model, p, (X,))[0].sum())(weights(model))


@pytest.mark.parametrize("route", ["bp", "fa", "sign-symmetric"])
def test_layers_with_routes(route):
    model = torch_grapes.nn.Linear(5, 4, route=route, dtype=torch.float64)
    agree(list(torch.func.grad(loss_of(model))(weights(model), X).values()), gradients(model, X)[:-1])


def test_spiking_layers():
    model = torch_grapes.nn.Snu(5, 4, recurrent=True, output="sigmoid", dtype=torch.float64)
    x = drawn(3, 2, 5)
    agree(list(torch.func.grad(loss_of(model))(weights(model), x).values()), gradients(model, x)[:-1])
    each = torch.func.vmap(torch.func.grad(lambda p, x: loss_of(model)(p, x[:, None])), (None, 1))(weights(model), x)
    agree([g[1] for g in each.values()], gradients(model, x[:, 1:])[:-1])


@pytest.mark.parametrize("of", [lambda y: y.square().sum(), lambda y: y.sum()])
def test_a_spiking_layer_is_not_differentiable_twice(of):
    layer = torch_grapes.nn.Snu(5, 4, dtype=torch.float64)
    x = drawn(3, 2, 5).requires_grad_()
    with pytest.raises(RuntimeError, match="not differentiable twice"):
        (g,) = torch.autograd.grad(of(layer.run(x).membrane), x, create_graph=True)
        torch.autograd.grad(g.square().sum(), x)


def test_compiled():
    if TORCH < (2, 6):
        pytest.skip("torch.compile traces torch.func from PyTorch 2.6")
    model = enabled_network()
    compiled = torch.compile(torch.func.grad(loss_of(model)), backend="aot_eager", fullgraph=True)
    if TORCH < (2, 7):
        with pytest.raises(RuntimeError, match="call torch.func without torch.compile"):
            compiled(weights(model), X)
        return
    ours = compiled(weights(model), X)
    agree(list(ours.values()), gradients(model, X)[:-1])
