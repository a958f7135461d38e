"""Networks of which a package has the weights only. Their operations are written down here, from the package's own source."""

import numpy as np

from f0_readers import depthwise, normalization, out_first
from f0_units import Graph, Node


class Sketch:
    """A network whose file has weights only: its operations are written down below, from the package's own source."""

    def __init__(self, weights, last):
        self.weights, self.last, self.nodes = weights, last, []  # last: whether channels are the last axis, as in TensorFlow

    def add(self, name, op, inputs, **facts):
        self.nodes.append(Node(op, name, inputs, [name], **facts))
        return name

    def conv(self, x, name, weight="filters", bias="bias"):
        kernel = self.weights[f"{name}/{weight}"] if self.last else self.weights[f"{name}.weight"]
        if self.last:
            kernel = kernel.T if kernel.ndim == 2 else out_first(kernel)
        bias = self.weights.get(f"{name}/{bias}" if self.last else f"{name}.bias")
        return self.add(name, "affine", [x], weight=np.asarray(kernel, float), bias=bias, axis=-1 if self.last or kernel.ndim == 2 else -3)

    def depthwise(self, x, name, weight="depthwise_filter"):
        kernel = self.weights[f"{name}/{weight}"]
        return self.add(f"{name}/{weight}", "affine", [x], weight=depthwise(kernel), groups=kernel.shape[2])

    def separable(self, x, name):
        return self.conv(self.depthwise(x, name), name, "pointwise_filter")

    def act(self, x, activation="relu"):
        return self.add(f"{x}.{activation}", "keep", [x], activation=activation)

    def norm(self, x, *names, epsilon):
        return normalization(Node("", f"{x}.norm", [x], [f"{x}.norm"]), *[self.weights[name] for name in names], epsilon)

    def then(self, node):
        self.nodes.append(node)
        return node.outputs[0]

    def sum(self, *values):
        return self.add(" + ".join(values), "sum", list(values))

    def flat(self, x):  # by position, then by channel
        if not self.last:
            x = self.add(f"{x}.last", "transpose", [x], facts={"permutation": [0, 3, 2, 1]})
        return self.add(f"{x}.flat", "reshape", [x], facts={"flatten": True})

    def graph(self, *outputs):
        return Graph(self.nodes, outputs)


def mtcnn(net, convolutions, dense, heads):
    """facenet_pytorch/models/mtcnn.py"""
    x = "input"
    for one in range(1, convolutions + 1):
        x = net.act(net.conv(x, f"conv{one}"), "prelu")
    if dense:
        x = net.act(net.conv(net.flat(x), dense), "prelu")
    return net.graph(*[net.conv(x, head) for head in heads])


def crepe(net):
    """torchcrepe/model.py: batch normalization comes after the ReLU"""
    x = "input"
    for one in range(1, 7):
        parts = [f"conv{one}_BN.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        x = net.then(net.norm(net.act(net.conv(x, f"conv{one}")), *parts, epsilon=0.0010000000474974513))
    return net.graph(net.conv(net.flat(x), "classifier"))


def tiny_face_detector(net):
    """src/tinyYolov2/TinyYolov2Base.ts"""
    x = net.act(net.conv("input", "conv0"), "leaky relu")
    for one in range(1, 6):
        x = net.act(net.separable(x, f"conv{one}"), "leaky relu")
    return net.graph(net.conv(x, "conv8"))


def dense_blocks(net, blocks, convolutions):
    """src/faceFeatureExtractor/denseBlock.ts"""
    x = "input"
    for block in range(blocks):
        x = net.act((net.separable if block else net.conv)(x, f"dense{block}/conv0"))
        outs = [x]
        for one in range(1, convolutions):
            outs.append(net.separable(x, f"dense{block}/conv{one}"))
            x = net.act(net.sum(*outs))
    return net.graph(net.conv(x, "fc", "weights"))


def tiny_xception(net):
    """src/xception/TinyXception.ts, with two middle blocks"""
    def chain(x, name, layers, first):
        for one in range(layers):
            x = net.separable(net.act(x) if one or first else x, f"{name}/separable_conv{one}")
        return x
    x = net.act(net.conv("input", "entry_flow/conv_in"))
    for place, blocks in (("entry_flow/reduction_block_0", 2), ("entry_flow/reduction_block_1", 2), ("middle_flow/main_block_0", 3),
                          ("middle_flow/main_block_1", 3), ("exit_flow/reduction_block", 2)):
        beside = x if blocks == 3 else net.conv(x, f"{place}/expansion_conv")
        x = net.sum(chain(x, place, blocks, place != "entry_flow/reduction_block_0"), beside)
    x = net.act(net.separable(x, "exit_flow/separable_conv"))
    return net.graph(net.conv(x, "fc/age", "weights"), net.conv(x, "fc/gender", "weights"))


def ssd_mobilenet(net):
    """src/ssdMobilenetv1/mobileNetV1.ts and predictionLayer.ts"""
    def pointwise(x, name):
        return net.act(net.conv(x, name, "weights", "convolution_bn_offset"), "clip")
    x, boxes = pointwise("input", "MobilenetV1/Conv2d_0_pointwise"), []
    for one in range(1, 14):
        name = f"MobilenetV1/Conv2d_{one}_depthwise"
        parts = [f"{name}/BatchNorm/{part}" for part in ("gamma", "beta", "moving_mean", "moving_variance")]
        x = net.act(net.then(net.norm(net.depthwise(x, name, "depthwise_weights"), *parts, epsilon=0.0010000000474974513)), "clip")
        x = pointwise(x, f"MobilenetV1/Conv2d_{one}_pointwise")
        boxes += [x] if one in (11, 13) else []
    for one in range(8):
        x = pointwise(x, f"Prediction/Conv2d_{one}_pointwise")
        boxes += [x] if one % 2 else []
    return net.graph(*[net.conv(x, f"Prediction/BoxPredictor_{one}/{kind}", "weights", "biases")
                       for one, x in enumerate(boxes) for kind in ("ClassPredictor", "BoxEncodingPredictor")])


def face_recognition(net):
    """src/faceRecognitionNet: a residual network; each convolution has a scale of its own"""
    def conv(x, name):
        x = net.conv(x, f"{name}/conv")
        return net.add(f"{name}/scale", "scale", [x], gain=net.weights[f"{name}/scale/weights"], shift=net.weights[f"{name}/scale/biases"])
    x = net.act(conv("input", "conv32_down"))
    for name in ("conv32_1", "conv32_2", "conv32_3", "conv64_down", "conv64_1", "conv64_2", "conv64_3", "conv128_down", "conv128_1",
                 "conv128_2", "conv256_down", "conv256_1", "conv256_2", "conv256_down_out"):
        x = net.act(net.sum(conv(net.act(conv(x, f"{name}/conv1")), f"{name}/conv2"), x))
    return net.graph(net.add("descriptor", "affine", [x], weight=np.asarray(net.weights["fc"], float).T))
