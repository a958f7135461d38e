"""A compiled model with GRAPES has the gradients of the eager model or raises an error. It never has plain gradients."""
import copy
import shutil
import warnings

import pytest
import torch
import torch_grapes
from torch import nn
from torch_grapes.context import TORCH

from reference import agree, differ, drawn, gradients, network, wide

pytestmark = pytest.mark.skipif(TORCH < (2, 4), reason="torch.compile traces hooks and autograd functions from PyTorch 2.4")
X = drawn(4, 5)
VERSIONS = pytest.mark.parametrize("modulation", ["grapes", "grapes-local"])


@pytest.fixture(autouse=True)
def nothing_is_compiled():
    if TORCH >= (2, 4):
        torch.compiler.reset()


def compiled(call, backend="aot_eager", fullgraph=True, **options):
    return torch.compile(call, backend=backend, fullgraph=fullgraph, **options)


def of(call, model, x=X):
    """Gradients of what `call` computes with the parameters of `model`."""
    f = lambda x: call(x)
    f.parameters = model.parameters
    return gradients(f, x)


def enabled_network(*arguments, inplace=False, **options):
    model = network(inplace)
    torch_grapes.enable(model, *arguments, **options)
    return model


PLAIN, GRAPES = "plain", "grapes"


@pytest.fixture(scope="module")
def eager():
    """Gradients of the network without and with GRAPES, which differ."""
    found = {PLAIN: gradients(network(), X), GRAPES: gradients(enabled_network(), X)}
    differ(found[PLAIN], found[GRAPES])
    return found


def reflected(m):
    return m.mean() * 2 - m


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("modulation, options", [("grapes", {}), ("grapes-local", {}), ("grapes", {"gain": 3, "clip": (0.5, 3)}), ("uniform", {}),
                                                 ("constant", {"constants": [1.5, 2]}), (reflected, {}), ("grapes", {"factor_bits": 3}),
                                                 ("inverse", {}), ("mean-one", {}), ("power", {"constants": [2]}), ("shuffled-fixed", {})])
def test_gradients_equal_those_without_compiling(modulation, options, inplace):
    model = enabled_network(modulation, inplace=inplace, **options)
    agree(of(compiled(model), model), gradients(model, X))


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is missing; the default backend of torch.compile needs a C++ compiler")
@VERSIONS
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_the_default_backend(modulation, dtype, tolerance):
    model, x = network(inplace=True).to(dtype), X.to(dtype)
    plain = gradients(model, x)
    torch_grapes.enable(model, modulation)
    eager = gradients(model, x)
    differ(eager, plain)
    agree(of(compiled(model, backend="inductor"), model, x), eager, tolerance)


@VERSIONS
@pytest.mark.parametrize("make, shape", [
    (lambda: nn.Linear(5, 4), (2, 3, 5)),
    (lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), (2, 2, 5, 6)),
    (lambda: nn.ConvTranspose1d(3, 4, 3), (2, 3, 5)),
    (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2, stride=2, output_padding=1), (2, 4, 3, 3)),
])
def test_every_plain_layer(make, shape, modulation):
    model, x = nn.Sequential(wide(make()), nn.LeakyReLU(0.1, inplace=True)), drawn(*shape)
    torch_grapes.enable(model, modulation, include="*")
    agree(of(compiled(model), model, x), gradients(model, x))


def test_the_factors_follow_the_weights_without_compiling_again():
    model = enabled_network()
    times = []

    def counting(graph, inputs):
        times.append(graph)
        return graph

    call = compiled(model, backend=counting)
    for _ in range(3):
        agree(of(call, model), gradients(model, X))
        with torch.no_grad():
            model[0].weight.mul_(torch.linspace(0.5, 2, 7, dtype=torch.float64).view(-1, 1))
    assert len(times) == 1


def test_enable_and_disable_after_the_model_has_run_compiled(eager):
    model = network()
    call = compiled(model)
    agree(of(call, model), eager[PLAIN])
    handle = torch_grapes.enable(model)
    agree(of(call, model), eager[GRAPES])
    handle.disable()
    agree(of(call, model), eager[PLAIN])


