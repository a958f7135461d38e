"""torch_grapes.nn gives what grapes::nn gives, bit for bit in float64, but for MKL's products. GRAPES_PARITY names the C++ side, tests/python_parity.cpp."""
import os
import subprocess

import pytest
import torch

import torch_grapes

PROGRAM = os.environ.get("GRAPES_PARITY")
ROUTES = ("bp", "fa", "sign-symmetric", "dfa", "eprop", "eprop-symmetric", "kolen-pollack", "usf", "frsf")  # brsf draws in each pass
MODULATIONS = ("none", "grapes", "grapes-local", "uniform", "inverse", "mean-one")


def waves(shape, first):
    count = 1
    for size in shape:
        count *= size
    return (torch.arange(count, dtype=torch.float64) + first).sin().reshape(shape)


@pytest.fixture(scope="module")
def by_cpp(tmp_path_factory):
    if not PROGRAM:
        pytest.skip("GRAPES_PARITY is not set: the C++ side is not built")
    path = tmp_path_factory.mktemp("parity") / "results.pt"
    subprocess.run([PROGRAM, str(path)], check=True, env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    return torch.load(str(path), weights_only=False)


def make(kind, **credit):
    if kind == "linear":
        return torch_grapes.nn.Linear(7, 5, dtype=torch.float64, **credit), waves((4, 7), 0)
    layer = torch_grapes.nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2, dtype=torch.float64, **credit)
    return layer, waves((3, 4, 6, 5), 0)


@pytest.mark.parametrize("modulation", MODULATIONS)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", ("linear", "conv2d"))
def test_value_and_gradients_equal_those_of_cpp(by_cpp, kind, route, modulation):
    layer, x = make(kind, route=route, modulation=modulation)
    with torch.no_grad():
        layer.weight.copy_(waves(layer.weight.shape, 1))
        layer.bias.copy_(waves(layer.bias.shape, 2))
        if hasattr(layer, "feedback"):
            layer.feedback.copy_(waves(layer.feedback.shape, 3))
    x.requires_grad_()
    y = layer(x)
    (y * waves(y.shape, 4)).sum().backward()
    dx = torch.zeros_like(x) if x.grad is None else x.grad
    for name, mine, theirs in zip(("y", "dx", "dW", "db"), (y.detach(), dx, layer.weight.grad, layer.bias.grad),
                                  by_cpp[f"{kind} {route} {modulation}"]):
        assert torch.equal(mine, theirs), name


def spiking(number, **credit):
    """The same formula as in tests/python_parity.cpp."""
    names = torch_grapes.snu
    return torch_grapes.nn.Snu(
        7, 5, membrane_activation=("identity", "relu", "leaky_relu")[number % 3], reset=names.RESETS[number % 4], surrogate=names.SURROGATES[number % 6],
        output="sigmoid" if number % 5 == 4 else "step", surrogate_width=0.7, recurrent=number % 2 == 1, learn_decay="per_node",
        truncate=2 if number % 7 == 6 else 0, synapse=0.6 if number % 3 == 1 else 0.0, eprop=number % 11 == 3, dtype=torch.float64, **credit)


def assert_same(mine, theirs, name):
    """Bit for bit, but where PyTorch multiplies by MKL, whose rounding depends on how many rows a product has: to 1e-12."""
    if torch.backends.mkl.is_available():
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12, msg=name)
    else:
        assert torch.equal(mine, theirs), name


@pytest.mark.parametrize("number", range(len(ROUTES) * len(MODULATIONS) * 3))
def test_spiking_layers_equal_those_of_cpp(by_cpp, number):
    kind = number // 3
    layer = spiking(number, route=ROUTES[kind // len(MODULATIONS)], modulation=MODULATIONS[kind % len(MODULATIONS)])
    x = (waves((6, 3, 7), 0) * 2).requires_grad_()
    with torch.no_grad():
        layer.weight.copy_(waves(layer.weight.shape, 1))
        layer.decay.copy_(waves((5,), 5).abs())
        layer.threshold.copy_(waves((5,), 6).abs())
        if layer.recurrent is not None:
            layer.recurrent.copy_(waves((5, 5), 7) * 0.5)
        if hasattr(layer, "feedback"):
            layer.feedback.copy_(waves(layer.feedback.shape, 3))
    y = layer(x)
    (y * waves(y.shape, 4)).sum().backward()
    dx = torch.zeros_like(x) if x.grad is None else x.grad
    dR = torch.zeros(0, dtype=torch.float64) if layer.recurrent is None else layer.recurrent.grad
    for name, mine, theirs in zip(("y", "dx", "dW", "dd", "dθ", "dR"),
                                  (y.detach(), dx, layer.weight.grad, layer.decay.grad, layer.threshold.grad, dR),
                                  by_cpp[f"snu {number}"]):
        assert_same(mine, theirs, name)


class Modulate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, m):
        ctx.save_for_backward(m)
        return z.view_as(z)

    @staticmethod
    def backward(ctx, error):
        return error * ctx.saved_tensors[0].view(1, -1, 1, 1), None


@pytest.mark.parametrize("precision, tolerance", (("float64", 1e-11), ("float32", 2e-4)))
@pytest.mark.parametrize("modulation", ("none", "grapes"))
def test_every_gradient_of_the_residual_network_is_pytorchs(by_cpp, modulation, precision, tolerance):
    """The same network in PyTorch, with the same weights. In C++ float32 is fused and uses Winograd's algorithm."""
    F = torch.nn.functional
    x, error, logits, *rest = by_cpp[f"resnet9 {modulation} {precision}"]
    weights = [W.clone().requires_grad_() for W in rest[::2]]

    def layer(l, h, pool=1):
        z = F.conv2d(h, weights[l], padding=1)
        if modulation == "grapes":
            r = weights[l].detach().abs().sum((1, 2, 3))
            z = Modulate.apply(z, (2 * r / r.max()).clamp(1, 2))
        return F.max_pool2d(F.relu(z), pool)

    h = layer(1, layer(0, x), 2)
    h = h + layer(3, layer(2, h))
    h = layer(5, layer(4, h, 2), 2)
    h = h + layer(7, layer(6, h))
    y = F.linear(F.max_pool2d(h, 4).flatten(1), weights[8])
    (y * error).sum().backward()
    assert ((y - logits).norm() / logits.norm()).item() < tolerance
    for l, (W, gradient) in enumerate(zip(weights, rest[1::2])):
        assert ((W.grad - gradient).norm() / gradient.norm()).item() < tolerance, l
