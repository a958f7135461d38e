"""Compares the gradients of every supported layer with the reference rule, to 1e-12 in float64."""
import pytest
import torch
import torch_grapes
from torch import nn
from torch.nn import functional as F

from reference import ByEquations, First, agree, clip, differ, drawn, factor, gated, gradients, recurrence, scale, weighed, wide


def test_mlp_equals_the_recursion_by_hand():
    """The recursion of the paper in matrix products, without autograd."""
    model = nn.Sequential(wide(nn.Linear(5, 7), 1), nn.Tanh(), wide(nn.Linear(7, 6), 2), nn.Tanh(), wide(nn.Linear(6, 3), 3))
    x = drawn(4, 5)
    with torch.no_grad():
        W = [model[k].weight for k in (0, 2, 4)]
        b = [model[k].bias for k in (0, 2, 4)]
        h = [x, *[None] * 3]
        for l in range(3):
            a = h[l] @ W[l].t() + b[l]
            h[l + 1] = torch.tanh(a) if l < 2 else a
        delta = torch.linspace(-1, 2, 12, dtype=torch.float64).view(4, 3)
        expected = [delta.t() @ h[2], delta.sum(0)]
        for l in (1, 0):
            r = W[l].abs().sum(1)
            delta = (2 * r / r.max()).clamp(1, 2) * (delta @ W[l + 1]) * (1 - h[l + 1] ** 2)
            expected = [delta.t() @ h[l], delta.sum(0), *expected]
        expected.append(delta @ W[0])
    plain = gradients(model, x)
    with torch_grapes.enabled(model):
        ours = gradients(model, x)
    agree(ours, expected)
    differ(ours, plain)
    agree(gradients(model, x), plain, 1e-300)  # disabled again, bit for bit


CASES = [
    (lambda: nn.Linear(5, 4), (3, 5), 1),
    (lambda: nn.Linear(5, 4, bias=False), (3, 5), 1),
    (lambda: nn.Linear(5, 4), (5,), 0),
    (lambda: nn.Linear(5, 4), (2, 3, 5), 2),
    (lambda: nn.Linear(5, 4, bias=False), (2, 3, 5), 2),
    (lambda: nn.Linear(5, 4), (2, 2, 3, 5), 3),
    (lambda: nn.Conv1d(2, 4, 3), (2, 2, 9), 1),
    (lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), (2, 2, 5, 6), 1),
    (lambda: nn.Conv2d(2, 4, 3), (2, 5, 6), 0),
    (lambda: nn.Conv2d(4, 6, 3, groups=2, stride=2), (2, 4, 7, 7), 1),
    (lambda: nn.Conv2d(4, 8, 3, groups=4, bias=False), (2, 4, 7, 7), 1),
    (lambda: nn.Conv3d(1, 3, 2), (2, 1, 3, 4, 3), 1),
    (lambda: nn.ConvTranspose1d(3, 4, 3), (2, 3, 5), 1),
    (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2, stride=2), (2, 4, 3, 3), 1),
    (lambda: nn.ConvTranspose3d(2, 3, 2), (1, 2, 2, 3, 2), 1),
]
NAMES = [f"{k}-{type(make()).__name__}" for k, (make, _, _) in enumerate(CASES)]


def rows_of(layer):
    """Responsibility by loops over the definition, for transposed layers too."""
    W = layer.weight.detach().abs()
    if "Transpose" not in type(layer).__name__:
        return clip(W.flatten(1).sum(1))
    groups, outs = layer.groups, layer.weight.shape[1]
    ins = layer.weight.shape[0] // groups
    return clip(torch.stack([W[g * ins:(g + 1) * ins, c].sum() for g in range(groups) for c in range(outs)]))


@pytest.mark.parametrize("make, shape, axis", CASES, ids=NAMES)
@pytest.mark.parametrize("inplace", [False, True])
def test_layers_returning_their_preactivation(make, shape, axis, inplace):
    layer = wide(make())
    model = nn.Sequential(layer, nn.LeakyReLU(0.1, inplace=inplace))
    m = rows_of(layer)
    x = drawn(*shape)

    def expected(x):
        z = layer(x)
        return F.leaky_relu(scale(z, m.view(-1, *[1] * (z.dim() - axis - 1))), 0.1)

    expected.parameters = layer.parameters
    theirs = gradients(expected, x)
    plain = gradients(model, x)
    with torch_grapes.enabled(model, include="*") as handle:
        agree([handle.factors()["0"]], [m])
        ours = gradients(model, x)
    agree(ours, theirs)
    differ(ours, plain)


