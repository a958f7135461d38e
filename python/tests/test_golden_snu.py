"""Compares spiking neural units with traces from NumPy alone, computed from the published equations and constants.

s_t = g(W x_t + R y_{t-1} + d s_{t-1} (1 - y_{t-1})), y_t = h(s_t - θ), d = 0.8 and θ = 1 (0.9 in the MNIST set-up), g relu
or leaky relu with slope 0.1, surrogate 1 - tanh². Gradients use the chain rule from the last step back.
"""
import numpy
import pytest
import torch

import torch_grapes

T, B, IN, N = 20, 4, 12, 9


def golden(W, R, d, slope, soft, x, error):
    """y, s, and dL/dW, dL/dR, dL/dθ, dL/dx for L = Σ error · y."""
    theta = numpy.ones(N)
    s, y = numpy.zeros((T + 1, B, N)), numpy.zeros((T + 1, B, N))  # index 0: before the first step
    for t in range(1, T + 1):
        a = x[t - 1] @ W.T + y[t - 1] @ R.T + d * s[t - 1] * (1 - y[t - 1])
        s[t] = numpy.where(a > 0, a, slope * a)
        u = s[t] - theta
        y[t] = 1 / (1 + numpy.exp(-u)) if soft else (u > 0)
    dW, dR, dtheta, dx = numpy.zeros_like(W), numpy.zeros_like(R), numpy.zeros(N), numpy.zeros_like(x)
    from_s, from_y = numpy.zeros((B, N)), numpy.zeros((B, N))
    for t in range(T, 0, -1):
        h = y[t] * (1 - y[t]) if soft else 1 - numpy.tanh(s[t] - theta) ** 2
        at_u = (error[t - 1] + from_y) * h
        dtheta -= at_u.sum(0)
        at_a = (at_u + from_s) * numpy.where(s[t] > 0, 1, slope)
        dW += at_a.T @ x[t - 1]
        dR += at_a.T @ y[t - 1]
        dx[t - 1] = at_a @ W
        from_s = at_a * d * (1 - y[t - 1])
        from_y = at_a @ R - at_a * d * s[t - 1]
    return y[1:], s[1:], dW, dR, dtheta, dx


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("g, d", [("relu", 0.8), ("leaky_relu", 0.9)])
def test_golden_traces(recurrent, soft, g, d):
    random = numpy.random.default_rng(5)
    W = random.normal(size=(N, IN)) * 0.5
    R = random.normal(size=(N, N)) * (0.3 if recurrent else 0)
    x = (random.random((T, B, IN)) < 0.3).astype(float)
    error = random.normal(size=(T, B, N))
    layer = torch_grapes.nn.Snu(IN, N, recurrent=recurrent, decay=d, membrane_activation=g, output="sigmoid" if soft else "step",
                                modulation="none", dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(W))
        if recurrent:
            layer.recurrent.copy_(torch.from_numpy(R))
    inputs = torch.from_numpy(x).requires_grad_()
    trace = layer.run(inputs)
    (trace.output * torch.from_numpy(error)).sum().backward()
    y, s, dW, dR, dtheta, dx = golden(W, R, d, 0.0 if g == "relu" else 0.1, soft, x, error)
    assert y.sum() > 20
    pairs = [(trace.output, y), (trace.membrane, s), (layer.weight.grad, dW), (layer.threshold.grad, dtheta), (inputs.grad, dx)]
    if recurrent:
        pairs.append((layer.recurrent.grad, dR))
    for ours, theirs in pairs:
        numpy.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=1e-10, atol=1e-12)
