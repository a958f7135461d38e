"""Common uses of models with GRAPES enabled. Each works correctly or raises a clear error."""
import copy
import io
import threading

import pytest
import torch
import torch_grapes
from torch import nn
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch_grapes.context import TORCH

from reference import agree, differ, drawn, expected, factor, gradients, network, weighed

X = drawn(4, 5)
VERSIONS = pytest.mark.parametrize("modulation", ["grapes", "grapes-local"])


@pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5)])
def test_in_place_relu(shape):
    x = drawn(*shape)
    theirs = expected(network(), x)
    model = network(inplace=True)
    torch_grapes.enable(model)
    agree(gradients(model, x), theirs)


def test_no_grad_gives_the_same_value_and_no_graph():
    model = network()
    before = model(X)
    torch_grapes.enable(model)
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
        model(X)  # no factor of a weight that is not finite was needed
        model[0].weight.copy_(network()[0].weight)
        assert torch.equal(model(X), before)
    with torch.inference_mode():
        assert torch.equal(model(X), before)
    assert torch.equal(model(X), before)


def test_state_dict_parameters_and_random_numbers_do_not_change():
    model = nn.Sequential(nn.Linear(5, 7), nn.Dropout(0.5), nn.Linear(7, 3))
    keys = list(model.state_dict())
    torch.manual_seed(3)
    before = model(X.float())
    torch_grapes.enable(model, "shuffled")
    torch.manual_seed(3)
    assert torch.equal(model(X.float()), before)
    assert list(model.state_dict()) == keys


@VERSIONS
def test_gradient_accumulation_adds_up(modulation):
    model = network()
    torch_grapes.enable(model, modulation)
    halves = lambda x, w: (model(x) * w).sum()
    w = torch.linspace(-1, 2, 12, dtype=torch.float64).view(4, 3)
    whole = gradients(model, X)[:-1]
    model.zero_grad()
    halves(X[:2], w[:2]).backward()
    halves(X[2:], w[2:]).backward()
    agree([p.grad for p in model.parameters()], whole)


@VERSIONS
def test_backward_twice_through_one_graph_gives_the_same_twice(modulation):
    model = network()
    torch_grapes.enable(model, modulation)
    once = gradients(model, X)[:-1]
    model.zero_grad()
    loss = weighed(model(X))
    loss.backward(retain_graph=True)
    loss.backward()
    agree([p.grad for p in model.parameters()], [2 * g for g in once])


def test_the_factors_follow_every_update():
    model = network()
    handle = torch_grapes.enable(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, nesterov=True)
    seen = []
    for _ in range(3):
        theirs = expected(model, X)
        agree(gradients(model, X), theirs)
        optimizer.step()
        agree([handle.factors()["0"]], [factor(model[0].weight)])
        seen.append(handle.factors()["0"])
    differ(seen[:1], seen[2:])


@VERSIONS
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoint(modulation, reentrant):
    model = network()
    torch_grapes.enable(model, modulation)
    theirs = gradients(model, X)

    class Checkpointed(nn.Module):
        def forward(self, x):
            h = checkpoint(model[0:2], x, use_reentrant=reentrant)
            return model[4](checkpoint(model[2:4], h, use_reentrant=reentrant))

    run = Checkpointed()
    run.parameters = model.parameters
    agree(gradients(run, X), theirs)


def test_checkpoint_of_shuffled_draws_the_same_twice():
    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x):
            h = self.net[1](self.net[0](x)) if not self.reentrant else checkpoint(self.net[0:2], x, use_reentrant=True)
            return self.net[4](self.net[3](self.net[2](h)))

    found = []
    for reentrant in (False, True):
        model = Checkpointed()
        model.reentrant = reentrant
        torch_grapes.enable(model, "shuffled", warn=False)
        found.append(gradients(model, X))
    agree(*found)


@VERSIONS
@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copy_is_modulated_by_its_own_weights_and_can_be_disabled(modulation, way):
    model = network()
    torch_grapes.enable(model, modulation)
    theirs = gradients(model, X)
    if way == "deepcopy":
        other = copy.deepcopy(model)
    else:
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    agree(gradients(other, X), theirs)
    with torch.no_grad():
        for layer in (0, 2):
            other[layer].weight.mul_(torch.linspace(3, 0.1, len(other[layer].weight), dtype=torch.float64).view(-1, 1))
    again = network()
    again.load_state_dict(other.state_dict())
    plain = gradients(again, X)
    torch_grapes.enable(again, modulation)
    agree(gradients(other, X), gradients(again, X))
    torch_grapes.disable(other)
    agree(gradients(other, X), plain)
    agree(gradients(model, X), theirs)
    assert not other._forward_hooks and not other[0]._forward_hooks


@VERSIONS
def test_replicas_that_run_in_threads(modulation):
    """DataParallel without devices: copies of the modules, whose weights are not leaves."""
    model = network()
    torch_grapes.enable(model, modulation)
    theirs = gradients(model, X)[:-1]

    def replica():
        copies = {module: module._replicate_for_data_parallel() for module in model.modules()}
        for module, own in copies.items():
            own._former_parameters = {}
            for name, child in module._modules.items():
                setattr(own, name, copies[child])
            for name, p in module._parameters.items():
                setattr(own, name, p * 1)
        return copies[model]

    w = torch.linspace(-1, 2, 12, dtype=torch.float64).view(4, 3)
    parts = [(replica(), X[:2], w[:2]), (replica(), X[2:], w[2:])]
    losses = [None, None]

    def work(k):
        own, x, weight = parts[k]
        losses[k] = (own(x) * weight).sum()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    model.zero_grad()
    sum(losses).backward()
    agree([p.grad for p in model.parameters()], theirs)


