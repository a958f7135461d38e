"""The learning rule in plain tensor operations, independent of the library. The tests compare with it."""
import torch
from torch import nn
from torch.nn import functional as F


class Scale(torch.autograd.Function):
    """Return z and multiply the error by s."""

    @staticmethod
    def forward(context, z, s):
        context.save_for_backward(s)
        return z.clone()

    @staticmethod
    def backward(context, error):
        return error * context.saved_tensors[0], None


def scale(z, s):
    return Scale.apply(z, s)


def clip(r):
    return (2 * r / r.max()).clamp(1, 2)


def factor(W):
    return clip(W.detach().abs().flatten(1).sum(1))


def gated(W, R, per_gate=False, input_only=False):
    """Factors of a recurrent layer: row n of each of its 1, 3 or 4 gates belongs to unit n."""
    units = R.shape[1]
    r = W.detach().abs().sum(1) + (0 if input_only else R.detach().abs().sum(1))
    gates = [r[k : k + units] for k in range(0, len(r), units)]
    return torch.cat([clip(gate if per_gate else sum(gates)) for gate in gates])


def wide(module, seed=0):
    """Weights with different rows, so that factors differ; in float64."""
    generator = torch.Generator().manual_seed(seed)
    module.double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) * 0.4)
            if p.dim() > 1:
                axis = 1 if "Transpose" in type(module).__name__ else 0
                shape = [1] * p.dim()
                shape[axis] = -1
                p.mul_(torch.linspace(0.2, 1.8, p.shape[axis], dtype=torch.float64).view(shape))
    return module


def drawn(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradients(model, *inputs, loss=None):
    """Gradients of all parameters and of the inputs, with a loss that weights all outputs differently."""
    inputs = [x.detach().clone().requires_grad_() if isinstance(x, torch.Tensor) else x for x in inputs]
    for p in model.parameters():
        p.grad = None
    (loss or weighed)(model(*inputs)).backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None] + [
        x.grad for x in inputs if isinstance(x, torch.Tensor)
    ]


def weighed(output):
    if isinstance(output, torch.Tensor):
        return (output.double() * torch.linspace(-1, 2, output.numel(), dtype=torch.float64).view(output.shape)).sum()
    return sum(weighed(part) * (k + 1) for k, part in enumerate(output) if part.is_floating_point())


def agree(ours, theirs, tolerance=1e-12):
    assert len(ours) == len(theirs)
    for k, (a, b) in enumerate(zip(ours, theirs)):
        assert a.shape == b.shape
        error = ((a - b).abs().max() / b.abs().max().clamp(min=1)).item()
        assert error < tolerance, f"gradient {k} is off by {error}"


def differ(ours, theirs):
    """Check that the modulation has an effect."""
    assert any((a - b).abs().max() > 1e-3 for a, b in zip(ours, theirs))


def current(x, W, b, m):
    """W x + b of a recurrent layer, in the propagating version."""
    return scale(F.linear(x, W, b), m)


def recurrence(kind, steps, weights, m, local, compounding=False):
    """One layer in one direction by its equations: RNN (tanh), LSTM, GRU. steps: list of [batch, input]."""
    W, R, b, c = weights
    rows = m.view(-1, 1)
    if local:
        W, b = scale(W, rows), scale(b, m)
    if not compounding:
        R, c = scale(R, rows), scale(c, m)
    h = s = steps[0].new_zeros(steps[0].shape[0], R.shape[1])
    outputs = []
    for x in steps:
        a = F.linear(x, W, b) if local else current(x, W, b, m)
        d = current(h, R, c, m) if compounding else F.linear(h, R, c)
        if kind == "RNN":
            h = torch.tanh(a + d)
        elif kind == "LSTM":
            i, f, g, o = (a + d).chunk(4, 1)
            s = torch.sigmoid(f) * s + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(s)
        else:
            (ar, az, an), (dr, dz, dn) = a.chunk(3, 1), d.chunk(3, 1)
            z = torch.sigmoid(az + dz)
            h = (1 - z) * torch.tanh(an + torch.sigmoid(ar + dr) * dn) + z * h
        outputs.append(h)
    return outputs


class ByEquations(nn.Module):
    """Recompute a recurrent module from its parameters, with factors."""

    def __init__(self, module, local, compounding=False, **counted):
        super().__init__()
        self.module, self.local, self.compounding, self.counted = module, local, compounding, counted

    def forward(self, x):
        kind = type(self.module).__name__
        steps = list(x.unbind(1 if self.module.batch_first else 0))
        for k in range(self.module.num_layers):
            both = []
            for direction in ("", "_reverse") if self.module.bidirectional else ("",):
                end = f"_l{k}{direction}"
                W, R, b, c = (getattr(self.module, name + end) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
                m = gated(W, R, **self.counted)
                order = steps[::-1] if direction else steps
                found = recurrence(kind, order, (W, R, b, c), m, self.local, self.compounding)
                both.append(found[::-1] if direction else found)
            steps = [torch.cat(pair, 1) for pair in zip(*both)]
        return torch.stack(steps, 1 if self.module.batch_first else 0)


class First(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)[0]


def network(inplace=False):
    return nn.Sequential(
        wide(nn.Linear(5, 7), 1), nn.ReLU(inplace), wide(nn.Linear(7, 6), 2), nn.ReLU(inplace), wide(nn.Linear(6, 3), 3)
    )


def written_out(model, x, weights=None):
    """The network above with factors."""
    h = x
    for k, layer in enumerate(layer for layer in model if isinstance(layer, nn.Linear)):
        W = layer.weight if weights is None else weights[k]
        h = F.linear(h, W, layer.bias)
        if k < 2:
            h = torch.relu(scale(h, factor(W)))
    return h


def expected(model, x, **options):
    f = lambda x: written_out(model, x, **options)
    f.parameters = model.parameters
    return gradients(f, x)