@pytest.mark.parametrize("make, shape, axis", CASES, ids=NAMES)
@pytest.mark.parametrize("inplace", [False, True])
def test_local_scales_only_rows_of_the_own_gradient(make, shape, axis, inplace):
    layer = wide(make())
    model = nn.Sequential(layer, nn.LeakyReLU(0.1, inplace=inplace))
    m = rows_of(layer)
    plain = gradients(model, drawn(*shape))
    if "Transpose" in type(layer).__name__:
        ins, outs = layer.weight.shape[0] // layer.groups, layer.weight.shape[1]
        for i in range(layer.weight.shape[0]):
            for c in range(outs):
                plain[0][i, c] *= m[i // ins * outs + c]
    else:
        plain[0] *= m.view(-1, *[1] * (layer.weight.dim() - 1))
    if layer.bias is not None:
        plain[1] *= m
    with torch_grapes.enabled(model, "grapes-local", include="*"):
        agree(gradients(model, drawn(*shape)), plain)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("layers, bidirectional, batch_first", [(1, False, False), (2, False, True), (2, True, False)])
@pytest.mark.parametrize("local", [False, True])
def test_recurrent_layers(kind, layers, bidirectional, batch_first, local):
    module = wide(kind(3, 4, layers, bidirectional=bidirectional, batch_first=batch_first))
    x = drawn(2, 5, 3) if batch_first else drawn(5, 2, 3)
    plain = gradients(First(module), x)
    theirs = gradients(ByEquations(module, local), x)
    with torch_grapes.enabled(module, "grapes-local" if local else "grapes", include="*"):
        ours = gradients(First(module), x)
    agree(ours, theirs)
    differ(ours, plain)
    if local:
        agree([ours[-1]], [plain[-1]])  # the error at the input is not scaled


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_compounding_also_scales_the_error_back_in_time(kind):
    module, x = wide(kind(3, 4, 2)), drawn(5, 2, 3)
    theirs = gradients(ByEquations(module, False, compounding=True), x)
    with torch_grapes.enabled(module, include="*", compounding=True):
        ours = gradients(First(module), x)
    agree(ours, theirs)
    differ(ours, gradients(ByEquations(module, False), x))


def test_local_by_name_is_the_local_version_of_that_layer():
    model = nn.Sequential(wide(nn.LSTM(3, 4)), wide(nn.Linear(4, 5)), wide(nn.Linear(5, 4)), wide(nn.Linear(4, 2)))
    f = lambda x: model[3](scale(model[2](F.linear(ByEquations(model[0], True)(x), *owned(model[1]))), factor(model[2].weight)))
    model.forward = lambda x: model[3](model[2](model[1](model[0](x)[0])))
    f.parameters = model.parameters
    theirs = gradients(f, drawn(5, 2, 3))
    handle = torch_grapes.enable(model, local=["0", "1"])
    assert list(handle.states.values()) == ["local", "local", "modulated", "output"]
    agree(gradients(model, drawn(5, 2, 3)), theirs)


def owned(layer):
    m = factor(layer.weight)
    return scale(layer.weight, m.view(-1, 1)), scale(layer.bias, m)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("option, counted", [({"responsibility": "input"}, "input_only"), ({"per_gate": True}, "per_gate")])
def test_per_gate_and_input_responsibility(kind, option, counted):
    module, x = wide(kind(3, 4)), drawn(5, 2, 3)
    with torch_grapes.enabled(module, include="*", **option) as handle:
        ours = gradients(First(module), x)
        agree([handle.factors()["l0"]], [gated(module.weight_ih_l0, module.weight_hh_l0, **{counted: True})])
    agree(ours, gradients(ByEquations(module, False, **{counted: True}), x))
    differ(ours, gradients(ByEquations(module, False), x))


def test_all_gates_of_a_unit_have_one_factor():
    module = wide(nn.LSTM(3, 4))
    with torch_grapes.enabled(module, include="*") as handle:
        m = handle.factors()["l0"].view(4, 4)
    assert (m == m[0]).all() and m[0].unique().numel() > 1


def test_a_permutation_of_its_own_for_each_gate():
    module = wide(nn.LSTM(3, 64))
    ways = []
    for modulation in ("grapes", "shuffled"):
        with torch_grapes.enabled(module, modulation, per_gate=True, clip=None, include="*") as handle:
            ways.append(handle.factors()["l0"].view(4, 64))
    dealt, shuffled = ways
    assert (dealt.sort(1).values == shuffled.sort(1).values).all()
    orders = {tuple((gate[:, None] == m).double().argmax(1).tolist()) for gate, m in zip(shuffled, dealt)}
    assert len(orders) == 4


def test_the_error_is_scaled_only_once_per_time_step():
    """With M = 2 everywhere, the gradients of one layer are twice the plain ones, however many steps there are."""
    module, x = wide(nn.GRU(3, 4)), drawn(30, 2, 3)
    plain = gradients(First(module), x)
    with torch_grapes.enabled(module, "constant", constants=[2], include="*"):
        agree(gradients(First(module), x), [2 * g for g in plain])


def flags():
    return torch._C._get_mkldnn_enabled(), torch._C._get_cudnn_enabled()


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_float32_recurrent_layers_equal_the_reference(kind):
    """The error cannot be scaled inside these kernels. They are turned off while the layer runs, also if it fails."""
    module = wide(kind(3, 4, 2))
    theirs = gradients(ByEquations(module, False), drawn(5, 2, 3))
    torch_grapes.enable(module.float(), include="*")
    before = flags()
    agree(gradients(First(module), drawn(5, 2, 3).float()), [g.float() for g in theirs], 1e-5)
    with pytest.raises(RuntimeError):
        module(torch.zeros(5, 2, 7))
    assert flags() == before


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_without_a_graph_recurrent_layers_keep_their_kernels(kind):
    module, x = kind(3, 4, 2), drawn(5, 2, 3).float()
    torch_grapes.enable(module, include="*")
    during = []
    module.register_forward_pre_hook(lambda module, inputs: during.append(flags()))
    before = flags()
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            module(x)
    assert during == [before, before] and flags() == before


def test_without_bias_a_packed_sequence_and_a_given_state():
    module = wide(nn.LSTM(3, 4, bias=False))
    packed = nn.utils.rnn.pack_padded_sequence(drawn(5, 2, 3), [5, 3])
    state = (drawn(1, 2, 4), drawn(1, 2, 4, seed=2))

    def run():
        module.zero_grad()
        weighed(module(packed, state)[0].data).backward()
        return [p.grad.clone() for p in module.parameters()]

    plain = run()
    with torch_grapes.enabled(module, "constant", constants=[2], include="*"):
        agree(run(), [2 * g for g in plain])


@pytest.mark.parametrize("kind, full", [(nn.RNNCell, "RNN"), (nn.LSTMCell, "LSTM"), (nn.GRUCell, "GRU")])
def test_cells_called_step_by_step(kind, full):
    cell, x = wide(kind(3, 4)), drawn(4, 2, 3)

    def run(x):
        state, found = None, []
        for step in x.unbind(0):
            state = cell(step) if state is None else cell(step, state)
            found.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(found)

    def by_equations(x):
        weights = cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh
        return torch.stack(recurrence(full, list(x.unbind(0)), weights, gated(*weights[:2]), False))

    run.parameters = by_equations.parameters = cell.parameters
    theirs = gradients(by_equations, x)
    with torch_grapes.enabled(cell, include="*"):
        agree(gradients(run, x), theirs)


@pytest.mark.parametrize("inplace", [False, True])
def test_ratios_of_constant_two(inplace):
    """Conv-ReLU-Linear-ReLU-Linear with factor 2 in every layer: the error doubles with each layer down."""
    model = nn.Sequential(
        wide(nn.Conv2d(1, 2, 3), 1), nn.ReLU(inplace), nn.Flatten(), wide(nn.Linear(32, 6), 2), nn.ReLU(inplace), wide(nn.Linear(6, 3), 3)
    )
    x = drawn(4, 1, 6, 6)
    plain = gradients(model, x)
    for include, ratios in (("*", [8, 8, 4, 4, 2, 2, 8]), (None, [4, 4, 2, 2, 1, 1, 4])):
        with torch_grapes.enabled(model, "constant", constants=[2], include=include):
            for ours, before, ratio in zip(gradients(model, x), plain, ratios):
                assert torch.equal(ours, ratio * before)