def test_two_models_of_one_class_do_not_share_compiled_code(eager):
    plain, ours = network(), enabled_network()
    calls = [(compiled(plain), plain, PLAIN), (compiled(ours), ours, GRAPES)]
    other = copy.deepcopy(ours)
    torch_grapes.disable(other)
    calls.append((compiled(other), other, PLAIN))
    for call, model, which in [*calls, *calls[::-1]]:
        agree(of(call, model), eager[which])


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = network()

    def forward(self, x):
        return self.net(x)


def test_a_model_that_is_already_compiled(eager):
    model = network()
    call = compiled(model)
    with torch_grapes.enabled(call) as handle:
        assert handle.modulated == ("0", "2")
        agree(of(call, model), eager[GRAPES])
    agree(of(call, model), eager[PLAIN])
    model = Wrapped()
    model.compile(backend="aot_eager", fullgraph=True)
    agree(of(model, model), eager[PLAIN])
    torch_grapes.enable(model)
    agree(of(model, model), eager[GRAPES])


class Checkpointed(Wrapped):
    def forward(self, x):
        from torch.utils.checkpoint import checkpoint

        net = self.net
        return net[4](checkpoint(net[2:4], checkpoint(net[0:2], x, use_reentrant=False), use_reentrant=False))


def test_checkpoints(eager):
    """A guess of the output layer writes to Python's state, which compiled checkpoints cannot."""
    model = Checkpointed()
    torch_grapes.enable(model, output="net.4")
    agree(of(compiled(model), model), eager[GRAPES])
    model = Checkpointed()
    torch_grapes.enable(model)
    with pytest.raises(RuntimeError, match="(?i)side ?effect"):
        compiled(model)(X)
    torch.compiler.reset()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        agree(of(compiled(model, fullgraph=False), model), eager[GRAPES])
    assert not [w for w in caught if "torch_grapes" in str(w.message)]


