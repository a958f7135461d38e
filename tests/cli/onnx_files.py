"""Reads ONNX files with Debian's python3-onnx and computes them node by node with PyTorch."""
import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch.nn import functional as F


def rounded(x, low, high, step):
    """Round to multiples of a step, ties to even, and saturate."""
    return torch.clamp(torch.round(x / step), low, high) * step


def quant(x, step, zero, bits, signed, narrow, rounding_mode):
    assert signed == 1 and float(zero) == 0 and rounding_mode == b"ROUND"
    most = 2 ** (float(bits) - 1)
    return rounded(x, -most + narrow, most - 1, step)


def float_quant(x, scale, exponent_bits, fraction_bits, bias, largest, rounding_mode, has_inf, has_nan, has_subnormal, saturation):
    """Round to 1.f 2^e with subnormals; the largest number stands for all above it."""
    assert rounding_mode == b"ROUND" and (has_inf, has_nan, has_subnormal, saturation) == (0, 0, 1, 1)
    x = (x / scale).double()
    exponent = torch.frexp(x)[1].double() - 1
    step = 2 ** (torch.clamp(exponent, min=1 - float(bias)) - float(fraction_bits))
    return (torch.clamp(torch.round(x / step) * step, -float(largest), float(largest)) * scale).float()


def conv(x, weight, bias=None, *, kernel_shape, strides, pads):
    assert list(weight.shape[2:]) == kernel_shape and len(set(pads)) == 1
    return F.conv2d(x, weight, bias, strides, pads[0])


def batch_norm(x, scale, shift, mean, variance, *, epsilon):
    return F.batch_norm(x, mean, variance, scale, shift, eps=epsilon)


def gemm(x, weight, bias=None, *, transB):
    assert transB == 1
    return F.linear(x, weight, bias)


def window(function):
    def pooled(x, kernel_shape, strides):
        return function(x, kernel_shape, strides)
    return pooled


OPERATORS = {
    "Sub": torch.sub, "Mul": torch.mul, "Add": torch.add, "Relu": torch.relu, "Tanh": torch.tanh, "Sigmoid": torch.sigmoid,
    "LeakyRelu": lambda x, alpha: F.leaky_relu(x, alpha), "Softmax": lambda x, axis: torch.softmax(x, axis),
    "Flatten": lambda x, axis: x.flatten(axis), "Gemm": gemm, "Conv": conv, "BatchNormalization": batch_norm,
    "MaxPool": window(F.max_pool2d), "AveragePool": window(F.avg_pool2d),
    "GlobalMaxPool": lambda x: x.amax((2, 3), keepdim=True), "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "Quant": quant, "FloatQuant": float_quant,
}


def load(path):
    """Return a model that ONNX's own checker accepts; it knows no nodes of other domains."""
    model = onnx.load(str(path))
    if all(node.domain == "" for node in model.graph.node):
        onnx.checker.check_model(model, full_check=True)
    return model


def run(model, x):
    """Return the output for an array of inputs [batch, ...]."""
    values = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in model.graph.initializer}
    values[model.graph.input[0].name] = torch.from_numpy(np.asarray(x, np.float32))
    for node in model.graph.node:
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        inputs = [values[name] for name in node.input]
        values[node.output[0]] = OPERATORS[node.op_type](*inputs, **attributes)
    return values[model.graph.output[0].name].numpy()