def test_works_with_other_hooks():
    model = network()
    theirs = expected(model, X)
    seen = {}
    model[2].register_forward_hook(lambda module, inputs, output: seen.setdefault("forward", output))
    model[2].register_full_backward_hook(lambda module, to_x, from_z: seen.update(to_x=to_x[0], from_z=from_z[0]))
    handle = torch_grapes.enable(model)
    replaced = model[0].register_forward_hook(lambda module, inputs, output: output * 1)
    tensor = model[0].weight.register_hook(lambda g: seen.update(weight=g) or g)
    ours = gradients(model, X)
    agree(ours, theirs)
    agree([seen["to_x"]], [(seen["from_z"] * factor(model[2].weight)) @ model[2].weight.detach()])
    agree([seen["weight"]], [theirs[0]])
    handle.disable()
    assert len(model[2]._forward_hooks) == 1 and len(model[0]._forward_hooks) == 1, "theirs stay"
    replaced.remove(), tensor.remove()


def test_works_with_other_hooks_that_replace_or_change_the_output():
    for hook in (lambda module, inputs, output: output.relu_(), lambda module, inputs, output: output.relu()):
        model = network()
        theirs = expected(model, drawn(2, 4, 5))
        model[0].register_forward_hook(hook)
        torch_grapes.enable(model)
        agree(gradients(model, drawn(2, 4, 5)), theirs)


def test_tensors_without_values_have_gradients_of_the_right_shape():
    model = network().to("meta")
    torch_grapes.enable(model)
    model(X.to("meta")).sum().backward()
    assert all(p.grad.shape == p.shape and p.grad.is_meta for p in model.parameters())


@pytest.mark.parametrize("route", ["bp", "fa"])
def test_a_layer_that_returns_more_than_its_preactivation(route):
    class Pair(nn.Linear):
        def forward(self, x):
            return super().forward(x), None

    model = nn.Sequential(Pair(5, 3))
    torch_grapes.convert(model, route, "grapes", include="0")
    with pytest.raises(RuntimeError, match="0 returned a tuple, but a layer must return its pre-activation, one tensor; exclude the layer"):
        model(X.float().requires_grad_())


def test_keyword_inputs():
    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x):
            return self.net[4](torch.relu(self.net[2](input=torch.relu(self.net[0](input=x)))))

    model = Keyword()
    theirs = expected(model.net, X)
    with torch_grapes.enabled(model):
        agree(gradients(model, X), theirs)
    with torch_grapes.enabled(model, "grapes-local"), pytest.raises(RuntimeError, match="net.0 was called with keyword arguments only"):
        model(X)


def test_tracing_and_exporting_drop_the_rule_and_scripting_is_an_error():
    model = network()
    torch_grapes.enable(model)
    with pytest.warns(UserWarning, match="the exported model has no rule, and would learn by plain backpropagation"):
        traced = torch.jit.trace(model, X)
    assert "grapes" not in str(traced.inlined_graph)
    assert torch.equal(traced(X), model(X))
    with pytest.raises(RuntimeError, match="torch.jit.script cannot compile a model with a rule; call revert\\(\\) before"):
        torch.jit.script(model)
    torch_grapes.disable(model)
    assert torch.equal(torch.jit.script(model)(X), traced(X))


def test_onnx_has_only_the_forward_pass():
    if TORCH >= (2, 9):
        pytest.importorskip("onnxscript", reason="onnxscript is missing; torch.onnx of this PyTorch needs it")
    model = network()
    file = io.BytesIO()
    torch.onnx.export(model, (X,), file)
    size = len(file.getvalue())
    torch_grapes.enable(model)
    file = io.BytesIO()
    torch.onnx.export(model, (X,), file)
    assert len(file.getvalue()) == size and b"grapes" not in file.getvalue().lower()


def test_second_derivatives_go_through_the_factor():
    model = network()
    torch_grapes.enable(model)
    x = X.clone().requires_grad_()
    (g,) = torch.autograd.grad(weighed(torch.tanh(model(x))), x, create_graph=True)
    (again,) = torch.autograd.grad(g.square().sum(), x)
    y = X.clone().requires_grad_()
    (h,) = torch.autograd.grad(weighed(torch.tanh(manual(model, y))), y, create_graph=True)
    (twice,) = torch.autograd.grad(h.square().sum(), y)
    agree([g, again], [h, twice])


def manual(model, x):
    """As written_out, by operations that are twice differentiable: z is scaled, and its value restored."""
    h = x
    for k in (0, 2, 4):
        z = model[k]._parameters
        z = F.linear(h, z["weight"], z["bias"])
        if k < 4:
            m = factor(model[k].weight)
            z = m * z + ((1 - m) * z).detach()
        h = torch.relu(z) if k < 4 else z
    return h


@pytest.mark.parametrize("make", [lambda: network(), lambda: nn.LSTM(5, 4).double(), lambda: torch_grapes.nn.Linear(5, 4, dtype=torch.float64)])
def test_derivatives_in_forward_mode_are_an_error(make):
    model = make()
    if not isinstance(model, torch_grapes.nn.Linear):
        torch_grapes.enable(model, include="*")
    with forward_ad.dual_level(), pytest.raises(RuntimeError, match="derivatives in forward mode .* do not follow a rule"):
        model(forward_ad.make_dual(X, torch.ones_like(X)))