def test_a_compiled_layer_does_not_count_as_uncalled(eager):
    model = network()
    torch_grapes.enable(model, output="4")
    model[2].compile(backend="aot_eager", fullgraph=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        agree(of(model, model), eager[GRAPES])
    assert not [w for w in caught if "torch_grapes" in str(w.message)]


def test_one_layer_or_a_function_that_calls_the_model(eager):
    model = enabled_network()
    model[2].compile(backend="aot_eager", fullgraph=True)
    agree(of(model, model), eager[GRAPES])
    model = enabled_network()
    agree(of(compiled(lambda x: model(x) * 1), model), eager[GRAPES])


class Late(nn.Module):
    """Layers that are registered in another order than they run."""

    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Linear(4, 2), nn.Linear(5, 4)

    def forward(self, x):
        return self.head(self.body(x).relu_())


@pytest.mark.parametrize("fullgraph", [False, True])
def test_a_wrong_guess_of_the_output_layer_is_an_error(fullgraph):
    model = Late()
    torch_grapes.enable(model)
    with pytest.raises(RuntimeError, match="body.{0,4} is treated as the output layer.*computed by .{1,4}head"):
        compiled(model, fullgraph=fullgraph)(X.float())


@pytest.mark.parametrize("fullgraph", [False, True])
@pytest.mark.parametrize("options", [{"modulation": "shuffled"}, {"every": 2}])
def test_modulations_that_count_batches_are_an_error(options, fullgraph):
    with pytest.raises(RuntimeError, match="counts batches, which code under torch.compile and torch.func cannot"):
        compiled(enabled_network(**options), fullgraph=fullgraph)(X)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = wide(nn.LSTM(5, 4)), wide(nn.Linear(4, 3))

    def forward(self, x):
        return self.head(self.body(x)[0])


def test_a_recurrent_layer_runs_between_two_compiled_parts():
    model, x = Recurrent(), drawn(3, 2, 5)
    torch_grapes.enable(model)
    agree(of(compiled(model, fullgraph=False), model, x), gradients(model, x))
    torch.compiler.reset()
    with pytest.raises(RuntimeError, match="RNN, GRU, (or )?LSTM"):
        compiled(model)(x)


@pytest.mark.parametrize("route", ["bp", "fa", "sign-symmetric"])
@VERSIONS
def test_layers_with_routes(route, modulation):
    n = torch_grapes.nn
    model = nn.Sequential(wide(n.Conv2d(1, 3, 3, route=route, modulation=modulation)), nn.ReLU(), nn.Flatten(),
                          wide(n.Linear(48, 4, route=route, modulation=modulation)))
    x = drawn(2, 1, 6, 6)
    agree(of(compiled(model), model, x), gradients(model, x))


@pytest.mark.parametrize("options", [{}, {"recurrent": True, "modulation": "grapes-local"}, {"reset": "lateral", "synapse": 0.5, "output": "sigmoid"}])
def test_spiking_layers(options):
    model, x = wide(torch_grapes.nn.Snu(5, 4, **options)), drawn(3, 2, 5)
    agree(of(compiled(model), model, x), gradients(model, x))


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_model_has_only_the_forward_pass(strict):
    model = Wrapped()
    torch_grapes.enable(model.net)
    assert_plain(torch.export.export(model, (X,), strict=strict), model)


@pytest.mark.parametrize("strict", [False, True])
def test_exporting_the_enabled_model_itself(strict):
    """Before PyTorch 2.7, its strict mode cannot export a module with a hook that has a layer with a hook, whatever the hooks do."""
    model, other = enabled_network(), network()
    for module in (other, other[0]):
        module.register_forward_hook(lambda module, inputs, output: None)
    if strict and TORCH < (2, 7):
        for refused in (model, other):
            torch.compiler.reset()
            with pytest.raises(Exception, match="Cannot export model which references tensors"):
                torch.export.export(refused, (X,), strict=True)
        return
    assert_plain(torch.export.export(model, (X,), strict=strict), model)


@pytest.mark.parametrize("strict", [False, True])
def test_a_model_that_is_exported_in_training_mode_warns(strict):
    model = Wrapped()
    torch_grapes.enable(model.net)
    with pytest.warns(UserWarning, match="the exported model has no rule, and would learn by plain backpropagation"):
        torch.export.export(model, (X,), strict=strict)
    model.eval()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.export.export(model, (X,), strict=strict)
    assert not [w for w in caught if "torch_grapes" in str(w.message)]


def assert_plain(exported, model):
    assert torch.equal(exported.module()(X), model(X))
    names = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
    assert names == {"aten.linear.default", "aten.relu.default"}


def test_double_backward_is_an_error_of_pytorch():
    model = enabled_network()
    x = X.clone().requires_grad_()
    (g,) = torch.autograd.grad(torch.tanh(compiled(model)(x)).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not currently support double backward"):
        torch.autograd.grad(g.square().sum(), x)


W, Z, Y = drawn(4, 3), drawn(2, 4), drawn(2, 3)
OPERATORS = [
    ("responsibility", (W,)), ("responsibility", (W, drawn(4, 4), 0, torch.ones(4))), ("responsibility", (W[0],)),
    ("factor", (W,)), ("factor", (W, None, 1, None, 3.0, 0.0, 3.0)), ("factor", (drawn(4, 3, 2, 2),)),
    ("modulate", (Z, torch.rand(4).double())), ("modulate", (Z, torch.rand(2, 4).double())), ("modulate", (W, torch.rand(4).double(), 0)),
    ("feedback", (Z, Y, drawn(3, 4))),
    ("feedback_convolution", (drawn(2, 4, 3, 3), drawn(2, 4, 5, 5), drawn(4, 2, 3, 3), [1, 1], [0, 0], [1, 1], 2)),
]


@pytest.mark.parametrize("name, arguments", OPERATORS)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_operators(name, arguments, requires_grad):
    arguments = [a.clone().requires_grad_(requires_grad and k < 2) if isinstance(a, torch.Tensor) else a for k, a in enumerate(arguments)]
    operator = getattr(torch.ops.torch_grapes, name)
    results = torch.library.opcheck(operator.default, tuple(arguments))
    assert len(results) >= 4 and set(results.values()) == {"SUCCESS"}
    ours, theirs = operator(*arguments), getattr(torch_grapes, name)(*arguments)
    assert torch.equal(ours, theirs) and ours.requires_grad == theirs.requires_grad
    if ours.requires_grad:
        leaves = [a for a in arguments if isinstance(a, torch.Tensor) and a.requires_grad]
        (mine, other) = (torch.autograd.grad(y.square().sum(), leaves, allow_unused=True) for y in (ours, theirs))
        for a, b in zip(mine, other):
            assert a is b is None or torch.equal(a, b)
